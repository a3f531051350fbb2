"""Recipe of the news clicks: the article that ends a user's visit, MRR@5.

Event types: 0 clicks inside a visit, 1 its last click (src/datasets/tianchi/clicklog.py). Comments
mark rows that follow a public solution: L is LogicJake (2nd place), I is ikaruga (3rd place), F is
fun-rec (the tutorial).
"""

from src.candidates.base import Baseline
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.new_items import NewItemRetriever
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.session_knn import SessionKnnRetriever
from src.candidates.transitions import TransitionRetriever
from src.candidates.two_tower import TwoTowerRetriever
from src.data.recipe import Objective, Recipe
from src.data.units import DAY, HOUR
from src.embeddings.pretrained import PretrainedEmbedding
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.features.context import ContextFeature
from src.features.item_age import ItemAgeFeature
from src.features.item_attribute import ItemAttributeFeature
from src.features.item_item import EmbeddingFeature, MatrixFeature
from src.features.item_statistics import ItemStatisticsFeature
from src.features.pool import PoolFeature
from src.features.popularity import ContextPopularityFeature, PopularityFeature
from src.features.session import SessionFeature
from src.features.session_item import SessionItemFeature
from src.features.two_tower import TwoTowerFeature
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.swing import SwingMatrix
from src.metrics.mrr import MRR
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.din import DIN
from src.rankers.xgb import XGBoostRanker

CLICK, END = 0, 1
MINUTE = 60
VISIT = 30 * MINUTE + 1  # seconds: the next click of the same visit comes before
ENDS = (0.0, 1.0, 0.0)

# fmt: off
MATRICES = (
    CovisitationMatrix("end_next", backward=0.0, max_steps=1, max_gap_s=VISIT, dedupe=False,
                       target_weight=ENDS, top_n=100),  # I: pairs 30 s apart
    CovisitationMatrix("next", backward=0.0, max_steps=1, max_gap_s=VISIT, dedupe=False,
                       top_n=100),
    CovisitationMatrix("visit_end", backward=0.0, max_steps=20, max_gap_s=VISIT,
                       dedupe=False, target_weight=ENDS, top_n=100),
    CovisitationMatrix("visit", max_steps=5, max_gap_s=VISIT, step_decay=0.8, top_n=100),
    CovisitationMatrix("day", last_events=100, max_gap_s=DAY, half_life=HOUR, top_n=100),
    CovisitationMatrix("itemcf", last_events=100, max_steps=30, step_decay=0.9, backward=0.7,
                       session_norm=True, item_norm=0.5, top_n=100),  # L, F, without time terms
    CovisitationMatrix("binetwork", last_events=200, session_norm=True, top_n=100),  # L
    SwingMatrix("swing", top_n=100),
)

EMBEDDINGS = (
    Word2VecEmbedding("w2v", dim=64, window=3, epochs=3, negative=5, min_count=2),  # L
    PretrainedEmbedding("content", "articles_emb.csv", "article_id"),  # F; if the file is there
    TwoTowerEmbedding("net", n_targets=1, epochs=2, max_positions=2_000_000, learning_rate=0.003),
)

LAST = Seeds(max_items=1)
LAST2 = Seeds(max_items=2, decay=0.7)
RECENT = Seeds(max_items=10, decay=0.7)
RETRIEVERS = (
    ItemToItemRetriever("end_next", "end_next", LAST, neighbours=100),
    ItemToItemRetriever("next", "next", LAST2, neighbours=100),
    ItemToItemRetriever("visit_end", "visit_end", LAST2, neighbours=100),
    ItemToItemRetriever("visit", "visit", RECENT, neighbours=100),
    ItemToItemRetriever("day", "day", RECENT, neighbours=100),
    ItemToItemRetriever("itemcf", "itemcf", LAST2, neighbours=100, exclude_seen=True),  # L
    ItemToItemRetriever("binetwork", "binetwork", LAST, neighbours=100, exclude_seen=True),
    ItemToItemRetriever("swing", "swing", LAST2, neighbours=100),
    TransitionRetriever("flow_10m", LAST, half_life=10 * MINUTE, target_weight=ENDS),
    TransitionRetriever("flow_1h", LAST, half_life=HOUR, target_weight=ENDS),
    TransitionRetriever("flow_6h", LAST, half_life=6 * HOUR, target_weight=ENDS),
    TransitionRetriever("flow_any", LAST2, half_life=2 * HOUR),
    TransitionRetriever("flow_far", RECENT, max_steps=3, half_life=HOUR),
    TransitionRetriever("flow_before", LAST, half_life=HOUR, looks_ahead=False, target_weight=ENDS),
    SessionKnnRetriever("readers", neighbours=500, query_decay=1.0, recency_days=0.3,
                        item_decay=1.0, exclude_seen=True),  # F: UserCF
    PopularRetriever("popular_10m", window_s=10 * MINUTE, bucket_s=MINUTE, top=50),
    PopularRetriever("popular_around", window_s=30 * MINUTE, bucket_s=MINUTE,
                     lookahead_s=15 * MINUTE, top=50),
    PopularRetriever("popular_ends", window_s=30 * MINUTE, bucket_s=MINUTE,
                     lookahead_s=15 * MINUTE, type_weight=ENDS, top=50),
    PopularRetriever("popular_day", window_s=DAY, bucket_s=10 * MINUTE, top=50),
    NewItemRetriever("fresh", "created", max_age_days=1.0, same="category", top=30),
    NewItemRetriever("cold", "created", max_age_days=1.0, same="category", near="words",
                     max_distance=100.0, unseen=True, top=5),  # F: rules for unread articles
    ItemToItemRetriever("w2v", "w2v", LAST2),
    ItemToItemRetriever("content", "content", LAST2, top=30),
    TwoTowerRetriever("net_ends", "net", objective=0, top=50),
)

