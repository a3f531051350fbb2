"""OTTO, Multi-Objective Recommender System (Kaggle 2022-23): clicks, carts and orders.

Event types: 0 clicks, 1 carts, 2 orders. Where a row reproduces a public solution's, the comment
names it: T = TheoViel (3rd place), C = Chris Deotte (3rd place), M = mrkmakr (1st place).
Windows are anchored at the split's own end, not at the end of the competition's test week.
"""

from src.candidates.rows import (
    Baseline,
    HistoryRetriever,
    ItemToItemRetriever,
    PopularRetriever,
    Seeds,
    SessionKnnRetriever,
    TwoTowerRetriever,
)
from src.data.recipe import Objective, RawFile, Recipe, Source
from src.data.units import DAY, HOUR
from src.datasets.otto.split import prepare_otto
from src.datasets.otto.submission import otto_asked, otto_facts, otto_layout, otto_truth, write_otto
from src.embeddings.rows import (
    Embedding,
    FactorizationEmbedding,
    TwoTowerEmbedding,
    Word2VecEmbedding,
)
from src.features.rows import (
    EmbeddingFeature,
    FeatureGroup,
    ItemAgeFeature,
    ItemStatisticsFeature,
    MatrixFeature,
    PopularityFeature,
    TwoTowerFeature,
)
from src.matrices.rows import CovisitationMatrix
from src.rankers.rows import XGBoostRanker

CLICK, CART, ORDER = 0, 1, 2
BUYS = (CART, ORDER)
ONLY_BUYS = (0.0, 1.0, 1.0)

# Against the originals, for all rows alike: an item is never its own neighbour; positions, tails
# and lengths are those of the event types kept; of a pair's votes in a session the heaviest counts
# (theirs: whichever row a join left first); a vote of 0 is none (theirs padded lists with them);
# `forward` goes by position (theirs by time: the order of equal times was lost).
# fmt: off
MATRICES = (
    CovisitationMatrix("recent", tail=30, within=DAY, recency=3, half_life=HOUR, top_n=80),  # C 93
    CovisitationMatrix("near_3w", last_days=21, half_life=HOUR),  # C 115
    CovisitationMatrix("then_buy_4w", last_days=28, direction="forward", target_weight=ONLY_BUYS,
              half_life=HOUR),  # C 116
    CovisitationMatrix("next1", steps=1),  # C 217
    CovisitationMatrix("next2", steps=2, top_n=80),  # C 220
    CovisitationMatrix("buy_next3", types=BUYS, direction="forward", steps=3, top_n=80),  # C 226
    CovisitationMatrix("near3", steps=3, half_life=HOUR, top_n=80),  # C 232
    CovisitationMatrix("near6", steps=6, half_life=HOUR, top_n=80),  # C 235
    CovisitationMatrix("then_buy_2h", direction="forward", within=2 * HOUR, target_weight=ONLY_BUYS,
              half_life=HOUR, top_n=20),  # C 239
    CovisitationMatrix("first_then_buy", last_days=21, first_only=True, direction="forward",
              target_weight=ONLY_BUYS),  # C 700
    CovisitationMatrix("first_near", last_days=21, first_only=True, half_life=HOUR),  # C 701
    CovisitationMatrix("then_buy_6h", direction="forward", target_weight=ONLY_BUYS,
              half_life=6 * HOUR),  # C 155
    CovisitationMatrix("near_6h", half_life=6 * HOUR, top_n=80),  # C 157
    CovisitationMatrix("buy2buy", types=BUYS, within=14 * DAY),  # C 90
    CovisitationMatrix("near_buys", tail=30, target_weight=(1, 4, 4), half_life=HOUR),  # C 95
    CovisitationMatrix("buy2buy_near", types=BUYS, last_days=28, half_life=HOUR),  # C 99
    CovisitationMatrix("day_recent", tail=30, within=DAY, recency=3),  # T temporal
    CovisitationMatrix("day_136", tail=30, within=DAY, target_weight=(1, 3, 6)),  # T type136
    CovisitationMatrix("day_buys", types=BUYS, tail=30, within=DAY),  # T 12
    CovisitationMatrix("day_carts", tail=30, within=DAY, target_weight=(0.5, 9, 0.5)),  # T type0.5-9-0.5
    CovisitationMatrix("ahead2_136", once=False, direction="forward", steps=2,
              target_weight=(1, 3, 6), top_n=100),  # M 11
    CovisitationMatrix("ahead2_136_2w", once=False, direction="forward", steps=2, last_days=14,
              target_weight=(1, 3, 6), top_n=100),  # M 12
    CovisitationMatrix("ahead2_buys", once=False, direction="forward", steps=2,
              target_weight=(0, 3, 6), top_n=100),  # M 13
    CovisitationMatrix("ahead2_carts", once=False, direction="forward", steps=2,
              target_weight=(1, 9, 1), top_n=100),  # M 14
    CovisitationMatrix("ahead2_clicks", once=False, direction="forward", steps=2,
              target_weight=(1, 0, 0), top_n=100),  # M 15
    CovisitationMatrix("ahead5_136", once=False, direction="forward", steps=5,
              target_weight=(1, 3, 6), top_n=100),  # M 16
    CovisitationMatrix("ahead20_196", once=False, direction="forward", steps=20,
              target_weight=(1, 9, 6), top_n=100),  # M 17
    CovisitationMatrix("ahead2_orders", once=False, direction="forward", steps=2,
              target_weight=(1, 15, 20), top_n=100),  # M 18
    CovisitationMatrix("ahead2_carts_wide", once=False, direction="forward", steps=2,
              target_weight=(1, 9, 1), top_n=300),  # M 19
    CovisitationMatrix("ahead2_136_wide", once=False, direction="forward", steps=2,
              target_weight=(1, 3, 6), top_n=300),  # M 20
)

