"""Columns: item-item scores of the candidate and the history items, weighted and aggregated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np
from numba import get_num_threads

from src.core.arrays import F32, I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.vectors import item_vectors, source_vectors
from src.features.base import (
    WEIGHTINGS,
    FeatureGroup,
    Memory,
    QueryBatch,
    lower_names,
    require_known,
)
from src.features.item_item_kernel import Aggregate, matrix_columns, vector_columns
from src.features.weightings_kernel import N_LATEST, Weighting
from src.matrices.neighbours import all_neighbours, count_matrix_rows, matrix_rows

if TYPE_CHECKING:
    from src.data.recipe import Recipe

AGGREGATES = lower_names((Aggregate.SUM, Aggregate.MEAN, Aggregate.MAX))


class Column(NamedTuple):
    """A column: its name, its aggregate, and the number of its weighting or latest event."""

    name: str
    aggregate: Aggregate
    number: int


@dataclass(frozen=True)
class ItemItemFeature(FeatureGroup):
    """Weighs and aggregates the scores of the candidate and each history item.

    The history items are those of the last HISTORY_EVENTS events. The columns, in order: each
    weighting with each aggregate; the score of the item of each of the `latest` events; the number
    of history items whose score is above the threshold. Sums have a rank within the query too. A
    session without an event has 0 in all columns.
    """

    made_ahead: ClassVar[bool] = True

    table: str  # name of a matrix or an embedding
    weightings: tuple[str, ...] = ("equal", "type", "recsys")
    aggregates: tuple[str, ...] = AGGREGATES
    latest: int = 2
    threshold: float | None = 0.0  # None: no column of the number above it

    def __post_init__(self) -> None:
        require_known(f"feature of {self.table}", self.weightings, WEIGHTINGS)
        require_known(f"feature of {self.table}", self.aggregates, AGGREGATES)
        if not 0 <= self.latest <= N_LATEST:
            raise ValueError(f"feature of {self.table}: latest is at most {N_LATEST} events")

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.table,)

    @cache  # noqa: B019 - a recipe has few rows, and a query asks for each many times
    def columns(self) -> list[Column]:
        """Describe the columns, in order."""
        columns = [
            Column(f"{self.table}_{w}_{a}", Aggregate[a.upper()], Weighting[w.upper()])
            for w in self.weightings
            for a in self.aggregates
        ]
        columns += [
            Column(f"{self.table}_latest_{back}", Aggregate.LATEST, back)
            for back in range(self.latest)
        ]
        if self.threshold is not None:
            columns.append(Column(f"{self.table}_n_above", Aggregate.N_ABOVE, 0))
        return columns

    def names(self, recipe: Recipe) -> list[str]:
        return [column.name for column in self.columns()]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        columns = enumerate(self.columns())
        return [number for number, column in columns if column.aggregate == Aggregate.SUM]

    def causal(self) -> Self:
        return self

    @property
    def codes(self) -> I64:
        """The columns as kernels take them: aggregate and number, int64 (columns, 2)."""
        return np.array([(aggregate, number) for _, aggregate, number in self.columns()], np.int64)

    @property
    def kernel_threshold(self) -> np.float32:
        """The threshold as kernels take it: infinite for None."""
        return np.float32(np.inf if self.threshold is None else self.threshold)


@dataclass(frozen=True)
class MatrixFeature(ItemItemFeature):
    """Takes as score the weight of the candidate among the neighbours of the history item.

    Neighbours are those of a matrix or of an embedding; other candidates have score 0.
    """

    def check(self, recipe: Recipe) -> None:
        recipe.check_neighbours("matrix feature", self.table)

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.neighbours(run, split, self.table)]

    def memory(self, run: Run, split: str) -> Memory:
        """Count offsets of all rows; neighbours and weights, 4 bytes each, are mapped."""
        pairs = count_rows(paths.neighbours(run, split, self.table))
        return Memory(8.0 * count_matrix_rows(run, split, self.table), 8.0 * pairs)

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        near, history = all_neighbours(batch.data, self.table), batch.history
        rows = matrix_rows(batch.data, self.table, batch.first, history.offsets, history.item)
        matrix_columns(
            batch.candidates, history._replace(item=rows), near.offsets, near.item, near.weight,
            self.kernel_threshold, self.codes, column, X, get_num_threads(),
        )  # fmt: skip


@dataclass(frozen=True)
class EmbeddingFeature(ItemItemFeature):
    """Takes as score the cosine of the vectors of the history item and the candidate.

    0 where one of them has no vector. Of an embedding with source vectors, the history item has its
    source vector.
    """

    def check(self, recipe: Recipe) -> None:
        if self.table not in {row.name for row in recipe.embeddings}:
            raise ValueError(f"embedding feature: no embedding named {self.table}")

    def inputs(self, run: Run, split: str) -> list[Path]:
        """List the files of item vectors, and of source vectors if the embedding has these."""
        vectors = paths.item_vectors(run, split, self.table)
        sources = paths.source_vectors(run, split, self.table)
        row = next(row for row in run.recipe.embeddings if row.name == self.table)
        return [vectors, *(file for file in row.files(run, split) if file == sources)]

    def memory(self, run: Run, split: str) -> Memory:
        return Memory(float(paths.total_size(self.inputs(run, split))))

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        sources = source_vectors(batch.data, self.table)
        vectors = item_vectors(batch.data, self.table)
        vector_columns(
            batch.candidates, batch.history, sources, vectors,
            self.kernel_threshold, self.codes, column, X, get_num_threads(),
        )  # fmt: skip
