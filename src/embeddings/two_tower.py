"""Train a two-tower net: from the last events of a session and an event type to likely items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.data.splits import preceded_split
from src.embeddings.base import (
    Embedding,
    QueryEncoder,
    Summary,
    save,
    training_memory,
    write_missing,
)
from src.embeddings.epochs import train_with_checkpoints, write_log
from src.embeddings.neighbours import write_neighbours_by_likelihood

if TYPE_CHECKING:
    from src.data.recipe import Recipe

ENCODERS = ("pool", "gru", "lags", "transformer")
"""Names of the encoders in two_tower_nets.py, which is not imported here: it loads torch."""
NUMBERS_HELD = {"gru": (24, 10), "transformer": (75, 12)}
"""Numbers that an encoder holds of an event, in vectors: with gradients, and without."""
SESSIONS_AT_A_TIME = 8192
"""Sessions that are encoded at a time."""
MORE = 5
"""A small log gets so many times the epochs of a row, at most."""


@dataclass(frozen=True)
class TwoTowerEmbedding(Embedding):
    """Item vectors, and a query vector for every query and objective.

    The encoder maps the last events of a session (item, type, recency, hour of day) to a session
    vector. Session vector and event type to predict give a query vector, whose cosine with an item
    vector is the score. Both towers share the item vectors. The net learns to tell the next events
    of a session from sampled negatives (two_tower_trainer.py has the papers).
    """

    makes_query_vectors: ClassVar[bool] = True

    encoder: str = "pool"  # attention over the events and a perceptron; or see ENCODERS
    dim: int = 64
    max_len: int = 10  # last events of the session that the encoder reads
    n_targets: int = 10  # next events that are predicted, each with its own event type
    temperature: float = 0.07  # cosines are divided by it
    batch_negatives: int = 2048  # items drawn per batch; all items where there are no more
    ns_exponent: float = 0.5  # drawn by (events of the item) ** ns_exponent; the loss corrects it
    dropout: float = 0.1  # share of the events that are hidden in training
    batch_size: int = 1024  # positions (two_tower_batches.py)
    epochs: int = 10  # at most, or more by min_positions; the learning rate falls to 0 over them
    patience: int = 2  # epochs without a better recall on held-out sessions; the best one is kept
    learning_rate: float = 0.005  # of Adam
    max_positions: int = 4_000_000  # per epoch; a random part where there are more
    min_positions: int = 1  # in all epochs; a small log gets up to MORE times as many epochs

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder not in ENCODERS:
            raise ValueError(f"embedding {self.name}: encoder is one of {', '.join(ENCODERS)}")
        if self.encoder == "transformer" and self.dim % 4:
            raise ValueError(f"embedding {self.name}: dim of a transformer is a multiple of 4")
        if not 0.02 <= self.temperature <= 1 or not 0 <= self.dropout < 1:
            raise ValueError(
                f"embedding {self.name}: temperature is from 0.02 to 1, dropout from 0 to below 1"
            )

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where an objective is no event type: the net has no vector of it."""
        if unknown := set(recipe.objective_names) - set(recipe.types):
            raise ValueError(f"embedding {self.name}: {sorted(unknown)} are no event types")

    def epochs_for(self, positions: int) -> int:
        """Return the most epochs for so many positions of a split."""
        wanted = -(-self.min_positions // max(min(positions, self.max_positions), 1))
        return max(self.epochs, min(wanted, MORE * self.epochs))

    def files(self, run: Run, split: str) -> Sequence[Path]:
        """List the files of item and query vectors, of the net, of neighbours, and of the log."""
        file_of = (paths.item_vectors, paths.query_vectors, paths.query_encoder, paths.neighbours,
                   paths.embedding_log)  # fmt: skip
        return [path(run, split, self.name) for path in file_of]

    def memory(self, run: Run, split: str) -> float:
        """Count item vectors, Adam's two moments, the vectors of the best epoch and of queries.

        A batch has a score of each drawn item, its gradient, and a copy. An encoder holds numbers
        of each event of a batch, and of the sessions that are encoded at a time.
        """
        vectors, other = 5, 400  # other: bytes an item, for counts, draws and gathered rows
        drawn = min(count_rows(paths.items(run)), self.batch_negatives)
        scores = 3 * 4 * self.batch_size * drawn
        trained, encoded = NUMBERS_HELD.get(self.encoder, (12, 4))
        events = self.max_len * (trained * self.batch_size + encoded * SESSIONS_AT_A_TIME)
        held = scores + 4.0 * self.dim * events
        return training_memory(run, split, vectors * 4 * self.dim + other) + held

    def target_types(self, recipe: Recipe) -> list[int]:
        """Return the event type of each objective."""
        return [recipe.types.index(name) for name in recipe.objective_names]

    def query_encoder(self, run: Run, split: str) -> QueryEncoder:
        """Read the net and the item vectors of a split."""
        from src.embeddings.two_tower_vectors import QueryTower

        tower, types = QueryTower.load(run, split, self), self.target_types(run.recipe)
        return partial(tower.of_sessions, event_types=types)

    def build(self, run: Run, split: str) -> Summary:
        """Train on the sessions of a split; write vectors, neighbours and the log."""
        training: Summary = {}
        types, target_types = run.recipe.types, self.target_types(run.recipe)
        asking = preceded_split(run, split)  # its queries are encoded

        def make(temporary: dict[Path, Path]) -> None:
            from src.embeddings.two_tower_trainer import deterministic_trainer

            sessions, seed, device = Sessions.load(run, split), run.recipe.seed, run.engine.device
            with deterministic_trainer(sessions, self, len(types), seed, device) as trainer:
                train_with_checkpoints(run, split, self, trainer)
                training.update(trainer.summary)
                log, towers = trainer.log, trainer.best_towers()
                items = towers.item_vectors()
                asking_sessions = Sessions.load(run, asking)
                queries = towers.single_event_queries(target_types[0])
                write_missing(temporary, {
                    paths.query_vectors(run, split, self.name): partial(
                        towers.query_tower.write_vectors, asking_sessions, target_types
                    ),
                    paths.query_encoder(run, split, self.name): towers.query_tower.save,
                })  # fmt: skip
            # frees their tables before the search for neighbours
            del trainer, towers, asking_sessions
            write_missing(temporary, {
                paths.item_vectors(run, split, self.name): partial(save, items),
                paths.neighbours(run, split, self.name): partial(
                    write_neighbours_by_likelihood, self, queries, items, sessions.count_items()
                ),
                paths.embedding_log(run, split, self.name): partial(write_log, log),
            })  # fmt: skip

        asked_events = run.fingerprint(paths.events(run, asking))
        return self.build_files(run, split, make, types, target_types, asked_events) | training

    def take(self, run: Run, split: str, fitted: str) -> Sequence[Path]:
        """Copy the files of the split that a split is fitted to, but encode its own queries.

        The net of a history has encoded those of the split that it precedes.
        """
        if preceded_split(run, fitted) == split:
            return super().take(run, split, fitted)
        copies = dict(zip(self.files(run, split), self.files(run, fitted), strict=True))
        vectors = paths.query_vectors(run, split, self.name)
        target_types = self.target_types(run.recipe)
        del copies[vectors]

        def write(path: Path) -> None:
            from src.embeddings.two_tower_vectors import QueryTower

            run.budget.claim(f"{split} {self.name}", training_memory(run, split, 4 * self.dim))
            tower = QueryTower.load(run, fitted, self)
            tower.write_vectors(Sessions.load(run, split), target_types, path)

        inputs = [
            path(run, fitted, self.name) for path in (paths.query_encoder, paths.item_vectors)
        ]
        inputs.append(paths.events(run, split))
        made = run.build(vectors, write, (self, target_types), inputs)
        return [*run.copy(copies), *([vectors] if made else [])]
