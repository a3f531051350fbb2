"""Factorise which item follows which: each item has a vector as earlier and one as later item."""

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
from src.embeddings.neighbours import write_neighbours_by_likelihood


@dataclass(frozen=True)
class FactorizationEmbedding(Embedding):
    """Logistic matrix factorisation of pairs of items that are near in a session.

    Directed: each item has a source vector, as the earlier item of a pair, and a target vector, as
    the later one. Neighbours and cosines compare source vectors with target vectors. The target
    vectors are written as item vectors.
    """

    dim: int = 64
    max_steps: int = 1  # largest distance of a pair, in events of the session
    negatives_per_pair: int = 4  # items drawn in place of the later one; even: half in each group
    ns_exponent: float = 0.75  # drawn by (events of the item) ** ns_exponent
    epochs: int = 20  # at most
    patience: int = 2  # epochs without a better recall on held-out sessions; the best one is kept
    learning_rate: float = 0.1  # of Adagrad
    max_pairs: int = 20_000_000  # per epoch, about; a random part where there are more

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.negatives_per_pair % 2:
            raise ValueError(f"embedding {self.name}: negatives_per_pair is an even number")

    def files(self, run: Run, split: str) -> Sequence[Path]:
        """List the files of target and source vectors, of neighbours, and of the log."""
        file_of = (paths.item_vectors, paths.source_vectors, paths.neighbours, paths.embedding_log)
        return [path(run, split, self.name) for path in file_of]

    def memory(self, run: Run, split: str) -> float:
        """Count source and target vectors three times: in training, of the best epoch, scaled."""
        vectors, other = 6, 350  # other: bytes an item, for counts, Adagrad's sums, alias tables
        return training_memory(run, split, vectors * 4 * self.dim + other)

    def build(self, run: Run, split: str) -> Summary:
        """Train on the sessions of a split; write vectors, neighbours and the log."""
        training: Summary = {}

        def make(temporary: dict[Path, Path]) -> None:
            sessions = Sessions.load(run, split)
            trainer = FactorizationTrainer(sessions, self, run.recipe.seed)
            train_with_checkpoints(run, split, self, trainer)
            training.update(trainer.summary)
            log, (source, target) = trainer.log, trainer.vectors()
            del trainer  # frees its tables before the search for neighbours
            write_missing(temporary, {
                paths.item_vectors(run, split, self.name): partial(save, unit(target)),
                paths.source_vectors(run, split, self.name): partial(save, unit(source)),
                paths.neighbours(run, split, self.name): partial(
                    write_neighbours_by_likelihood, self, source, target, sessions.count_items()
                ),
                paths.embedding_log(run, split, self.name): partial(write_log, log),
            })  # fmt: skip

        return self.build_files(run, split, make) | training