BASELINES = (
    Baseline("popular, last day", ("popular_day",)),
    Baseline("popular, last 10 minutes", ("popular_10m",)),
    Baseline("ItemCF, last two clicks", ("itemcf", "popular_10m")),
    Baseline("binetwork, last click", ("binetwork", "popular_10m")),
    Baseline("pairs 30 s apart", ("end_next", "popular_10m")),
    Baseline("next click", ("next", "popular_10m")),
    Baseline("next click, near in time", ("flow_1h", "next", "popular_10m")),
)

BACK = (10 * MINUTE, HOUR, 6 * HOUR, DAY, None)  # windows before the query
AROUND = (5 * MINUTE, 15 * MINUTE, HOUR)  # windows that reach as far beyond the query
FEATURES = (
    PoolFeature(),
    SessionFeature(),
    SessionItemFeature(),
    *(MatrixFeature(m.name, ("position", "time"), ("sum",), 1, None) for m in MATRICES),
    EmbeddingFeature("w2v", ("position",), ("mean", "max"), 1, None),
    EmbeddingFeature("content", ("position",), ("max",), 1, None),
    TwoTowerFeature("net"),
    *(PopularityFeature(t, BACK) for t in (CLICK, END)),
    *(PopularityFeature(t, (w,), w) for t in (CLICK, END) for w in AROUND),
    *(ContextPopularityFeature(column, (w,), w)
      for column in ("region", "os", "referrer") for w in (HOUR, 6 * HOUR)),
    ItemAgeFeature(),
    ItemStatisticsFeature(),
    ItemStatisticsFeature(last_days=1),
    ItemAttributeFeature("created", ("age", "last_age", "minus_last", "minus_mean")),
    ItemAttributeFeature("words", ("value", "last", "minus_last", "minus_mean")),
    ItemAttributeFeature("category", ("value", "last", "same_last", "share")),
    *(ContextFeature(c) for c in ("environment", "device", "os", "country", "region", "referrer")),
)
# fmt: on

RANKERS = (
    XGBoostRanker("softmax", (
        ("objective", "softmax"), ("learning_rate", 0.15), ("max_depth", 7), ("subsample", 0.9),
        ("colsample_bytree", 0.3), ("min_child_weight", 5), ("lambda", 1.0), ("max_bin", 128),
    ), num_boost_round=200, early_stopping_rounds=20, eval_metric="ndcg@5", max_features=100),
    NetRanker("din", DIN(), Softmax(), MRR(100), categories=(
        "category_value", "category_last", "context_device", "context_os", "context_region",
        "context_referrer",
    ), max_items=100_000, batch_size=256, epochs=2, patience=1),
)  # fmt: skip

RECIPE = Recipe(
    name="tianchi",
    types=("clicks", "ends"),
    objectives=(Objective("ends", 1.0, next_only=True),),
    metric=MRR(5),
    matrices=MATRICES,
    embeddings=EMBEDDINGS,
    retrievers=RETRIEVERS,
    baselines=BASELINES,
    features=FEATURES,
    rankers=RANKERS,
    min_train_queries=400_000,
    pool_size=100,
    max_train_rows=4_500_000,
    negatives_per_positive=25.0,
)
