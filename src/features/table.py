"""Feature columns of the pool, computed block by block and never stored whole.

Names are built from the recipe's rows, in the order of the columns. To add features, add rows to
the recipe; to add a kind of feature, write a `Family` and a line in `family`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
import polars as pl
from numba import get_num_threads

from src.candidates.pool import Pool
from src.candidates.rules import World
from src.core import nearest_kernel as search_kernel
from src.core.arrays import F32, I32, I64
from src.data.recipe import Recipe
from src.features import features_kernel as kernel
from src.features import item_statistics_kernel as statistics_kernel
from src.features import session_kernel
from src.features.rows import (
    AGGREGATES,
    RELATIONS,
    WEIGHTINGS,
    ContextFeature,
    ContextPopularityFeature,
    EmbeddingFeature,
    FeatureGroup,
    ItemAgeFeature,
    ItemAttributeFeature,
    ItemStatisticsFeature,
    MatrixFeature,
    PopularityFeature,
    TwoTowerFeature,
)

TAIL = 100  # history events that matrix and embedding features look at
SESSION_NAMES = ("events", "items", "seconds", "last_gap", "hour", "weekday", "visits", "last_type",
                 "mean_gap", "again", "visit_events", "visit_seconds")  # fmt: skip
OWN_NAMES = ("count", "back", "seconds", "last_type", "first_seconds")
FOREVER = int(np.iinfo(np.int32).max)


class Block:
    """The queries of a pool with what several families need of them."""

    def __init__(self, recipe: Recipe, world: World, pool: Pool) -> None:
        self.recipe, self.world, self.pool = recipe, world, pool
        self.end = pool.first + pool.offsets.size - 1

    @property
    def last(self) -> I64:
        """The last event of each query."""
        return self.world.sessions.offsets[self.pool.first + 1 : self.end + 1] - 1

    @cached_property
    def items(self) -> tuple[I64, I32, F32, F32, I32]:
        """The different items of each history; see kernel.history_items."""
        s = self.world.sessions
        weights = np.array(self.recipe.type_weight, np.float64)
        return kernel.history_items(
            s.offsets, s.item, s.ts, s.type, self.pool.first, self.end, TAIL, weights
        )


class Family(ABC):
    """Some columns that are computed together."""

    names: list[str]
    group: str = ""  # what ablation drops together: the kind of recipe row
    ranked: Sequence[int] = ()  # the columns that also get a rank within the query

    @property
    def all_names(self) -> list[str]:
        """Those of the columns and of their ranks."""
        return [*self.names, *(f"{self.names[column]}_rank" for column in self.ranked)]

    @abstractmethod
    def fill(self, block: Block, X: F32, column: int) -> None:
        """Write the columns X[:, column : column + len(names)]; X comes filled with zeros."""


class PoolFamily(Family):
    """The fused vote, the place in the pool, and every rule's rank and score."""

    group = "pool"

    def __init__(self, recipe: Recipe) -> None:
        rules = [rule.name for rule in recipe.rules]
        self.names = ["vote", "place"]
        self.names += [f"rank_{r}" for r in rules] + [f"score_{r}" for r in rules]

    def fill(self, block: Block, X: F32, column: int) -> None:
        pool = block.pool
        kernel.pool_columns(pool.offsets, pool.vote, pool.ranks, pool.scores, column, X)


class SessionFamily(Family):
    """The shape of the visible session: the same for all its candidates."""

    group = "session"

    def __init__(self, recipe: Recipe) -> None:
        self.names = [f"session_{n}" for n in (*SESSION_NAMES, *recipe.types)]
        self.names += [f"session_since_{t}" for t in recipe.types]

    def fill(self, block: Block, X: F32, column: int) -> None:
        s, pool = block.world.sessions, block.pool
        n_types = len(block.recipe.types)
        session_kernel.session_columns(
            s.offsets, s.item, s.ts, s.type, pool.first, pool.offsets, n_types, column, X
        )


class OwnFamily(Family):
    """What the session already did with the candidate."""

    group = "own"

    def __init__(self, recipe: Recipe) -> None:
        self.names = [f"own_{n}" for n in (*OWN_NAMES, *recipe.types)]
        self.names += [f"own_since_{t}" for t in recipe.types]
        self.names += [f"own_weight_{w}" for w in WEIGHTINGS]

    def fill(self, block: Block, X: F32, column: int) -> None:
        s, pool, (offsets, item, total, *_) = block.world.sessions, block.pool, block.items
        n_types = len(block.recipe.types)
        session_kernel.own_columns(
            s.offsets, s.item, s.ts, s.type, pool.first, pool.offsets, pool.item,
            offsets, item, total, n_types, column, X,
        )  # fmt: skip


