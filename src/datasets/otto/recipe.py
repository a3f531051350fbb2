"""Recipe of OTTO: clicks, carts and orders.

Event types: 0 clicks, 1 carts, 2 orders. Comments mark rows that follow a public solution: T is
TheoViel (3rd place), C is Chris Deotte (3rd place), M is mrkmakr (1st place). Time windows end with
the split, where the originals end with the test week of the competition.
"""

from src.candidates.alternatives import Alternatives
from src.candidates.base import Baseline
from src.candidates.history import HistoryRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.session_knn import SessionKnnRetriever
from src.candidates.two_tower import TwoTowerRetriever
from src.data.recipe import Objective, Recipe
from src.data.units import DAY, HOUR
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.features.item_age import ItemAgeFeature
from src.features.item_item import EmbeddingFeature, MatrixFeature
from src.features.item_statistics import ItemStatisticsFeature
from src.features.pool import PoolFeature
from src.features.popularity import PopularityFeature
from src.features.session import SessionFeature
from src.features.session_item import SessionItemFeature
from src.features.two_tower import TwoTowerFeature
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.ease import EaseMatrix
from src.metrics.recall import Recall
from src.prerankers.base import PreRanker
from src.rankers.xgb import XGBoostRanker

CLICK, CART, ORDER = 0, 1, 2
BUYS = (CART, ORDER)
ONLY_BUYS = (0.0, 1.0, 1.0)

# All rows differ from the originals in four ways:
# - An item is never its own neighbour.
# - Positions, last events and session lengths count only events of the types kept.
# - The heaviest vote of a session for a pair counts (originals: the row that a join kept first).
#   A vote of 0 is no vote (originals: it pads a list).
# - `forward` compares positions (originals: times, which lose the order of equal times).
# fmt: off
MATRICES = (
    CovisitationMatrix("recent", last_events=30, max_gap_s=DAY, time_weight=3, half_life=HOUR,
                       top_n=80),  # C 93
    CovisitationMatrix("near_3w", last_days=21, half_life=HOUR),  # C 115
    CovisitationMatrix("then_buy_4w", last_days=28, backward=0.0, target_weight=ONLY_BUYS,
                       half_life=HOUR),  # C 116
    CovisitationMatrix("next1", max_steps=1),  # C 217
    CovisitationMatrix("next2", max_steps=2, top_n=80),  # C 220
    CovisitationMatrix("buy_next3", types=BUYS, backward=0.0, max_steps=3,
                       top_n=80),  # C 226
    CovisitationMatrix("near3", max_steps=3, half_life=HOUR, top_n=80),  # C 232
    CovisitationMatrix("near6", max_steps=6, half_life=HOUR, top_n=80),  # C 235
    CovisitationMatrix("then_buy_2h", backward=0.0, max_gap_s=2 * HOUR,
                       target_weight=ONLY_BUYS, half_life=HOUR, top_n=20),  # C 239
    CovisitationMatrix("first_then_buy", last_days=21, first_only=True, backward=0.0,
                       target_weight=ONLY_BUYS),  # C 700
    CovisitationMatrix("first_near", last_days=21, first_only=True, half_life=HOUR),  # C 701
    CovisitationMatrix("then_buy_6h", backward=0.0, target_weight=ONLY_BUYS,
                       half_life=6 * HOUR),  # C 155
    CovisitationMatrix("near_6h", half_life=6 * HOUR, top_n=80),  # C 157
    CovisitationMatrix("buy2buy", types=BUYS, max_gap_s=14 * DAY),  # C 90
    CovisitationMatrix("near_buys", last_events=30, target_weight=(1, 4, 4),
                       half_life=HOUR),  # C 95
    CovisitationMatrix("buy2buy_near", types=BUYS, last_days=28, half_life=HOUR),  # C 99
    CovisitationMatrix("day_recent", last_events=30, max_gap_s=DAY, time_weight=3),  # T temporal
    CovisitationMatrix("day_136", last_events=30, max_gap_s=DAY,
                       target_weight=(1, 3, 6)),  # T type136
    CovisitationMatrix("day_buys", types=BUYS, last_events=30, max_gap_s=DAY),  # T 12
    CovisitationMatrix("day_carts", last_events=30, max_gap_s=DAY,
                       target_weight=(0.5, 9, 0.5)),  # T type0.5-9-0.5
    CovisitationMatrix("ahead2_136", dedupe=False, backward=0.0, max_steps=2,
                       target_weight=(1, 3, 6), top_n=100),  # M 11
    CovisitationMatrix("ahead2_136_2w", dedupe=False, backward=0.0, max_steps=2,
                       last_days=14, target_weight=(1, 3, 6), top_n=100),  # M 12
    CovisitationMatrix("ahead2_buys", dedupe=False, backward=0.0, max_steps=2,
                       target_weight=(0, 3, 6), top_n=100),  # M 13
    CovisitationMatrix("ahead2_carts", dedupe=False, backward=0.0, max_steps=2,
                       target_weight=(1, 9, 1), top_n=100),  # M 14
    CovisitationMatrix("ahead2_clicks", dedupe=False, backward=0.0, max_steps=2,
                       target_weight=(1, 0, 0), top_n=100),  # M 15
    CovisitationMatrix("ahead5_136", dedupe=False, backward=0.0, max_steps=5,
                       target_weight=(1, 3, 6), top_n=100),  # M 16
    CovisitationMatrix("ahead20_196", dedupe=False, backward=0.0, max_steps=20,
                       target_weight=(1, 9, 6), top_n=100),  # M 17
    CovisitationMatrix("ahead2_orders", dedupe=False, backward=0.0, max_steps=2,
                       target_weight=(1, 15, 20), top_n=100),  # M 18
    EaseMatrix("ease", ridge=50.0, max_items=5_000),
)

