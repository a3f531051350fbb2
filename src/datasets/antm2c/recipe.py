"""Recipe of single impressions with clicks, scenes, texts and anonymous features."""

from __future__ import annotations

from math import inf
from typing import Any

from src.calibrators.platt import PlattCalibrator
from src.data.recipe import Objective, Recipe
from src.data.units import DAY, HOUR
from src.datasets.antm2c.columns import CATEGORIES
from src.datasets.antm2c.given import COLUMNS
from src.evaluation.slices import Slices
from src.features.as_of import AsOfFeature
from src.features.base import FeatureGroup
from src.features.given import GivenFeature
from src.features.impression import ImpressionFeature
from src.metrics.pooled import PooledAUC
from src.rankers.base import Ranker
from src.rankers.lgbm import LightGBMRanker
from src.rankers.losses.pointwise import BCE
from src.rankers.net import NetRanker
from src.rankers.nets.linear import Linear
from src.rankers.nets.mlp import MLP
from src.rankers.nets.mmoe import MMoE
from src.rankers.xgb import XGBoostRanker

DELAY = HOUR // 4
"""Seconds after a row at which its click is known."""
LOG = "shown"
CLICKS = (14 * DAY, None)
"""Windows of clicks: all of the last days are unknown, so shorter ones would be empty."""
# fmt: off
FEATURES: tuple[FeatureGroup, ...] = (
    AsOfFeature(LOG, ("item",), ("count", "decayed", "first", "last", "new"),
                (HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, None), (6 * HOUR, DAY, 7 * DAY)),
    AsOfFeature(LOG, ("item",), ("clicks", "rate"), CLICKS, (), DELAY),
    AsOfFeature(LOG, ("user",), ("count", "decayed", "first", "last", "new"),
                (HOUR, DAY, 7 * DAY, None), (DAY, 7 * DAY)),
    AsOfFeature(LOG, ("user",), ("clicks", "rate"), (None,), (), DELAY),
    AsOfFeature(LOG, ("scene",), ("rate",), CLICKS, (), DELAY),
    AsOfFeature(LOG, ("user", "scene"), ("count", "last"), (DAY, None)),
    AsOfFeature(LOG, ("user", "scene"), ("clicks", "rate"), (None,), (), DELAY),
    AsOfFeature(LOG, ("scene", "item"), ("count", "last"), (DAY, 7 * DAY, None)),
    AsOfFeature(LOG, ("scene", "item"), ("clicks", "rate"), CLICKS, (), DELAY),
    AsOfFeature(LOG, ("user", "item"), ("count", "last"), (None,)),
    AsOfFeature(LOG, ("user", "item"), ("clicks",), (None,), (), DELAY),
    ImpressionFeature(("scene", "hour", "weekday")),
    GivenFeature(),
)
# fmt: on
SLICES = Slices(
    ("scene",),
    (
        AsOfFeature(LOG, ("user",), ("count",), (None,)),
        AsOfFeature(LOG, ("item",), ("count", "rate"), (None,), (), DELAY),
    ),
    "shown_user_count_all",
    "shown_item_count_all",
    (("click", "shown_item_rate_all_0.25h_late"),),
)  # fmt: skip
SCENE = "impression_scene"
IDS = (SCENE, *CATEGORIES)
"""Features that are ids, not numbers."""
# LightGBM reads other categories as numbers: with sets of their values it learned noise by heart
LGBM_PARAMS = (
    ("num_leaves", 31), ("learning_rate", 0.05), ("min_data_in_leaf", 100),
    ("feature_fraction", 0.5), ("bagging_fraction", 0.8), ("bagging_freq", 1),
)  # fmt: skip
XGB_PARAMS = (
    ("max_depth", 6), ("learning_rate", 0.1), ("min_child_weight", 50), ("subsample", 0.8),
    ("colsample_bytree", 0.5),
)  # fmt: skip
NET: dict[str, Any] = {
    "stop": PooledAUC(), "categories": IDS, "batch_size": 2048, "epochs": 12, "patience": 1,
    "learning_rate": 0.001,
}  # fmt: skip
# fmt: off
RANKERS: tuple[Ranker, ...] = (
    NetRanker("logistic", Linear(), BCE(), **NET | {"learning_rate": 0.02}),
    LightGBMRanker("lgbm", (("objective", "binary"), *LGBM_PARAMS), 500, categories=(SCENE,)),
    XGBoostRanker("xgb", (("objective", "binary:logistic"), *XGB_PARAMS), 400),
    NetRanker("mlp", MLP(dim=8), BCE(), max_items=50_000, **NET),
    NetRanker("mmoe", MMoE(dim=8, scene=SCENE), BCE(), max_items=50_000, **NET),
)
# fmt: on

RECIPE = Recipe(
    name="antm2c",
    types=(),
    objectives=(Objective("click", 1.0),),
    metric=PooledAUC(),
    matrices=(),
    embeddings=(),
    retrievers=(),
    baselines=(),
    features=FEATURES,
    rankers=RANKERS,
    calibrator=PlattCalibrator(scene="scene"),
    slices=SLICES,
    given=True,
    given_columns=COLUMNS,
    max_train_rows=2_000_000,
    negatives_per_positive=inf,
    folds=2,
)
