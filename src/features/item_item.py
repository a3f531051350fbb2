"""Columns of item-item scores: the candidate beside every item of the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import get_num_threads

from src.core.arrays import F32, I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.vectors import item_vectors, source_vectors
from src.features.base import WEIGHTINGS, Block, FeatureGroup, Memory, labels, require_known
from src.features.item_item_kernel import Cell, matrix_columns, vector_columns
from src.features.weightings_kernel import N_LATEST, Weighting
from src.matrices.neighbours import all_neighbours

if TYPE_CHECKING:
    from src.data.recipe import Recipe

AGGREGATES = labels((Cell.SUM, Cell.MEAN, Cell.MAX))


class Column(NamedTuple):
    """A column: its name, what it holds, and which weighting or latest event that is of."""

    name: str
    cell: Cell
    which: int


@dataclass(frozen=True)
class ItemItemFeature(FeatureGroup):
    """Scores of the candidate and each history item: weighted, then aggregated.

    Every weighting meets every aggregate, and each sum has a rank within the query too. Behind them
    stand the scores beside the `latest` events one by one, and the number of different history
    items whose score is above `threshold` (None: no such column). A session without an event has 0
    in all columns.
    """

    table: str
    weightings: tuple[str, ...] = WEIGHTINGS
    aggregates: tuple[str, ...] = AGGREGATES
    latest: int = 5
    threshold: float | None = 0.0

    def __post_init__(self) -> None:
        require_known(f"feature of {self.table}", self.weightings, WEIGHTINGS)
        require_known(f"feature of {self.table}", self.aggregates, AGGREGATES)
        if not 0 <= self.latest <= N_LATEST:
            raise ValueError(f"feature of {self.table}: latest is at most {N_LATEST} events")

    def columns(self) -> list[Column]:
        """The columns, in order."""
        columns = [
            Column(f"{self.table}_{w}_{a}", Cell[a.upper()], Weighting[w.upper()])
            for w in self.weightings
            for a in self.aggregates
        ]
        columns += [Column(f"{self.table}_latest_{b}", Cell.LATEST, b) for b in range(self.latest)]
        if self.threshold is not None:
            columns.append(Column(f"{self.table}_n_above", Cell.N_ABOVE, 0))
        return columns

    def names(self, recipe: Recipe) -> list[str]:
        return [column.name for column in self.columns()]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        return [number for number, (_, cell, _) in enumerate(self.columns()) if cell == Cell.SUM]

    def causal(self) -> None:
        """Nothing: matrices and vectors are made from the whole split."""

    @property
    def cells(self) -> I64:
        """Numbers of what each column holds: (columns, 2)."""
        return np.array([(cell, which) for _, cell, which in self.columns()], np.int64)

    @property
    def least(self) -> np.float32:
        """The threshold as the kernels take it."""
        return np.float32(np.inf if self.threshold is None else self.threshold)


@dataclass(frozen=True)
class MatrixFeature(ItemItemFeature):
    """The score is the candidate's weight among the neighbours, in a matrix or by an embedding."""

    def check(self, recipe: Recipe) -> None:
        recipe.check_neighbours("matrix feature", self.table)

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.neighbours(run, split, self.table)]

    def memory(self, run: Run, split: str) -> Memory:
        """Offsets of all items; neighbours and weights, 4 bytes each, are mapped."""
        rows = count_rows(paths.neighbours(run, split, self.table))
        return Memory(8.0 * count_rows(paths.items(run)), 8.0 * rows)

    def fill(self, block: Block, X: F32, column: int) -> None:
        near = all_neighbours(block.data, self.table)
        matrix_columns(
            block.candidates, block.history, near.offsets, near.item, near.weight,
            self.least, self.cells, column, X, get_num_threads(),
        )  # fmt: skip


@dataclass(frozen=True)
class EmbeddingFeature(ItemItemFeature):
    """The score is the cosine of the history item and the candidate; 0 for one without a vector.

    Where an embedding is directed, the history item has its vector as the earlier item of a pair.
    """

    def check(self, recipe: Recipe) -> None:
        if self.table not in {row.name for row in recipe.embeddings}:
            raise ValueError(f"embedding feature: no embedding named {self.table}")

    def inputs(self, run: Run, split: str) -> list[Path]:
        """The vectors of items as candidates, and as history items."""
        vectors = paths.item_vectors(run, split, self.table)
        sources = paths.source_vectors(run, split, self.table)
        row = next(row for row in run.recipe.embeddings if row.name == self.table)
        return [vectors, *(file for file in row.files(run, split) if file == sources)]

    def memory(self, run: Run, split: str) -> Memory:
        return Memory(float(paths.total_size(self.inputs(run, split))))

    def fill(self, block: Block, X: F32, column: int) -> None:
        sources = source_vectors(block.data, self.table)
        vectors = item_vectors(block.data, self.table)
        vector_columns(
            block.candidates, block.history, sources, vectors,
            self.least, self.cells, column, X, get_num_threads(),
        )  # fmt: skip