EMBEDDINGS: tuple[Embedding, ...] = (
    Word2VecEmbedding("w2v", size=64, window=3, epochs=20, negative=5, min_count=5),
    FactorizationEmbedding("mf5", steps=5, negatives=8, epochs=10),  # T MF 1-5
    TwoTowerEmbedding("net", epochs=6, rate=0.002, temperature=0.1),  # M v42, in small
)

EVEN = Seeds(recency=1.0)
RECENT = Seeds(recency=0.8)
LATEST = Seeds(last=2, recency=0.5)
BOUGHT = Seeds(recency=0.9, type_weight=ONLY_BUYS)
RULES = (
    HistoryRetriever("own", Seeds(recency=0.9, type_weight=(1, 6, 3))),
    HistoryRetriever("own_latest", Seeds(recency=0.5), top=20),
    HistoryRetriever("own_bought", BOUGHT, top=20),
    ItemToItemRetriever("recent", "recent", RECENT),
    ItemToItemRetriever("near_3w", "near_3w", LATEST),
    ItemToItemRetriever("then_buy", "then_buy_4w", RECENT),
    ItemToItemRetriever("next2", "next2", LATEST),
    ItemToItemRetriever("near3_ends", "near3", Seeds(scope="visit_ends", recency=0.7)),
    ItemToItemRetriever("near6_visit", "near6", Seeds(scope="visit", recency=0.8)),
    ItemToItemRetriever("near_6h_day", "near_6h", Seeds(scope="day", recency=0.9)),
    ItemToItemRetriever("buy_next3", "buy_next3", BOUGHT),
    ItemToItemRetriever("buy2buy", "buy2buy", BOUGHT),
    ItemToItemRetriever("day_136", "day_136", EVEN),
    ItemToItemRetriever("day_carts", "day_carts", EVEN, share=False),
    ItemToItemRetriever("ahead_clicks", "ahead2_clicks", RECENT),
    ItemToItemRetriever("ahead_carts", "ahead2_carts", RECENT),
    SessionKnnRetriever("vsknn", sample=500, idf=True),
    SessionKnnRetriever("stan", sample=500, query_decay=2.0, recency_days=20.0, item_decay=5.0),
    PopularRetriever("popular_hour", window=HOUR, bucket=300, top=20),
    PopularRetriever("popular", window=7 * DAY, top=40),
    PopularRetriever("popular_buys", window=7 * DAY, type_weight=ONLY_BUYS, top=20),
    ItemToItemRetriever("w2v_recent", "w2v", RECENT),
    ItemToItemRetriever("w2v_latest", "w2v", LATEST),
    ItemToItemRetriever("mf5_recent", "mf5", RECENT),
    ItemToItemRetriever("net_latest", "net", LATEST),
    TwoTowerRetriever("net_clicks", "net", CLICK),
    TwoTowerRetriever("net_carts", "net", CART),
    TwoTowerRetriever("net_orders", "net", ORDER),
)

BASELINES = (
    Baseline("popular", ("popular",)),
    Baseline("own, popular", ("own", "popular")),
    Baseline("own, 3 matrices, popular", ("own", "day_carts", "buy2buy", "popular")),
    Baseline("own, V-SKNN, popular", ("own", "vsknn", "popular")),
    Baseline("own, STAN, popular", ("own", "stan", "popular")),
)

FEATURES: tuple[FeatureGroup, ...] = (
    *(MatrixFeature(m.name) for m in MATRICES if not m.name.endswith("_wide")),
    EmbeddingFeature("w2v", above=0.5),
    EmbeddingFeature("mf5", above=0.5),
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
    XGBoostRanker("logistic", (("objective", "binary:logistic"), *XGB), columns=150),
    XGBoostRanker(
        "graded", (("objective", "rank:ndcg"), *XGB), metric="ndcg@20", columns=150, shared=True
    ),
)

SOURCE = Source(  # the organisers' figures; rows are sessions
    page="https://www.kaggle.com/competitions/otto-recommender-system",
    licence="CC-BY 4.0",
    kaggle="otto-recommender-system",
    files=(
        RawFile("train.jsonl*", 12_899_779, 1_659_304_800_000, 1_661_723_999_999),
        RawFile("test.jsonl*", 1_671_803, 1_661_724_000_000, 1_662_328_791_999),
    ),
)

RECIPE = Recipe(
    name="otto",
    prepare=prepare_otto,
    write_submission=write_otto,
    layout=otto_layout,
    asked=otto_asked,
    truth=otto_truth,
    facts=otto_facts,
    types=("clicks", "carts", "orders"),
    objectives=(
        Objective("clicks", 0.1, next_only=True),
        Objective("carts", 0.3),
        Objective("orders", 0.6),
    ),
    metric="recall",
    k=20,
    matrices=MATRICES,
    embeddings=EMBEDDINGS,
    rules=RULES,
    baselines=BASELINES,
    features=FEATURES,
    rankers=RANKERS,
    type_weight=(1.0, 6.0, 3.0),
    source=SOURCE,
)
