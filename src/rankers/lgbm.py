"""LightGBM as a ranker; src/rankers/lgbm_trainer.py trains its models."""

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
    from src.rankers.lgbm_model import LightGBMTrees
    from src.rankers.lgbm_trainer import FoldDatasets
    from src.rankers.train_set import TrainSet

LISTWISE = ("lambdarank", "rank_xendcg")
BINARY = ("binary", "cross_entropy")
LOSSES = (
    *LISTWISE, *BINARY, "regression", "regression_l1", "huber", "fair", "poisson", "quantile",
    "mape", "gamma", "tweedie",
)  # fmt: skip
"""LightGBM's losses with one score per row."""
OF_DATASET = (
    "max_bin", "min_data_in_bin", "bin_construct_sample_cnt", "data_random_seed", "use_missing",
    "zero_as_missing", "enable_bundle", "linear_tree",
)  # fmt: skip
"""Params that decide the bins: rankers that differ in one share no data."""
BIN_ROWS = 100_000
"""Rows from whose values the bins are made, unless bin_construct_sample_cnt says otherwise.

LightGBM warns of fewer.
"""
BYTES_OF_SAMPLE = 24
"""Bytes of a value of these rows: LightGBM holds it in three forms at the same time."""


@dataclass(frozen=True)
class LightGBMRanker(TreesRanker):
    """Trains LightGBM models, on the CPU with any engine.

    lambdarank and rank_xendcg take whole grades; label_gain, "0,1,3,7", is the gain of each grade,
    and 2^grade - 1 without it. Categories are features with whole numbers from 0, whose splits are
    sets of values; a negative number is a missing value. eval_metric "ndcg@5" sets eval_at too.
    """

    suffix = "lgb"
    reserved: ClassVar[Mapping[str, str]] = {
        "metric": "the field eval_metric", "eval_at": "the field eval_metric",
        "num_iterations": "the field num_boost_round", "seed": "the recipe's seed",
        "num_boost_round": "the field num_boost_round",
        "early_stopping_round": "the field early_stopping_rounds",
        "categorical_feature": "the field categories",
        "num_threads": "the trainer: one thread a model", "device_type": "the trainer: the CPU",
    }  # fmt: skip

    categories: tuple[str, ...] = ()  # features that are read as categories, selected or not

    @property
    def is_listwise(self) -> bool:
        return self.loss in LISTWISE

    @property
    def is_binary(self) -> bool:
        return self.loss in BINARY

    @property
    def is_of_odds(self) -> bool:
        """See TreesRanker; XE-NDCG has targets of its own for negatives."""
        scaled = float(dict(self.params).get("sigmoid", 1)) != 1
        return super().is_of_odds and self.loss != "rank_xendcg" and not scaled

    @property
    def bin_params(self) -> dict[str, float | int | str]:
        """Params of the binned datasets."""
        chosen = {key: value for key, value in self.params if key in OF_DATASET}
        return {"bin_construct_sample_cnt": BIN_ROWS} | chosen

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError for an unknown loss, and for categories that are no features."""
        super().check(recipe)
        if self.loss not in LOSSES:
            raise ValueError(f"ranker {self.name}: objective {self.loss} is none of {LOSSES}")
        if "dart" in dict(self.params).values():
            raise ValueError(f"ranker {self.name}: dart changes earlier trees, none can be cut off")
        names = {name for row in recipe.features for name in row.all_names(recipe)}
        if unknown := sorted(set(self.categories) - names):
            raise ValueError(f"ranker {self.name}: categories {unknown} are no features")

    def group_key(self) -> Hashable:
        """Return what the binned datasets depend on; once set, one keeps its correction."""
        bins = tuple(sorted(self.bin_params.items()))
        columns = self.max_features, self.unread, self.categories
        return type(self).__name__, *columns, bins, self.is_of_odds

    def memory(self, train_set: TrainSet, models_at_a_time: int) -> float:
        """Count a byte per cell for the bins, .25 for the rest, and what reading takes."""
        most = self.max_features and self.max_features + len(self.categories)
        rows = min(train_set.label.size, int(self.bin_params["bin_construct_sample_cnt"]))
        sample = BYTES_OF_SAMPLE * rows * train_set.cells(most) / train_set.label.size
        datasets = 1.25 * train_set.cells(most)
        return models_at_a_time * (datasets + sample + train_set.reading_memory(most))

    def prepare(self, run: Run, task: FitTask, train_set: TrainSet) -> FoldDatasets:
        """Read and bin the features of the train and the valid rows."""
        from src.rankers.lgbm_trainer import FoldDatasets

        return FoldDatasets.read(self, task, train_set)

    def fit(self, task: FitTask, data: FoldDatasets, path: Path) -> None:
        """Boost trees until eval_metric stops to improve on the valid rows."""
        from src.rankers import lgbm_trainer

        path.write_text(lgbm_trainer.fit(self, task, data))

    def load(self, path: Path, run: Host) -> LightGBMTrees:
        """Read a model, a text of LightGBM's format."""
        from src.rankers.lgbm_model import LightGBMTrees

        return LightGBMTrees.load(path, run.engine.threads)