EMBEDDINGS = (
    Word2VecEmbedding("w2v", dim=64, window=3, epochs=20, negative=5, min_count=5),
    FactorizationEmbedding("mf5", max_steps=5, negatives_per_pair=8, epochs=10),  # T MF 1-5
    TwoTowerEmbedding("net", epochs=6, min_positions=2_000_000, learning_rate=0.002,
                      temperature=0.1),  # M v42, smaller
)

EVEN = Seeds(decay=1.0)
RECENT = Seeds(decay=0.8)
LATEST = Seeds(max_items=2, decay=0.5)
BOUGHT = Seeds(decay=0.9, type_weight=ONLY_BUYS)
RETRIEVERS = (
    HistoryRetriever("own", Seeds(decay=0.9, type_weight=(1, 6, 3))),
    HistoryRetriever("own_latest", Seeds(decay=0.5), top=20),
    HistoryRetriever("own_bought", BOUGHT, top=20),
    ItemToItemRetriever("recent", "recent", RECENT),
    ItemToItemRetriever("near_3w", "near_3w", LATEST),
    ItemToItemRetriever("then_buy", "then_buy_4w", RECENT),
    ItemToItemRetriever("next2", "next2", LATEST),
    ItemToItemRetriever("near3_ends", "near3", Seeds(scope="visit_ends", decay=0.7)),
    ItemToItemRetriever("near6_visit", "near6", Seeds(scope="visit", decay=0.8)),
    ItemToItemRetriever("near_6h_day", "near_6h", Seeds(scope="day", decay=0.9)),
    ItemToItemRetriever("buy_next3", "buy_next3", BOUGHT),
    ItemToItemRetriever("buy2buy", "buy2buy", BOUGHT),
    ItemToItemRetriever("day_136", "day_136", EVEN),
    ItemToItemRetriever("day_carts", "day_carts", EVEN, normalize=False),
    ItemToItemRetriever("ahead_clicks", "ahead2_clicks", RECENT),
    ItemToItemRetriever("ahead_carts", "ahead2_carts", RECENT),
    ItemToItemRetriever("ease", "ease", RECENT, neighbours=200, power=0.0),
    SessionKnnRetriever("vsknn", sample_size=500, idf=True),
    SessionKnnRetriever("stan", sample_size=500, query_decay=2.0, recency_days=20.0,
                        item_decay=5.0),
    PopularRetriever("popular_hour", window_s=HOUR, bucket_s=300, top=40),
    PopularRetriever("popular", window_s=7 * DAY, top=40),
    PopularRetriever("popular_buys", window_s=7 * DAY, type_weight=ONLY_BUYS, top=20),
    ItemToItemRetriever("w2v_recent", "w2v", RECENT),
    ItemToItemRetriever("w2v_latest", "w2v", LATEST),
    ItemToItemRetriever("mf5_recent", "mf5", RECENT),
    ItemToItemRetriever("net_latest", "net", LATEST),
    TwoTowerRetriever("net_clicks", "net", CLICK),
    TwoTowerRetriever("net_carts", "net", CART),
    TwoTowerRetriever("net_orders", "net", ORDER),
)

