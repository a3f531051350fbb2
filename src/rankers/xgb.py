"""XGBoost as a ranker; src/rankers/xgb_trainer.py trains its models."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from src.core.run import Run
from src.rankers.base import FitTask, Host
from src.rankers.trees import TreesRanker

if TYPE_CHECKING:
    from src.data.recipe import Recipe
    from src.rankers.train_set import TrainSet
    from src.rankers.trees import TreeModel
    from src.rankers.xgb_trainer import FoldMatrices

SOFTMAX = "softmax"
"""The loss of xgb_softmax.py over all candidates of a query; rank:ndcg compares pairs."""
METRICS_OF_QUERIES = ("ndcg", "map", "pre")
"""XGBoost's names of metrics that are means over queries, without "@5" or "-"."""


@dataclass(frozen=True)
class XGBoostRanker(TreesRanker):
    """Trains XGBoost models.

    The loss is one of XGBoost's, or SOFTMAX. rank:ndcg and rank:pairwise take whole grades up to
    31; with ("ndcg_exp_gain", False) the gain is the grade itself, and grades are any numbers.
    """

    suffix = "ubj"
    reserved: ClassVar[Mapping[str, str]] = {
        "eval_metric": "the field eval_metric", "seed": "the recipe's seed", "device": "--engine",
        "nthread": "the trainer: one thread a model", "tree_method": "the trainer: hist",
    }  # fmt: skip

    @property
    def is_listwise(self) -> bool:
        return self.loss.startswith(("rank:", SOFTMAX))

    @property
    def is_binary(self) -> bool:
        return self.loss.startswith(("binary:", "reg:logistic", "rank:map"))

    @property
    def is_of_odds(self) -> bool:
        """See TreesRanker; the scores of a hinge loss are no log-odds."""
        return super().is_of_odds and self.loss != "binary:hinge"

    @property
    def needs_queries(self) -> bool:
        """Whether loss or metrics need the query of a row.

        AUC of grades does: without queries XGBoost computes it for two classes only.
        """
        by_query = self.metric_kind in METRICS_OF_QUERIES
        return self.is_listwise or by_query or not self.is_binary

    @property
    def metric_kind(self) -> str:
        """The name of eval_metric without its cut: "ndcg" of "ndcg@5-"."""
        return self.eval_metric.partition("@")[0].rstrip("-")

    @property
    def max_bin(self) -> int:
        """Largest number of bins of a feature; 256 is XGBoost's default."""
        return int(dict(self.params).get("max_bin", 256))

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError for a loss with more than one score per row, and other boosters, too."""
        super().check(recipe)
        if (booster := dict(self.params).get("booster", "gbtree")) != "gbtree":
            raise ValueError(f"ranker {self.name}: booster {booster} is not built; take gbtree")
        if self.loss.startswith("multi:"):
            raise ValueError(f"ranker {self.name}: {self.loss} scores classes; take rank:ndcg")

    def group_key(self) -> Hashable:
        """Return what the binned matrices depend on; once set, a matrix keeps its correction."""
        return type(self).__name__, self.max_features, self.unread, self.max_bin, self.is_of_odds

    @property
    def fit_order(self) -> int:
        """0 for rankers without queries, else 1: once set, a matrix keeps its queries."""
        return int(self.needs_queries)

    def memory(self, train_set: TrainSet, models_at_a_time: int) -> float:
        """Count two bytes per cell for the bins, by rows and by columns; .5 for the work; reading.

        Measured with 120 to 480 million cells of 128 bins.
        """
        matrices = 2.5 * train_set.cells(self.max_features)
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

    def load(self, path: Path, run: Host) -> TreeModel:
        """Read a model; compile it if its trees are shallow enough."""
        from src.rankers import compiled_trees

        return compiled_trees.load(path, run.engine.threads)
