"""Recipe of lists of news articles, shown at a moment."""

from __future__ import annotations

from math import inf
from typing import Any

from src.calibrators.platt import PlattCalibrator
from src.data.recipe import Objective, Recipe
from src.data.units import DAY, HOUR
from src.evaluation.slices import Slices
from src.features.as_of import AsOfFeature
from src.features.base import FeatureGroup
from src.features.exposure_ahead import ExposureAheadFeature
from src.features.impression import ImpressionFeature
from src.features.item_number import ItemNumberFeature
from src.metrics.auc import AUC
from src.metrics.pooled import PooledAUC
from src.rankers.base import Ranker
from src.rankers.lgbm import LightGBMRanker
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.list_transformer import ListTransformer
from src.rankers.nets.mlp import MLP
from src.rankers.xgb import XGBoostRanker

CONTEXT = (
    "front", "device", "hour", "weekday", "length", "is_sso_user", "is_subscriber", "gender", "age",
)  # fmt: skip
MINUTES_15 = HOUR // 4
CLICK, SECOND = "click", ("read", "scroll")
"""Objectives: the click decides the lists; how its page was read is known of clicked items only."""
# fmt: off
FEATURES: tuple[FeatureGroup, ...] = (
    AsOfFeature(
        "shown", ("item",), ("count", "share", "depth", "decayed", "first", "last"),
        (MINUTES_15, HOUR, 3 * HOUR, 6 * HOUR, DAY, None), (HOUR, 6 * HOUR),
    ),
    AsOfFeature("shown", ("scene", "item"), ("count", "share", "depth", "first", "last"),
                (HOUR, 6 * HOUR, DAY)),
    AsOfFeature("shown", ("user", "item"), ("count", "depth", "first", "last"), (HOUR, DAY, None)),
    AsOfFeature("shown", ("page", "item"), ("count", "depth"), (6 * HOUR, None)),
    AsOfFeature("visits", ("user", "item"), ("count", "last"), (None,)),
    AsOfFeature("shown", ("user",), ("count", "last"), (HOUR, DAY)),
    AsOfFeature("visits", ("user",), ("count", "last"), (HOUR, DAY, None)),
    ItemNumberFeature(("shown", "visits")),
    ImpressionFeature(CONTEXT),
    *(AsOfFeature("reads", ("user",), ("rate",), (7 * DAY, None), delay_s=HOUR, outcome=outcome)
      for outcome in SECOND),
)
# fmt: on
SLICES = Slices(
    scenes=("scene",),
    features=(
        AsOfFeature("shown", ("user",), ("count",), (None,)),
        AsOfFeature("shown", ("item",), ("count", "rate"), (None,)),
        *(
            AsOfFeature("reads", ("user",), ("rate",), (None,), delay_s=HOUR, outcome=outcome)
            for outcome in SECOND
        ),
    ),
    user_count="shown_user_count_all",
    item_count="shown_item_count_all",
    rates=(
        (CLICK, "shown_item_rate_all"),
        *((name, f"reads_user_{name}_rate_all_1h_late") for name in SECOND),
    ),
)
AHEAD: tuple[FeatureGroup, ...] = (
    ExposureAheadFeature("shown", ("item",), (HOUR // 4, HOUR, 6 * HOUR, DAY)),
    ExposureAheadFeature("shown", ("scene", "item"), (HOUR, 6 * HOUR, DAY)),
)
LGBM_PARAMS = (
    ("num_leaves", 31), ("learning_rate", 0.05), ("min_data_in_leaf", 50),
    ("feature_fraction", 0.4), ("bagging_fraction", 0.8), ("bagging_freq", 1),
)  # fmt: skip
XGB_PARAMS = (
    ("max_depth", 5), ("learning_rate", 0.05), ("min_child_weight", 20), ("subsample", 0.8),
    ("colsample_bytree", 0.4),
)  # fmt: skip
RATE_PARAMS = (
    ("num_leaves", 7), ("learning_rate", 0.05), ("min_data_in_leaf", 100),
    ("feature_fraction", 0.4), ("bagging_fraction", 0.8), ("bagging_freq", 1),
)  # fmt: skip
STOP = "ndcg@10"
ON_CLICK: Any = {"objectives": (CLICK,), "unread": ("reads_",)}
"""How a reader treats pages is the same for all articles of a list."""
SOFTMAX, PATIENCE = Softmax(over="lists"), 3
"""About one article of a list is clicked, so a list is one choice."""
# fmt: off
RANKERS: tuple[Ranker, ...] = (
    LightGBMRanker("lgbm", (("objective", "lambdarank"), *LGBM_PARAMS), 500, eval_metric=STOP,
                   **ON_CLICK),
    XGBoostRanker("xgb_ndcg", (("objective", "rank:ndcg"), *XGB_PARAMS), 500, eval_metric=STOP,
                  **ON_CLICK),
    NetRanker("mlp", MLP(dropout=0.3), SOFTMAX, stop=AUC(), epochs=12, patience=PATIENCE, nets=2,
              **ON_CLICK),
    NetRanker("lists", ListTransformer(dropout=0.3), SOFTMAX, stop=AUC(), epochs=12,
              patience=PATIENCE, learning_rate=0.001, **ON_CLICK),
    LightGBMRanker("lgbm_rate", (("objective", "binary"), *RATE_PARAMS), 500,
                   eval_metric="binary_logloss", objectives=SECOND),
)
# fmt: on

RECIPE = Recipe(
    name="ebnerd",
    types=(),
    objectives=(
        Objective(CLICK, 1.0),
        *(Objective(name, 0.0, metric=PooledAUC()) for name in SECOND),
    ),
    metric=AUC(),
    matrices=(),
    embeddings=(),
    retrievers=(),
    baselines=(),
    features=FEATURES,
    rankers=RANKERS,
    calibrator=PlattCalibrator("scene"),
    slices=SLICES,
    given=True,
    max_train_rows=20_000_000,
    negatives_per_positive=inf,
)
