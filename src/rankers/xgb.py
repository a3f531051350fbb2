"""XGBoost as a ranker; src/rankers/xgb_trainer.py trains its models."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.run import Run
from src.rankers.base import ALL, FitTask, Ranker

if TYPE_CHECKING:
    from src.data.recipe import Recipe
    from src.rankers.compiled_trees import TreeModel
    from src.rankers.train_set import TrainSet
    from src.rankers.xgb_trainer import FoldMatrices

Params = tuple[tuple[str, float | int | str], ...]

SOFTMAX = "softmax"
"""The loss of xgb_softmax.py over all candidates of a query; rank:ndcg compares pairs."""


@dataclass(frozen=True)
class XGBoostRanker(Ranker):
    """Trains an XGBoost model per objective and fold; if shared, one per fold for all objectives.

    The "objective" among the params is the loss: one of XGBoost's, or SOFTMAX.

    A shared model learns grades: 0 for a negative, 1 for a positive of the first objective, 2 for
    the second, ... The highest grade of a candidate counts, so the objectives of the recipe should
    ascend in weight.
    """

    suffix = "ubj"
    features_only = True

    params: Params
    num_boost_round: int = 1000
    early_stopping_rounds: int = 50
    eval_metric: str = "auc"  # of early stopping, on the valid rows; AUC is logged too
    max_features: int | None = None  # the best by gain (selection.py); None: all
    shared: bool = False

    @classmethod
    def first_of_one_objective(cls, recipe: Recipe) -> XGBoostRanker:
        """Return the first row of this kind that is not shared; ValueError if there is none."""
        for row in recipe.rankers:
            if isinstance(row, cls) and not row.shared:
                return row
        raise ValueError(f"recipe {recipe.name}: no {cls.__name__} learns one objective")

    @property
    def is_listwise(self) -> bool:
        """Whether the loss compares the candidates of a query; others see each row alone."""
        return str(dict(self.params)["objective"]).startswith(("rank:", SOFTMAX))

    @property
    def max_bin(self) -> int:
        """Largest number of bins of a feature; 256 is XGBoost's default."""
        return int(dict(self.params).get("max_bin", 256))

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where the params have no loss."""
        if "objective" not in dict(self.params):
            raise ValueError(f"ranker {self.name}: its params name no objective (the loss)")

    def target(self, objective: str) -> str:
        """Return the objective, or ALL if shared."""
        return ALL if self.shared else objective

    def group_key(self) -> Hashable:
        """Return what the binned matrices depend on."""
        return type(self).__name__, self.max_features, self.max_bin

    @property
    def fit_order(self) -> int:
        """0 for pointwise losses, 1 for listwise ones: once set, a matrix keeps its queries."""
        return int(self.is_listwise)

    def memory(self, train_set: TrainSet, models_at_a_time: int) -> float:
        """Count a byte per cell for the bins, .25 for XGBoost's work, and what reading takes."""
        matrices = 1.25 * train_set.cells(self.max_features)
        return models_at_a_time * (matrices + train_set.reading_memory(self.max_features))

    def prepare(self, run: Run, task: FitTask, train_set: TrainSet) -> FoldMatrices:
        """Read and bin the features of the train and the valid rows."""
        from src.rankers.xgb_trainer import FoldMatrices

        return FoldMatrices.read(task, train_set, self.max_features, self.max_bin)

    def fit(self, task: FitTask, data: FoldMatrices, path: Path) -> None:
        """Boost trees until eval_metric stops to improve on the valid rows."""
        from src.rankers import xgb_trainer

        model = xgb_trainer.fit(self, task, data)
        path.write_bytes(model.save_raw("ubj"))

    def load(self, path: Path, run: Run) -> TreeModel:
        """Read a model; compile it if its trees are shallow enough."""
        from src.rankers import compiled_trees

        return compiled_trees.load(path, run.engine.threads)
