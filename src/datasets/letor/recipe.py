"""Recipe of query-document lists with grades."""

from __future__ import annotations

from math import inf

from src.data.recipe import Objective, Recipe
from src.features.base import FeatureGroup
from src.features.given import GivenFeature, GivenFusionFeature
from src.metrics.ndcg import NDCG
from src.rankers.base import Ranker
from src.rankers.lgbm import LightGBMRanker
from src.rankers.losses.listmle import ListMLE
from src.rankers.losses.pairs import RankNet
from src.rankers.net import NetRanker
from src.rankers.nets.list_transformer import ListTransformer
from src.rankers.nets.mlp import MLP
from src.rankers.xgb import XGBoostRanker

FEATURES: tuple[FeatureGroup, ...] = (GivenFeature(("value", "rank")),)
RANK_FEATURES: tuple[FeatureGroup, ...] = (
    GivenFeature(("value", "rank", "reciprocal")),
    GivenFusionFeature(),
)
"""Where all features are ranks of documents in lists, 1 for the top."""
XGB_PARAMS = (
    ("max_depth", 4), ("learning_rate", 0.05), ("min_child_weight", 5), ("subsample", 0.8),
    ("colsample_bytree", 0.5),
)  # fmt: skip
LGBM_PARAMS = (
    ("num_leaves", 15), ("learning_rate", 0.05), ("min_data_in_leaf", 50),
    ("feature_fraction", 0.5), ("bagging_fraction", 0.8), ("bagging_freq", 1),
)  # fmt: skip
STOP = "ndcg@10"
# fmt: off
RANKERS: tuple[Ranker, ...] = (
    XGBoostRanker("xgb_ndcg", (("objective", "rank:ndcg"), *XGB_PARAMS), eval_metric=STOP),
    XGBoostRanker("xgb_pairwise", (("objective", "rank:pairwise"), *XGB_PARAMS), eval_metric=STOP),
    LightGBMRanker("lgbm", (("objective", "lambdarank"), *LGBM_PARAMS), eval_metric=STOP),
    NetRanker("mlp", MLP(), ListMLE(weights="log"), nets=3),
    NetRanker("lists", ListTransformer(), RankNet(), nets=3),
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
