"""Train a two-tower net: the last events of a session and a type of event -> likely items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.embeddings.base import Embedding, Summary, save, training_memory, write_missing
from src.embeddings.epochs import train_with_checkpoints, write_log
from src.embeddings.neighbours import write_likely_neighbours

if TYPE_CHECKING:
    from src.data.recipe import Recipe

ENCODERS = ("pool", "gru", "lags")
"""Names of the encoders in two_tower_nets.py, which would load torch here."""


@dataclass(frozen=True)
class TwoTowerEmbedding(Embedding):
    """Item vectors, and a query vector of every query and objective.

    The encoder turns the events (item, type, recency, hour of day) into a session vector. With a
    vector of the type of event that is predicted, it is compared by cosine with item vectors, which
    both towers share. Trained on each of the next events against drawn items
    (two_tower_trainer.py has the papers).
    """

    makes_query_vectors: ClassVar[bool] = True

    encoder: str = "pool"  # attention weights of the events and a perceptron; or "gru", "lags"
    dim: int = 64
    max_len: int = 10  # last events of the session that are read
    n_targets: int = 10  # next events that are predicted, each under its type
    temperature: float = 0.07  # cosines are divided by it
    batch_negatives: int = 2048  # items drawn per batch; all items where there are no more
    ns_exponent: float = 0.5  # drawn by (events of the item) ** ns_exponent, which is corrected for
    dropout: float = 0.1  # share of the events that are not read in training
    batch_size: int = 1024  # positions of sessions
    epochs: int = 10  # at most; the learning rate falls to 0 over them
    patience: int = 2  # epochs without a better recall on held-out sessions; the best one is kept
    learning_rate: float = 0.005  # of Adam
    last_days: float | None = None  # positions of the split's last days, and all of its queries
    max_positions: int = 4_000_000  # per epoch: a random part where there are more

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder not in ENCODERS:
            raise ValueError(f"embedding {self.name}: encoder is one of {', '.join(ENCODERS)}")
        if not 0 < self.temperature <= 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"embedding {self.name}: temperature is in (0, 1], dropout in [0, 1)")

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where an objective is no event type: there is no vector of it."""
        if unknown := set(recipe.objective_names) - set(recipe.types):
            raise ValueError(f"embedding {self.name}: {sorted(unknown)} are no event types")

    def files(self, run: Run, split: str) -> Sequence[Path]:
        """Item and query vectors, neighbours, and the log."""
        file_of = (paths.item_vectors, paths.query_vectors, paths.neighbours, paths.embedding_log)
        return [path(run, split, self.name) for path in file_of]

    def memory(self, run: Run, split: str) -> float:
        """Count vectors, Adam's two moments, and the vectors of the best epoch and of queries."""
        tables, more = 5, 400  # the latter in bytes an item: counts, draws, gathered rows
        return training_memory(run, split, tables * 4 * self.dim + more)

    def build(self, run: Run, split: str) -> Summary:
        """Train on the sessions of a split, where its files are not up to date."""
        training: Summary = {}
        types = run.recipe.types
        targets = [types.index(name) for name in run.recipe.objective_names]

        def make(parts: dict[Path, Path]) -> None:
            from src.embeddings.two_tower_trainer import training_of

            sessions, device = Sessions.load(run, split), run.engine.device
            with training_of(sessions, self, len(types), run.recipe.seed, device) as trainer:
                train_with_checkpoints(run, split, self, trainer)
                training.update(trainer.summary)
                log, towers = trainer.log, trainer.best_towers()
                items, queries = towers.item_vectors(), towers.single_event_queries(targets[0])
                write_missing(parts, {
                    paths.query_vectors(run, split, self.name): partial(
                        towers.write_query_vectors, targets
                    )
                })  # fmt: skip
            del trainer, towers  # their tables are not needed beside those of the search
            write_missing(parts, {
                paths.item_vectors(run, split, self.name): partial(save, items),
                paths.neighbours(run, split, self.name): partial(
                    write_likely_neighbours, queries, items, sessions, self.top_n, self.max_items
                ),
                paths.embedding_log(run, split, self.name): partial(write_log, log),
            })  # fmt: skip

        return self.build_files(run, split, make, types, targets) | training
