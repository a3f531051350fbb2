"""List the neighbours of the seed items, in one matrix or by one embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from numba import get_num_threads

from src.candidates import item_to_item_kernel
from src.candidates.base import Retriever
from src.candidates.seeds import Seeds
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import TopLists
from src.data.split_data import SplitData
from src.matrices.neighbours import count_matrix_rows, matrix_rows, top_neighbours

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class ItemToItemRetriever(Retriever):
    """Lists neighbours of the seed items; their weights are summed over the seeds (ItemCF)."""

    made_ahead: ClassVar[bool] = True

    matrix: str  # name of a matrix or embedding
    seeds: Seeds
    neighbours: int = 20  # of each seed
    normalize: bool = True  # by the sum of a seed's neighbours; else each neighbour weighs 1
    power: float = 1.0  # of the sum that weights are divided by; 0: the weights as they are
    top: int = 50

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.matrix,)

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError if the matrix is missing, or weights lack an event type."""
        super().check(recipe)
        recipe.check_weights(f"retriever {self.name}", self.seeds.type_weight)

    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of the neighbours, and of the sums over all items of each thread."""
        items = count_rows(paths.items(run))
        pairs = count_rows(paths.neighbours(run, split, self.matrix))
        rows = count_matrix_rows(run, split, self.matrix)
        table = 8 * min(rows * self.neighbours, pairs) + 8 * rows
        return table + run.engine.threads * 12 * items

    def causal(self) -> Self:
        """Return the row itself: the matrix is made ahead."""
        return self

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Sum the neighbours' weights of each query's seeds."""
        near = top_neighbours(data, self.matrix, self.neighbours)
        seeds = self.seeds.select(data, first, end)
        rows = matrix_rows(data, self.matrix, first, seeds.offsets, seeds.item)
        return item_to_item_kernel.item_to_item_lists(
            seeds.offsets, rows, seeds.weight, near.offsets, near.item, near.weight, data.n_items,
            self.neighbours, self.normalize, self.power, self.top, get_num_threads(),
        )  # fmt: skip
