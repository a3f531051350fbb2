"""News recommendation (Tianchi entrance/531842): the article that ends a user's visit, MRR@5.

The real clicks of Globo.com, October 2017. Event types: 0 clicks inside a visit, 1 its last click,
30 s after the one before (src/datasets/tianchi/clicklog.py). Where a row takes up a public solution's idea, the
comment names it: L = LogicJake (2nd place), I = ikaruga (3rd place), F = fun-rec (the tutorial).
"""

from src.candidates.rows import (
    Baseline,
    ItemToItemRetriever,
    NewItemRetriever,
    PopularRetriever,
    Seeds,
    SessionKnnRetriever,
    TransitionRetriever,
    TwoTowerRetriever,
)
from src.data.recipe import Objective, RawFile, Recipe, Source
from src.data.units import DAY, HOUR
from src.datasets.tianchi.clicklog import prepare_clicks
from src.datasets.tianchi.submission import (
    ranking_asked,
    ranking_facts,
    ranking_layout,
    ranking_truth,
    write_ranking,
)
from src.embeddings.rows import PretrainedEmbedding, TwoTowerEmbedding, Word2VecEmbedding
from src.features.rows import (
    ContextFeature,
    ContextPopularityFeature,
    EmbeddingFeature,
    FeatureGroup,
    ItemAgeFeature,
    ItemAttributeFeature,
    ItemStatisticsFeature,
    MatrixFeature,
    PopularityFeature,
    TwoTowerFeature,
)
from src.matrices.rows import CovisitationMatrix, SwingMatrix
from src.rankers.rows import DINRanker, Ranker, XGBoostRanker

CLICK, END = 0, 1
MINUTE = 60
VISIT = 30 * MINUTE + 1  # seconds within which the next click is of the same visit
ENDS = (0.0, 1.0, 0.0)

# fmt: off
MATRICES = (
    CovisitationMatrix("end_next", direction="forward", steps=1, within=VISIT, once=False,
              target_weight=ENDS, top_n=100),  # I: pairs 30 s apart
    CovisitationMatrix("next", direction="forward", steps=1, within=VISIT, once=False, top_n=100),
    CovisitationMatrix("visit_end", direction="forward", steps=20, within=VISIT, once=False,
              target_weight=ENDS, top_n=100),
    CovisitationMatrix("visit", steps=5, within=VISIT, step_decay=0.8, top_n=100),
    CovisitationMatrix("day", tail=100, within=DAY, half_life=HOUR, top_n=100),
    CovisitationMatrix("itemcf", tail=100, steps=30, step_decay=0.9, session_norm=True, item_norm=0.5,
              top_n=100),  # L, F, its constant time terms left out
    CovisitationMatrix("binetwork", tail=200, session_norm=True, top_n=100),  # L
    SwingMatrix("swing", top_n=100),
)

EMBEDDINGS = (
    Word2VecEmbedding("w2v", size=64, window=3, epochs=3, negative=5, min_count=2),  # L
    PretrainedEmbedding("content", "articles_emb.csv", "article_id"),  # F; where the download has it
    TwoTowerEmbedding("net", ahead=1, epochs=2, positions=2_000_000, rate=0.003),
)