class ScoreFamily(Family):
    """Item-item scores x weightings x aggregates, over the history."""

    def __init__(self, row: MatrixFeature | EmbeddingFeature) -> None:
        self.row, self.above = row, np.float32(np.inf if row.above is None else row.above)
        pairs = [(w, a) for w in row.weightings for a in row.aggregates]
        cells = [(AGGREGATES.index(a), WEIGHTINGS.index(w)) for w, a in pairs]
        self.names = [f"{row.table}_{w}_{a}" for w, a in pairs]
        self.names += [f"{row.table}_latest_{back}" for back in range(row.latest)]
        cells += [(kernel.LATEST, back) for back in range(row.latest)]
        if row.above is not None:
            self.names.append(f"{row.table}_count")
            cells.append((kernel.COUNT, 0))
        self.cells = np.array(cells, np.int64)
        self.ranked = [c for c, (how, _) in enumerate(cells) if how == kernel.SUM]

    def fill(self, block: Block, X: F32, column: int) -> None:
        world, row, threads = block.world, self.row, get_num_threads()
        rows = (block.pool.offsets, block.pool.item, *block.items)
        where = (self.above, self.cells, column, X, threads)
        if isinstance(row, MatrixFeature):
            near = world.matrix(row.table)
            kernel.matrix_columns(*rows, near.offsets, near.item, near.weight, *where)
        else:
            kernel.vector_columns(*rows, world.sources(row.table), world.vectors(row.table), *where)


class RetrievalFamily(Family):
    """Cosine of the candidate and the query's vector, for every objective."""

    def __init__(self, row: TwoTowerFeature, recipe: Recipe) -> None:
        self.names = [f"{row.model}_{objective.name}" for objective in recipe.objectives]
        self.ranked = range(len(self.names))
        self.row = row

    def fill(self, block: Block, X: F32, column: int) -> None:
        world, pool = block.world, block.pool
        queries = world.queries(self.row.model, pool.first, block.end)
        vectors = world.vectors(self.row.model)
        search_kernel.cosine_columns(pool.offsets, pool.item, queries, vectors, column, X)


class PopularityFamily(Family):
    """Events on the candidate around the query: of one type, or of the query's own context."""

    def __init__(self, row: PopularityFeature | ContextPopularityFeature, recipe: Recipe) -> None:
        self.row = row
        self.column = row.column if isinstance(row, ContextPopularityFeature) else "type"
        kind = (
            f"same_{row.column}"
            if isinstance(row, ContextPopularityFeature)
            else recipe.types[row.type]
        )
        self.windows = np.array(sorted(FOREVER if w is None else w for w in row.windows))
        spans = ["all" if w == FOREVER else f"{w / 3600:g}h" for w in self.windows]
        ahead = f"_{row.ahead / 3600:g}h_ahead" if row.ahead else ""
        self.names = [f"popular_{kind}_{span}{ahead}" for span in spans]
        self.ranked = range(len(spans))
        self.names += [f"popular_{kind}_{a}_of_{b}{ahead}" for a, b in pairwise(spans)]

    def kind(self, block: Block) -> I64:
        """The kind of events that count for each query."""
        if isinstance(self.row, PopularityFeature):
            return np.full(block.end - block.pool.first, self.row.type)
        return block.world.context(self.column)[block.last].astype(np.int64)

    def fill(self, block: Block, X: F32, column: int) -> None:
        """Counts of all candidates."""
        pool, world = block.pool, block.world
        starts, times = world.times_by_item(self.column)
        kernel.popularity_columns(
            pool.offsets, pool.item, world.query_ts(pool.first, block.end), self.kind(block),
            starts, times, starts.size // world.sessions.n_items, self.windows, self.row.ahead,
            column, X,
        )  # fmt: skip


class StatisticsFamily(Family):
    """What all sessions did with the candidate."""

    def __init__(self, row: ItemStatisticsFeature, recipe: Recipe) -> None:
        self.row = row
        span = "all" if row.last_days is None else f"{row.last_days:g}d"
        names = statistics_kernel.names(recipe.types)
        self.names = [f"item_{name}_{span}" for name in names]
        self.ranked = [c for c, n in enumerate(names) if n.startswith(("sessions", "weight"))]

    def fill(self, block: Block, X: F32, column: int) -> None:
        """Numbers of all candidates."""
        recipe = block.recipe
        table = block.world.statistics(self.row, recipe.types, recipe.type_weight)
        kernel.table_columns(block.pool.item, table, column, X)


