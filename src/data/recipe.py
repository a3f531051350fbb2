"""Recipe: all settings of a dataset, as tables of rows.

A row is a value of a kind. A kind is a frozen dataclass in the folder of its step, for example a
kind of retriever. So recipes can be compared, printed and hashed into manifests. To try an idea,
change a row in src/datasets/<name>/recipe.py. Files that depend on the row are made again.

Kinds are imported for the type checker only, as their modules import this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any

from src.core.store import as_json
from src.data.units import Weights

if TYPE_CHECKING:
    from src.calibrators.base import Calibrator
    from src.candidates.alternatives import Alternatives
    from src.candidates.base import Baseline, Retriever
    from src.embeddings.base import Embedding
    from src.evaluation.slices import Slices
    from src.features.base import FeatureGroup
    from src.matrices.base import ItemMatrix
    from src.metrics.base import Metric
    from src.prerankers.base import PreRanker
    from src.rankers.base import Ranker


@dataclass(frozen=True)
class Objective:
    """Event type to predict, and its weight in the total score."""

    name: str
    weight: float
    next_only: bool = False  # only the next event of the type is a positive; else all later ones
    metric: Metric | None = None  # None: that of the recipe


@dataclass(frozen=True)
class Recipe:
    """Tables of rows, and settings that are not part of a row."""

    name: str
    types: tuple[str, ...]  # event types
    objectives: tuple[Objective, ...]
    metric: Metric
    matrices: tuple[ItemMatrix, ...]
    embeddings: tuple[Embedding, ...]
    retrievers: tuple[Retriever, ...]
    baselines: tuple[Baseline, ...]
    features: tuple[FeatureGroup, ...]
    rankers: tuple[Ranker, ...]
    alternatives: tuple[Alternatives, ...] = ()  # fields of retrievers that step 3 tunes
    preranker: PreRanker | None = None  # cuts the pool before features and rankers
    calibrator: Calibrator | None = None  # of the blends of all objectives
    slices: Slices | None = None  # by which the tables of probabilities are broken down
    given: bool = False  # the raw files give the candidates of each query; no row retrieves any
    given_columns: tuple[str, ...] = ()  # feature columns of given candidates, found by step 1
    type_weight: Weights = (1.0, 1.0, 1.0)  # for the weighting "type" of features
    split_days: float | None = None  # length of `valid`; None: the length of the test files
    min_train_queries: int = 20_000  # with fewer to learn from, step 1 adds training splits
    by_window: bool = False  # queries of a split have a window: --causal keeps rows made ahead
    as_deployed: bool = False  # no query sees a later event: --causal
    refit: bool = True  # test: matrices and models of its own events; else those of valid
    exclude_seen: bool = False  # the items of a query's own history are no candidates
    pool_size: int = 150  # candidates of a query; given ones are all kept
    max_train_rows: int = 2_000_000  # per objective, about; bounds the sampled negatives
    negatives_per_positive: float = 15.0  # at most; inf: all candidates of all queries
    folds: int = 4  # 1: no ranker learns from valid, which only stops their training
    seed: int = 42

    def __post_init__(self) -> None:
        for table, rows in self.tables().items():
            names = [str(getattr(row, "name", number)) for number, row in enumerate(rows)]
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"recipe {self.name}: two {table} share a name: {repeated}")
        embeddings = {row.name for row in self.embeddings}
        if shared := sorted(embeddings.intersection(row.name for row in self.matrices)):
            raise ValueError(f"recipe {self.name}: a matrix and an embedding share {shared}")
        if self.given and self.retrievers:
            raise ValueError(f"recipe {self.name}: candidates are given; leave out the retrievers")
        for row in self.rankers:
            if unknown := sorted(set(row.objectives) - set(self.objective_names)):
                raise ValueError(f"ranker {row.name}: the recipe has no objectives {unknown}")
        self.check_weights("type_weight", self.type_weight)
        for rows in self.tables().values():
            for row in rows:
                row.check(self)

    def tables(self) -> dict[str, tuple[Any, ...]]:
        """Return the tables of rows by name."""
        return {
            "matrices": self.matrices, "embeddings": self.embeddings,
            "retrievers": self.retrievers, "baselines": self.baselines,
            "alternatives": self.alternatives, "features": self.features, "rankers": self.rankers,
            "preranker": (self.preranker,) if self.preranker else (),
            "calibrator": (self.calibrator,) if self.calibrator else (),
            "slices": (self.slices,) if self.slices else (),
        }  # fmt: skip

    @property
    def k(self) -> int:
        """Length of the lists that are scored."""
        return self.metric.k

    @property
    def objective_names(self) -> list[str]:
        return [objective.name for objective in self.objectives]

    def metric_of(self, objective: str) -> Metric:
        """Return the metric of an objective."""
        own = {o.name: o.metric for o in self.objectives}[objective]
        return self.metric if own is None else own

    def rankers_of(self, objective: str) -> tuple[Ranker, ...]:
        """Return the rankers that learn an objective."""
        return tuple(row for row in self.rankers if row.learns(objective))

    @property
    def whole_lists(self) -> bool:
        """Whether rankers learn from all candidates of a query, and from queries without positives.

        Judged lists are such: a query whose documents are all irrelevant teaches a pointwise loss.
        """
        return self.negatives_per_positive == inf

    def check_weights(self, owner: str, weights: Weights) -> None:
        """Raise ValueError, naming the owner of the weights, if an event type has no weight."""
        if len(weights) < len(self.types):
            raise ValueError(f"{owner}: one number per event type {self.types}")

    def check_neighbours(self, owner: str, name: str) -> None:
        """Raise ValueError, naming the owner of the name, if no matrix or embedding has it."""
        matrices = {row.name for row in self.matrices}
        if name not in matrices | {row.name for row in self.embeddings}:
            raise ValueError(f"{owner}: no matrix or embedding named {name}")

    def check_query_vectors(self, owner: str, name: str) -> None:
        """Raise ValueError, naming the owner of the name, if no embedding has query vectors."""
        if name not in {row.name for row in self.embeddings if row.makes_query_vectors}:
            raise ValueError(f"{owner}: no two-tower model named {name}")

    def check_generator(self, owner: str, name: str) -> None:
        """Raise ValueError, naming the owner of the name, if no embedding generates items."""
        if name not in {row.name for row in self.embeddings if row.makes_generator}:
            raise ValueError(f"{owner}: no generator named {name}")

    def tuned(self, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe with other values, by the names of their alternatives."""
        rows = {row.name: row for row in self.retrievers}
        for field in self.alternatives:
            for value in field.values:
                if field.name in values and as_json(value) == as_json(values[field.name]):
                    rows[field.retriever] = field.applied(rows[field.retriever], value)
        return replace(self, retrievers=tuple(rows.values()))

    @property
    def tuned_tables(self) -> set[str]:
        """Names of the matrices that retrievers with alternatives read, with any value."""
        rows = {row.name: row for row in self.retrievers}
        tried = [row for field in self.alternatives for row in field.tried(rows[field.retriever])]
        return {table for row in tried for table in row.tables}

    def causal(self) -> Recipe:
        """Return the recipe of `--causal`: rows that see nothing later than the query.

        `row.causal()` gives the causal form of a row, or None to drop it. Rows made ahead see what
        was there before the window of the queries. Where there is none, they are dropped, unless
        all that they read are matrices that are rebuilt or made without events. Baselines are
        dropped with any of their retrievers, rankers with any embedding that they read.
        """
        known = {row.name for row in self.matrices if row.rebuild_s or not row.made_ahead}

        def stays(row: Any) -> bool:
            if self.by_window or not row.made_ahead:
                return True
            tables = {row.name} if row in self.matrices else set(getattr(row, "tables", ()))
            return bool(tables) and tables <= known

        def kept(rows: Iterable[Any]) -> tuple[Any, ...]:
            rows = filter(stays, rows)
            return tuple(causal for row in rows if (causal := row.causal()) is not None)

        retrievers, row, embeddings = kept(self.retrievers), self.preranker, kept(self.embeddings)
        vectors = {row.name for row in embeddings}
        names = {row.name for row in retrievers}
        return replace(
            self,
            as_deployed=not self.given,
            matrices=kept(self.matrices),
            embeddings=embeddings,
            retrievers=retrievers,
            baselines=tuple(row for row in self.baselines if set(row.retrievers) <= names),
            rankers=tuple(row for row in self.rankers if vectors.issuperset(row.vectors)),
            alternatives=(),  # their rows may have another form: `tuned` comes before
            features=merged(kept(self.features)),
            preranker=row and replace(row, features=merged(kept(row.features))),
        )


def merged(rows: Iterable[FeatureGroup]) -> tuple[FeatureGroup, ...]:
    """Merge each feature group into the first earlier one that `FeatureGroup.merge` allows.

    Causal forms of different groups can have columns in common.
    """
    groups: list[FeatureGroup] = []
    for row in rows:
        for number, group in enumerate(groups):
            if (merged := group.merge(row)) is not None:
                groups[number] = merged
                break
        else:
            groups.append(row)
    return tuple(groups)