LAST = Seeds(last=1)
LAST2 = Seeds(last=2, recency=0.7)
RECENT = Seeds(last=10, recency=0.7)
RULES = (
    ItemToItemRetriever("end_next", "end_next", LAST, neighbours=100),
    ItemToItemRetriever("next", "next", LAST2, neighbours=100),
    ItemToItemRetriever("visit_end", "visit_end", LAST2, neighbours=100),
    ItemToItemRetriever("visit", "visit", RECENT, neighbours=100),
    ItemToItemRetriever("day", "day", RECENT, neighbours=100),
    ItemToItemRetriever("itemcf", "itemcf", LAST2, neighbours=100),  # L: the last two clicks only
    ItemToItemRetriever("binetwork", "binetwork", LAST, neighbours=100),
    ItemToItemRetriever("swing", "swing", LAST2, neighbours=100),
    TransitionRetriever("flow_10m", LAST, half_life=10 * MINUTE, target_weight=ENDS),
    TransitionRetriever("flow_1h", LAST, half_life=HOUR, target_weight=ENDS),
    TransitionRetriever("flow_6h", LAST, half_life=6 * HOUR, target_weight=ENDS),
    TransitionRetriever("flow_any", LAST2, half_life=2 * HOUR),
    TransitionRetriever("flow_far", RECENT, steps=3, half_life=HOUR),
    TransitionRetriever("flow_before", LAST, half_life=HOUR, ahead=False, target_weight=ENDS),
    SessionKnnRetriever("readers", sample=500, query_decay=2.0, recency_days=1.0, item_decay=3.0),  # F: UserCF
    PopularRetriever("popular_10m", window=10 * MINUTE, bucket=MINUTE, top=50),
    PopularRetriever("popular_around", window=30 * MINUTE, bucket=MINUTE, ahead=15 * MINUTE, top=50),
    PopularRetriever("popular_ends", window=30 * MINUTE, bucket=MINUTE, ahead=15 * MINUTE,
                type_weight=ENDS, top=50),
    PopularRetriever("popular_day", window=DAY, bucket=10 * MINUTE, top=50),
    NewItemRetriever("fresh", "created", days=1.0, same="category", top=30),
    NewItemRetriever("cold", "created", days=1.0, same="category", near="words", apart=100.0,
              unseen=True, top=5),  # F: the four rules for articles never clicked
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

WINDOWS = (10 * MINUTE, HOUR, 6 * HOUR, DAY)
FEATURES: tuple[FeatureGroup, ...] = (
    *(MatrixFeature(m.name, ("position", "time"), ("sum",), 1, None) for m in MATRICES),
    EmbeddingFeature("w2v", ("position",), ("mean", "max"), 1, None),
    EmbeddingFeature("content", ("position",), ("max",), 1, None),
    TwoTowerFeature("net"),
    *(PopularityFeature(t, (*WINDOWS, None)) for t in (CLICK, END)),
    *(PopularityFeature(t, (w,), w) for t in (CLICK, END) for w in (5 * MINUTE, 15 * MINUTE, HOUR)),
    *(ContextPopularityFeature(c, (w,), w) for c in ("region", "os", "referrer") for w in (HOUR, 6 * HOUR)),
    ItemAgeFeature(),
    ItemStatisticsFeature(),
    ItemStatisticsFeature(last_days=1),
    ItemAttributeFeature("created", ("age", "last_age", "minus_last", "minus_mean")),
    ItemAttributeFeature("words", ("value", "last", "minus_last", "minus_mean")),
    ItemAttributeFeature("category", ("value", "last", "same_last", "share")),
    *(ContextFeature(c) for c in ("environment", "device", "os", "country", "region", "referrer")),
)
# fmt: on

RANKERS: tuple[Ranker, ...] = (
    XGBoostRanker("softmax", (
        ("objective", "softmax"), ("learning_rate", 0.15), ("max_depth", 7), ("subsample", 0.9),
        ("colsample_bytree", 0.3), ("min_child_weight", 5), ("lambda", 1.0), ("max_bin", 128),
    ), rounds=200, patience=20, metric="ndcg@5", columns=100),
    DINRanker("din", batch=512, epochs=2, categories=(
        "category_value", "category_last", "context_device", "context_os", "context_region",
        "context_referrer",
    )),
)  # fmt: skip

OCTOBER_2017, YEAR = 1_506_816_000_000, 365 * DAY * 1000  # ms
SOURCE = Source(
    page="https://tianchi.aliyun.com/competition/entrance/531842",
    licence="Globo.com's clicks, for academic use only",
    kaggle="",
    files=(
        RawFile("train_click_log.csv", 1_112_623, OCTOBER_2017, OCTOBER_2017 + 50 * DAY * 1000),
        RawFile("testA_click_log.csv", 518_010, OCTOBER_2017, OCTOBER_2017 + 50 * DAY * 1000),
        RawFile("articles.csv", 364_047, OCTOBER_2017 - 12 * YEAR, OCTOBER_2017 + YEAR),
    ),
)

RECIPE = Recipe(
    name="tianchi",
    prepare=prepare_clicks,
    write_submission=write_ranking,
    layout=ranking_layout,
    asked=ranking_asked,
    truth=ranking_truth,
    facts=ranking_facts,
    types=("clicks", "ends"),
    objectives=(Objective("ends", 1.0, next_only=True),),
    metric="mrr",
    k=5,
    matrices=MATRICES,
    embeddings=EMBEDDINGS,
    rules=RULES,
    baselines=BASELINES,
    features=FEATURES,
    rankers=RANKERS,
    train_queries=400_000,
    pool_size=100,
    train_rows=4_500_000,
    negatives=25.0,
    source=SOURCE,
)
