"""What is made of a dataset, as data: tables of rows, one table a step.

A row is a value of a *kind*: a frozen dataclass in the folder of its step (a kind of retriever, of
matrix, ...). So a recipe can be compared, hashed into manifests and printed. To try an idea, add or
change a row in src/datasets/<name>/recipe.py; the step that uses it, and those behind it, run again
by themselves. Kinds are imported here for the type checker only: this module is below them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from src.data.units import Weights

if TYPE_CHECKING:
    from src.candidates.base import Baseline, Retriever
    from src.embeddings.base import Embedding
    from src.features.base import FeatureGroup
    from src.matrices.base import ItemMatrix
    from src.metrics.base import Metric
    from src.rankers.base import Ranker


@dataclass(frozen=True)
class Objective:
    """What is predicted: events of type `name`, with its weight in the total score."""

    name: str
    weight: float
    next_only: bool = False  # only the next such event is a positive; else all that follow


@dataclass(frozen=True)
class Recipe:
    """All rows of a dataset, and the numbers of the steps."""

    name: str
    types: tuple[str, ...]  # of events
    objectives: tuple[Objective, ...]
    metric: Metric
    matrices: tuple[ItemMatrix, ...]
    embeddings: tuple[Embedding, ...]
    retrievers: tuple[Retriever, ...]
    baselines: tuple[Baseline, ...]
    features: tuple[FeatureGroup, ...]
    rankers: tuple[Ranker, ...]
    type_weight: Weights = (1.0, 1.0, 1.0)  # of the "type" weighting of features
    split_days: float | None = None  # length of `valid`; None: as long as the test files last
    min_train_queries: int = 20_000  # where `valid` has fewer, more splits are learned from
    pool_size: int = 150
    max_train_rows: int = 2_000_000  # per objective, about: how many negatives are kept
    negatives_per_positive: float = 15.0  # at most
    folds: int = 4
    seed: int = 42

    def __post_init__(self) -> None:
        for kind, rows in self.tables().items():
            names = [str(getattr(row, "name", number)) for number, row in enumerate(rows)]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"recipe {self.name}: two {kind} share a name: {twice}")
        tables = {row.name for row in self.embeddings}
        both = tables.intersection(row.name for row in self.matrices)
        if both:
            raise ValueError(f"recipe {self.name}: a matrix and an embedding share {sorted(both)}")
        self.check_weights("type_weight", self.type_weight)
        for rows in self.tables().values():
            for row in rows:
                row.check(self)

    def tables(self) -> dict[str, tuple[Any, ...]]:
        """The rows of every kind of thing, by its plural."""
        return {
            "matrices": self.matrices, "embeddings": self.embeddings,
            "retrievers": self.retrievers, "baselines": self.baselines,
            "features": self.features, "rankers": self.rankers,
        }  # fmt: skip

    @property
    def k(self) -> int:
        """Length of the lists that are scored."""
        return self.metric.k

    @property
    def objective_names(self) -> list[str]:
        return [objective.name for objective in self.objectives]

    def check_weights(self, what: str, weights: Weights) -> None:
        """Raise ValueError where weights have less than one number per event type."""
        if len(weights) < len(self.types):
            raise ValueError(f"{what}: one number per event type {self.types}")

    def check_neighbours(self, what: str, name: str) -> None:
        """Raise ValueError where no matrix or embedding has that name."""
        matrices = {row.name for row in self.matrices}
        if name not in matrices | {row.name for row in self.embeddings}:
            raise ValueError(f"{what}: no matrix or embedding named {name}")

    def check_query_vectors(self, what: str, name: str) -> None:
        """Raise ValueError where no embedding of that name makes query vectors."""
        if name not in {row.name for row in self.embeddings if row.makes_query_vectors}:
            raise ValueError(f"{what}: no two-tower model named {name}")

    def causal(self) -> Recipe:
        """What `--causal` leaves: rows that see nothing later than the query.

        Each row says itself what it becomes; rows of what is gone go too.
        """
        retrievers = _kept(self.retrievers)
        names = {row.name for row in retrievers}
        return replace(
            self,
            matrices=_kept(self.matrices),
            embeddings=_kept(self.embeddings),
            retrievers=retrievers,
            baselines=tuple(row for row in self.baselines if set(row.retrievers) <= names),
            features=_merged(_kept(self.features)),
        )


def _kept(rows: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(kept for row in rows if (kept := row.causal()) is not None)


def _merged(rows: Iterable[FeatureGroup]) -> tuple[FeatureGroup, ...]:
    """Merge feature groups that have become the same but for what `merge` can put together."""
    found: list[FeatureGroup] = []
    for row in rows:
        for number, known in enumerate(found):
            if (both := known.merge(row)) is not None:
                found[number] = both
                break
        else:
            found.append(row)
    return tuple(found)
