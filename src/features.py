"""Feature columns of the pool, computed block by block and never stored whole.

Names are built from the recipe's rows, in the order of the columns. To add features, add rows to
the recipe; to add a kind of feature, write a `Family` and a line in `family`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
import polars as pl
from numba import get_num_threads

from src import features_kernel as kernel
from src import search_kernel
from src.events import F32, I32, I64
from src.pool import Pool
from src.recipe import (
    RELATIONS,
    AlikeFeature,
    ContextFeature,
    EmbeddingFeature,
    FeatureRow,
    ItemFeature,
    MatrixFeature,
    PopularityFeature,
    Recipe,
    RetrievalFeature,
    SeenFeature,
)
from src.rules import World

WEIGHTINGS = ("equal", "position", "type", "time", "last")
AGGREGATES = ("sum", "mean", "max")
TAIL = 100  # history events that matrix and embedding features look at
SESSION_NAMES = ("events", "items", "seconds", "last_gap", "hour", "weekday", "visits")
OWN_NAMES = ("count", "back", "seconds", "last_type", "first_seconds")


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
    def items(self) -> tuple[I64, I32, F32, F32]:
        s = self.world.sessions
        weights = np.array(self.recipe.type_weight, np.float64)
        return kernel.history_items(
            s.offsets, s.aid, s.ts, s.type, self.pool.first, self.end, TAIL, weights
        )


class Family(ABC):
    """Some columns that are computed together."""

    names: list[str]
    ranked: int = 0  # so many of the first columns also get a rank within the query

    @abstractmethod
    def fill(self, block: Block, X: F32, column: int) -> None:
        """Write the columns X[:, column : column + len(names)]; X comes filled with zeros."""


class PoolFamily(Family):
    """The fused vote, the place in the pool, and every rule's rank and score."""

    def __init__(self, recipe: Recipe) -> None:
        rules = [rule.name for rule in recipe.rules]
        self.names = ["vote", "place"]
        self.names += [f"rank_{r}" for r in rules] + [f"score_{r}" for r in rules]

    def fill(self, block: Block, X: F32, column: int) -> None:
        pool, n = block.pool, block.pool.ranks.shape[1]
        X[:, column] = pool.vote
        X[:, column + 1] = np.arange(pool.aid.size) - np.repeat(
            pool.offsets[:-1], np.diff(pool.offsets)
        )
        # ABSENT is behind every rank; NaN would make XGBoost's histograms sparse, and slower
        X[:, column + 2 : column + 2 + n] = pool.ranks
        X[:, column + 2 + n : column + 2 + 2 * n] = pool.scores


class SessionFamily(Family):
    """The shape of the visible session: the same for all its candidates."""

    def __init__(self, recipe: Recipe) -> None:
        self.names = [f"session_{n}" for n in (*SESSION_NAMES, *recipe.types)]

    def fill(self, block: Block, X: F32, column: int) -> None:
        s, pool = block.world.sessions, block.pool
        n_types = len(block.recipe.types)
        kernel.session_columns(
            s.offsets, s.aid, s.ts, s.type, pool.first, pool.offsets, n_types, column, X
        )


class OwnFamily(Family):
    """What the session already did with the candidate."""

    def __init__(self, recipe: Recipe) -> None:
        self.names = [f"own_{n}" for n in (*OWN_NAMES, *recipe.types)]

    def fill(self, block: Block, X: F32, column: int) -> None:
        s, pool = block.world.sessions, block.pool
        n_types = len(block.recipe.types)
        kernel.own_columns(
            s.offsets, s.aid, s.ts, s.type, pool.first, pool.offsets, pool.aid, n_types, column, X
        )


class ScoreFamily(Family):
    """Item-item scores x weightings x aggregates, over the history."""

    ranked = 1

    def __init__(self, row: MatrixFeature | EmbeddingFeature) -> None:
        self.table = row.matrix if isinstance(row, MatrixFeature) else row.embedding
        self.is_matrix = isinstance(row, MatrixFeature)
        pairs = [(w, a) for w in row.weightings for a in row.aggregates]
        self.names = [f"{self.table}_{w}_{a}" for w, a in pairs]
        self.columns = np.array(
            [(WEIGHTINGS.index(w), AGGREGATES.index(a), c) for c, (w, a) in enumerate(pairs)]
        )

    def fill(self, block: Block, X: F32, column: int) -> None:
        pool, columns = block.pool, self.columns + np.array([0, 0, column])
        if self.is_matrix:
            near = block.world.matrix(self.table)
            kernel.matrix_columns(
                pool.offsets, pool.aid, *block.items, near.offsets, near.aid,
                near.weight, columns, X,
                get_num_threads(),
            )  # fmt: skip
        else:
            sides = block.world.sources(self.table), block.world.vectors(self.table)
            kernel.vector_columns(pool.offsets, pool.aid, *block.items, *sides, columns, X)


