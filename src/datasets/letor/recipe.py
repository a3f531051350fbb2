"""Recipe of query-document lists with grades."""

from __future__ import annotations

from math import inf

from src.data.recipe import Objective, Recipe
from src.features.base import FeatureGroup
from src.features.given import GivenFeature, GivenFusionFeature
from src.metrics.ndcg import NDCG
from src.rankers.xgb import XGBoostRanker

FEATURES: tuple[FeatureGroup, ...] = (GivenFeature(("value", "rank")),)
RANK_FEATURES: tuple[FeatureGroup, ...] = (
    GivenFeature(("value", "rank", "reciprocal")),
    GivenFusionFeature(),
)
"""Where all features are ranks of documents in lists, 1 for the top."""
TREES = (("max_depth", 5), ("learning_rate", 0.05), ("subsample", 0.8), ("colsample_bytree", 0.7))
# fmt: off
RANKERS = (
    XGBoostRanker("xgb_ndcg", (("objective", "rank:ndcg"), *TREES), eval_metric="ndcg@10"),
)
# fmt: on

RECIPE = Recipe(
    name="letor",
    types=(),
    objectives=(Objective("relevance", 1.0),),
    metric=NDCG(10),
    matrices=(),
    embeddings=(),
    retrievers=(),
    baselines=(),
    features=FEATURES,
    rankers=RANKERS,
    given=True,
    max_train_rows=10_000_000,
    negatives_per_positive=inf,
)
