"""Factorise which item follows which: item vectors as the earlier and as the later one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.embeddings.base import Embedding, Summary, save, training_memory, unit, write_missing
from src.embeddings.epochs import train_with_checkpoints, write_log
from src.embeddings.factorization_trainer import FactorizationTrainer
from src.embeddings.neighbours import write_likely_neighbours


@dataclass(frozen=True)
class FactorizationEmbedding(Embedding):
    """Logistic matrix factorisation of pairs of items that are near in a session.

    Directed: neighbours and cosines compare items as the earlier one of a pair with others as the
    later one. The item vectors are those of the later one.
    """

    dim: int = 64
    max_steps: int = 1  # positions apart, at most, of the kept events
    types: tuple[int, ...] | None = None  # event types kept; None: all
    last_days: float | None = None  # only events of the last days of the split's own history
    negatives_per_pair: int = 4  # later items drawn for each pair
    ns_exponent: float = 0.75  # drawn by (events of the item) ** ns_exponent
    epochs: int = 20  # at most
    patience: int = 2  # epochs without a better recall on held-out sessions; the best one is kept
    learning_rate: float = 0.1  # of Adagrad
    max_pairs: int = 20_000_000  # per epoch, about: of random sessions where there are more

    def files(self, run: Run, split: str) -> Sequence[Path]:
        """Vectors of both sides, neighbours, and the log."""
        file_of = (paths.item_vectors, paths.source_vectors, paths.neighbours, paths.embedding_log)
        return [path(run, split, self.name) for path in file_of]

    def memory(self, run: Run, split: str) -> float:
        """Count vectors of both sides in training, of the best epoch and as unit rows."""
        tables, more = 6, 350  # the latter in bytes an item: counts, Adagrad's sums, draws
        return training_memory(run, split, tables * 4 * self.dim + more)

    def build(self, run: Run, split: str) -> Summary:
        """Train on the sessions of a split, where its files are not up to date."""
        training: Summary = {}

        def make(parts: dict[Path, Path]) -> None:
            sessions = Sessions.load(run, split)
            trainer = FactorizationTrainer(sessions, self, run.recipe.seed)
            train_with_checkpoints(run, split, self, trainer)
            training.update(trainer.summary)
            log, (source, target) = trainer.log, trainer.vectors()
            del trainer  # its tables are not needed beside those of the search
            write_missing(parts, {
                paths.item_vectors(run, split, self.name): partial(save, unit(target)),
                paths.source_vectors(run, split, self.name): partial(save, unit(source)),
                paths.neighbours(run, split, self.name): partial(
                    write_likely_neighbours, source, target, sessions, self.top_n, self.max_items
                ),
                paths.embedding_log(run, split, self.name): partial(write_log, log),
            })  # fmt: skip

        return self.build_files(run, split, make) | training