class RetrievalFamily(Family):
    """Cosine of the candidate and the query's vector, for every objective."""

    def __init__(self, row: RetrievalFeature, recipe: Recipe) -> None:
        self.names = [f"{row.model}_{objective.name}" for objective in recipe.objectives]
        self.ranked = len(self.names)
        self.row = row

    def fill(self, block: Block, X: F32, column: int) -> None:
        world, pool = block.world, block.pool
        queries = world.queries(self.row.model, pool.first, block.end)
        vectors = world.vectors(self.row.model)
        search_kernel.cosine_columns(pool.offsets, pool.aid, queries, vectors, column, X)


class PopularityFamily(Family):
    """Events on the candidate around the query: of one type, or of the query's own context."""

    ranked = 1

    def __init__(self, row: PopularityFeature | AlikeFeature, recipe: Recipe) -> None:
        span = "all" if row.window is None else f"{row.window / 3600:g}h"
        ahead = f"_{row.ahead / 3600:g}h_ahead" if row.ahead else ""
        self.column = row.column if isinstance(row, AlikeFeature) else "type"
        kind = f"same_{row.column}" if isinstance(row, AlikeFeature) else recipe.types[row.type]
        self.names = [f"popular_{kind}_{span}{ahead}"]
        self.row = row

    def kind(self, block: Block) -> I64:
        """The kind of events that count for each query."""
        if isinstance(self.row, PopularityFeature):
            return np.full(block.end - block.pool.first, self.row.type)
        return block.world.context(self.column)[block.last].astype(np.int64)

    def fill(self, block: Block, X: F32, column: int) -> None:
        """Counts of all candidates."""
        pool, world, row = block.pool, block.world, self.row
        starts, times = world.times_by_item(self.column)
        window = np.iinfo(np.int32).max if row.window is None else row.window
        kernel.popularity_column(
            pool.offsets, pool.aid, world.query_ts(pool.first, block.end), self.kind(block),
            starts, times, starts.size // world.sessions.n_items, window, row.ahead, column, X,
        )  # fmt: skip


class SeenFamily(Family):
    """How long the candidate has been around, and not been asked for."""

    def __init__(self) -> None:
        self.names = ["seen_first", "seen_latest"]

    def fill(self, block: Block, X: F32, column: int) -> None:
        pool, world = block.pool, block.world
        starts, times = world.times_by_item("type")
        kernel.seen_columns(
            pool.offsets, pool.aid, world.query_ts(pool.first, block.end),
            starts, times, starts.size // world.sessions.n_items, column, X,
        )  # fmt: skip


class ItemFamily(Family):
    """What is known of an item: of the candidate, and beside the history."""

    def __init__(self, row: ItemFeature) -> None:
        self.row = row
        self.names = [f"{row.column}_{relation}" for relation in row.relations]

    def fill(self, block: Block, X: F32, column: int) -> None:
        pool, s = block.pool, block.world.sessions
        known = block.world.items[self.row.column].cast(pl.Float64).to_numpy()
        relations = np.array([RELATIONS.index(relation) for relation in self.row.relations])
        kernel.item_columns(
            s.offsets, s.aid, s.ts, pool.first, pool.offsets, pool.aid, known, relations, column, X
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


def family(row: FeatureRow, recipe: Recipe) -> Family:
    """The columns of one row of the recipe."""
    match row:
        case PopularityFeature() | AlikeFeature():
            return PopularityFamily(row, recipe)
        case RetrievalFeature():
            return RetrievalFamily(row, recipe)
        case ItemFeature():
            return ItemFamily(row)
        case ContextFeature():
            return ContextFamily(row)
        case SeenFeature():
            return SeenFamily()
        case MatrixFeature() | EmbeddingFeature():
            return ScoreFamily(row)


class Features:
    """All columns of a recipe: `names`, and their values for a pool."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.families: list[Family] = [
            PoolFamily(recipe), SessionFamily(recipe), OwnFamily(recipe)]  # fmt: skip
        self.families += [family(row, recipe) for row in recipe.features]
        self.names = [name for family in self.families for name in family.names]
        if twice := {name for name in self.names if self.names.count(name) > 1}:
            raise ValueError(f"recipe {recipe.name}: two rows make the features {sorted(twice)}")
        ranked = [name for family in self.families for name in family.names[: family.ranked]]
        self.sources = np.array([self.names.index(name) for name in ranked], np.int64)
        self.names += [f"{name}_rank" for name in ranked]

    def compute(self, world: World, pool: Pool) -> F32:
        """The matrix X, float32 of shape (rows of the pool, names)."""
        X = np.zeros((pool.aid.size, len(self.names)), np.float32)
        block = Block(self.recipe, world, pool)
        column = 0
        for family in self.families:
            family.fill(block, X, column)
            column += len(family.names)
        kernel.rank_columns(pool.offsets, self.sources, column, X)
        return X