class SeenFamily(Family):
    """How long the candidate has been around, and not been asked for."""

    def __init__(self) -> None:
        self.names = ["seen_first", "seen_latest"]

    def fill(self, block: Block, X: F32, column: int) -> None:
        pool, world = block.pool, block.world
        starts, times = world.times_by_item("type")
        kernel.seen_columns(
            pool.offsets, pool.item, world.query_ts(pool.first, block.end),
            starts, times, starts.size // world.sessions.n_items, column, X,
        )  # fmt: skip


class ItemFamily(Family):
    """What is known of an item: of the candidate, and beside the history."""

    def __init__(self, row: ItemAttributeFeature) -> None:
        self.row = row
        self.names = [f"{row.column}_{relation}" for relation in row.relations]

    def fill(self, block: Block, X: F32, column: int) -> None:
        pool, s = block.pool, block.world.sessions
        known = block.world.items[self.row.column].cast(pl.Float64).to_numpy()
        relations = np.array([RELATIONS.index(relation) for relation in self.row.relations])
        session_kernel.item_columns(
            s.offsets,
            s.item,
            s.ts,
            pool.first,
            pool.offsets,
            pool.item,
            known,
            relations,
            column,
            X,
        )


class ContextFamily(Family):
    """Where and on what the session's last event happened."""

    def __init__(self, row: ContextFeature) -> None:
        self.row = row
        self.names = [f"context_{row.column}"]

    def fill(self, block: Block, X: F32, column: int) -> None:
        pool, world = block.pool, block.world
        value = world.context(self.row.column)[block.last]
        X[:, column] = np.repeat(value, np.diff(pool.offsets))


def family(row: FeatureGroup, recipe: Recipe) -> Family:
    """The columns of one row of the recipe."""
    match row:
        case PopularityFeature() | ContextPopularityFeature():
            return PopularityFamily(row, recipe)
        case ItemStatisticsFeature():
            return StatisticsFamily(row, recipe)
        case TwoTowerFeature():
            return RetrievalFamily(row, recipe)
        case ItemAttributeFeature():
            return ItemFamily(row)
        case ContextFeature():
            return ContextFamily(row)
        case ItemAgeFeature():
            return SeenFamily()
        case MatrixFeature() | EmbeddingFeature():
            return ScoreFamily(row)


class Features:
    """All columns of a recipe: `names`, and their values for a pool."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.families: list[Family] = [
            PoolFamily(recipe), SessionFamily(recipe), OwnFamily(recipe)]  # fmt: skip
        for row in recipe.features:
            self.families.append(family(row, recipe))
            self.families[-1].group = type(row).__name__
        self.names = [name for family in self.families for name in family.names]
        if twice := {name for name in self.names if self.names.count(name) > 1}:
            raise ValueError(f"recipe {recipe.name}: two rows make the features {sorted(twice)}")
        ranked = [family.names[column] for family in self.families for column in family.ranked]
        self.sources = np.array([self.names.index(name) for name in ranked], np.int64)
        self.targets = np.arange(len(ranked)) + len(self.names)
        self.names += [f"{name}_rank" for name in ranked]

    @property
    def groups(self) -> dict[str, list[str]]:
        """The names of each group of families, with those of their ranks."""
        found: dict[str, list[str]] = {}
        for family in self.families:
            found.setdefault(family.group, []).extend(family.all_names)
        return found

    def compute(self, world: World, pool: Pool, wanted: Collection[str] | None = None) -> F32:
        """The matrix X, float32 of shape (rows of the pool, names).

        Of columns that are not `wanted` (None: all are), those that can be left out are 0.
        """
        X = np.zeros((pool.item.size, len(self.names)), np.float32)
        block = Block(self.recipe, world, pool)
        used, column = set(self.names if wanted is None else wanted), 0
        for family in self.families:
            if not used.isdisjoint(family.all_names):
                family.fill(block, X, column)
            column += len(family.names)
        ranked = np.array([self.names[target] in used for target in self.targets], np.bool_)
        where = self.sources[ranked], self.targets[ranked]
        kernel.rank_columns(pool.offsets, *where, X, get_num_threads())
        return X