ALTERNATIVES = (  # step 3 tries them in this order; take one out to keep what its row says
    Alternatives("vsknn", "item_decay", (0.0, 2.0, 5.0, 20.0)),
    Alternatives("vsknn", "recency_days", (0.0, 0.1, 1.0, 5.0, 20.0)),
    Alternatives("vsknn", "idf", (True, False)),
    Alternatives("vsknn", "neighbours", (200, 500, 1000)),
    Alternatives("stan", "query_decay", (1.0, 2.0, 4.0, 8.0)),
    Alternatives("stan", "recency_days", (0.0, 0.1, 1.0, 5.0, 20.0)),
    Alternatives("stan", "item_decay", (2.0, 5.0, 20.0)),
    Alternatives("stan", "idf", (True, False)),
    Alternatives("stan", "neighbours", (200, 500, 1000)),
    Alternatives("popular_hour", "window_s", (HOUR // 4, HOUR, 6 * HOUR, DAY)),
    Alternatives("popular", "window_s", (DAY, 3 * DAY, 7 * DAY, 28 * DAY)),
    Alternatives("popular_buys", "window_s", (DAY, 3 * DAY, 7 * DAY, 28 * DAY)),
)

BASELINES = (
    Baseline("popular", ("popular",)),
    Baseline("own, popular", ("own", "popular")),
    Baseline("own, 3 matrices, popular", ("own", "day_carts", "buy2buy", "popular")),
    Baseline("own, V-SKNN, popular", ("own", "vsknn", "popular")),
    Baseline("own, STAN, popular", ("own", "stan", "popular")),
)

FEATURES = (
    PoolFeature(),
    SessionFeature(),
    SessionItemFeature(),
    *(MatrixFeature(matrix.name) for matrix in MATRICES),
    EmbeddingFeature("w2v", threshold=0.5),
    EmbeddingFeature("mf5", threshold=0.5),
    TwoTowerFeature("net"),
    *(PopularityFeature(t, (HOUR, 3 * HOUR, DAY, 7 * DAY, None)) for t in (CLICK, CART, ORDER)),
    ItemStatisticsFeature(),
    ItemStatisticsFeature(last_days=7),
    ItemAgeFeature(),
)
# fmt: on

XGB: tuple[tuple[str, float | int | str], ...] = (
    ("learning_rate", 0.1), ("max_depth", 6), ("subsample", 0.9), ("colsample_bytree", 0.3),
    ("min_child_weight", 5), ("alpha", 0.01), ("lambda", 1.0), ("max_bin", 128),
)  # fmt: skip
RANKERS = (
    XGBoostRanker(
        "logistic",
        (("objective", "binary:logistic"), *XGB),
        eval_metric="logloss",
        max_features=150,
    ),
    XGBoostRanker(
        "graded",
        (("objective", "rank:ndcg"), *XGB),
        eval_metric="ndcg@20",
        max_features=150,
        shared=True,
    ),
)

PRERANKER = PreRanker(
    XGBoostRanker(
        "cheap",
        (("objective", "rank:ndcg"), *(dict(XGB) | {"max_depth": 4, "max_bin": 64}).items()),
        num_boost_round=100,
        early_stopping_rounds=20,
        eval_metric="ndcg@20",
        shared=True,
    ),
    features=(
        PoolFeature(),
        SessionFeature(),
        SessionItemFeature(),
        TwoTowerFeature("net"),
        *(PopularityFeature(t, (DAY, None)) for t in (CLICK, ORDER)),
    ),
    keep=60,
)
"""Left out of the recipe: docs/prerankers.md says why, and when it pays."""

RECIPE = Recipe(
    name="otto",
    types=("clicks", "carts", "orders"),
    objectives=(
        Objective("clicks", 0.1, next_only=True),
        Objective("carts", 0.3),
        Objective("orders", 0.6),
    ),
    metric=Recall(20),
    matrices=MATRICES,
    embeddings=EMBEDDINGS,
    retrievers=RETRIEVERS,
    baselines=BASELINES,
    features=FEATURES,
    rankers=RANKERS,
    alternatives=ALTERNATIVES,
    type_weight=(1.0, 6.0, 3.0),
    by_window=True,
)
