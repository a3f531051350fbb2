"""Rankers of boosted trees: the fields of their rows, and their models."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from src.core.arrays import F32, I64
from src.rankers.base import ALL, Ranker, RankerModel

if TYPE_CHECKING:
    from src.data.recipe import Recipe
    from src.rankers.batches import CandidateBatch

Params = tuple[tuple[str, float | int | str], ...]


@dataclass(frozen=True)
class TreesRanker(Ranker):
    """Trains trees per objective and fold; if shared, one model per fold for all objectives.

    The "objective" among the params is the loss. A loss of two classes reads a grade above 0 as 1;
    all others learn the grades.

    A shared model learns grades: 0 for a negative, 1 for a positive of the first objective, 2 for
    the second, ... The highest grade of a candidate counts, so the objectives of the recipe should
    ascend in weight.
    """

    features_only = True
    reserved: ClassVar[Mapping[str, str]]
    """Params that the trainer sets, and what sets them: a field, a flag, ..."""

    params: Params
    num_boost_round: int = 1000
    early_stopping_rounds: int = 50  # every fifth one is evaluated, and the last
    eval_metric: str = "auc"  # of early stopping, on the valid rows; AUC is logged too
    max_features: int | None = None  # the best by gain (selection.py); None: all
    shared: bool = False

    @classmethod
    def first_of_one_objective(cls, recipe: Recipe) -> Self:
        """Return the first row of this kind that is not shared; ValueError if there is none."""
        for row in recipe.rankers:
            if isinstance(row, cls) and not row.shared:
                return row
        raise ValueError(
            f"recipe {recipe.name}: no {cls.__name__} learns one objective; add one to its rankers"
        )

    @property
    def loss(self) -> str:
        """The loss: "objective" of the params."""
        return str(dict(self.params)["objective"])

    @property
    @abstractmethod
    def is_listwise(self) -> bool:
        """Whether the loss compares the candidates of a query; others see each row alone."""

    @property
    @abstractmethod
    def is_binary(self) -> bool:
        """Whether the loss knows two classes only."""

    @property
    def is_of_odds(self) -> bool:
        """Whether scores, or their differences, are log-odds: the draw is corrected."""
        return self.is_listwise or self.is_binary

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError for rounds below 1, and params without a loss or set elsewhere."""
        if min(self.num_boost_round, self.early_stopping_rounds) < 1:
            raise ValueError(
                f"ranker {self.name}: num_boost_round and early_stopping_rounds are at least 1"
            )
        if "objective" not in dict(self.params):
            raise ValueError(f"ranker {self.name}: its params name no objective (the loss)")
        for key in dict(self.params):
            if key in self.reserved:
                raise ValueError(f"ranker {self.name}: leave {key} to {self.reserved[key]}")

    def labels(self, grades: F32) -> F32:
        """Convert grades to the labels of the loss: float32 (rows)."""
        return (grades > 0).astype(np.float32) if self.is_binary else grades

    def target(self, objective: str) -> str:
        """Return the objective, or ALL if shared."""
        return ALL if self.shared else objective


class TreeModel(RankerModel):
    """A model of trees, which scores by features alone."""

    @abstractmethod
    def sum_trees(self, X: F32, columns: I64, rows: I64) -> F32:
        """Score rows of X; columns: int64, the column of X of each of `names`."""

    def margins(self, X: F32, names: list[str], rows: I64 | None = None) -> F32:
        columns = _columns(tuple(self.names), tuple(names))
        return self.sum_trees(X, columns, np.arange(len(X)) if rows is None else rows)

    def scores(self, batch: CandidateBatch) -> F32:
        return self.margins(batch.X, batch.names, batch.rows)


@lru_cache(maxsize=1_000)
def _columns(read: tuple[str, ...], names: tuple[str, ...]) -> I64:
    """Find the places of the names that are read: int64. Batches of one run share them."""
    column_of = {name: number for number, name in enumerate(names)}
    return np.array([column_of[name] for name in read], np.int64)
