"""Recipe of a log: rows of OTTO fitted to its types, and rows for long histories of users."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from src.candidates.alternatives import Alternatives
from src.candidates.base import Baseline, Retriever
from src.candidates.history import HistoryRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.new_items import NewItemRetriever
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.session_knn import SessionKnnRetriever
from src.candidates.two_tower import TwoTowerRetriever
from src.data.recipe import Objective, Recipe
from src.data.units import DAY, HOUR
from src.datasets.interactions.fitted_rows import fitted, fitted_weights
from src.datasets.interactions.flags import DEFAULTS, HELD_OUT, UNSEEN, Flags
from src.datasets.interactions.found import Found
from src.datasets.interactions.tables import CATEGORY, FLAG, NUMBER
from src.datasets.otto import recipe as otto
from src.embeddings.base import Embedding
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.features.base import FeatureGroup
from src.features.context import ContextFeature
from src.features.item_age import ItemAgeFeature
from src.features.item_attribute import ItemAttributeFeature
from src.features.item_item import EmbeddingFeature, MatrixFeature
from src.features.item_statistics import ItemStatisticsFeature
from src.features.pool import PoolFeature
from src.features.popularity import ContextPopularityFeature, PopularityFeature
from src.features.rating import RatingFeature
from src.features.session import SessionFeature
from src.features.session_item import SessionItemFeature
from src.features.two_tower import TwoTowerFeature
from src.matrices.agreement import AgreementMatrix
from src.matrices.base import ItemMatrix
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.ease import EaseMatrix
from src.matrices.swing import SwingMatrix
from src.rankers.trees import TreesRanker

# fmt: off
NEGATIVES = 15.0  # per positive, of lists
SMALL = 1_000_000  # events: a log with fewer is small
OF_OTTO = ("recent", "next1", "next2", "buy_next3", "near3", "near6", "then_buy_6h", "near_6h",
           "buy2buy", "day_136", "day_carts", "ahead2_136", "ahead5_136", "ahead20_196")
"""Matrices of OTTO that are kept."""

LONG = (
    CovisitationMatrix("cosine", last_events=500, item_norm=0.5, top_n=100),
    CovisitationMatrix("itemcf", last_events=200, session_norm=True, item_norm=0.5, top_n=100),
    SwingMatrix("swing", top_n=100),
    CovisitationMatrix("near10", max_steps=10, item_norm=0.5, top_n=100),
    EaseMatrix("ease"),
)
"""Matrices of long histories: any two items of one count, or those that are near in order."""

AGREEMENT = AgreementMatrix("agreement")

EVEN, RECENT = Seeds(decay=1.0), Seeds(max_items=20, decay=0.9)
RETRIEVERS = (
    *(row for row in otto.RETRIEVERS
      if not isinstance(row, TwoTowerRetriever) and row.tables != ("ease",)),
    ItemToItemRetriever("cosine", "cosine", EVEN, neighbours=50),
    ItemToItemRetriever("cosine_recent", "cosine", RECENT, neighbours=100),
    ItemToItemRetriever("itemcf", "itemcf", EVEN, neighbours=50),
    ItemToItemRetriever("swing", "swing", EVEN, neighbours=50),
    ItemToItemRetriever("ease", "ease", EVEN, neighbours=200, top=150),
    ItemToItemRetriever("ease_recent", "ease", RECENT, neighbours=200, top=100),
    ItemToItemRetriever("near10", "near10", EVEN, neighbours=100, top=100),
    ItemToItemRetriever("near10_recent", "near10", RECENT, neighbours=100, top=100),
    SessionKnnRetriever("users", sample_size=1000, query_decay=50.0, top=100),
    PopularRetriever("popular_all", window_s=None, top=50),
)
ALTERNATIVES = (
    *otto.ALTERNATIVES,
    Alternatives("users", "query_decay", (5.0, 20.0, 50.0)),
    Alternatives("users", "neighbours", (100, 200, 500)),
)
MAX_COLD = 3  # attributes by which items without any event are listed
FRESH = NewItemRetriever("fresh", "created", max_age_days=30.0, top=20)
BASELINES = (
    Baseline("popular", ("popular",)),
    Baseline("popular, all time", ("popular_all",)),
    Baseline("own, popular", ("own", "popular")),
    Baseline("item-kNN, popular", ("cosine", "popular_all")),
    Baseline("own, V-SKNN, popular", ("own", "vsknn", "popular")),
    Baseline("user-kNN, popular", ("users", "popular_all")),
    Baseline("EASE, popular", ("ease", "popular_all")),
)
WINDOWS = (HOUR, DAY, 7 * DAY, 30 * DAY, None)
OF_NUMBER = ("value", "minus_last", "minus_mean")
OF_CATEGORY = ("value", "last", "same_last", "share")
OF_FLAG = ("value", "minus_mean")
# fmt: on


def recipe_of(found: Found, flags: Flags) -> Recipe:
    """Make the recipe for a log and its flags."""
    n_types = len(found.types)
    rows: tuple[ItemMatrix, ...] = (*(m for m in otto.MATRICES if m.name in OF_OTTO), *LONG)
    matrices = (*fitted(rows, n_types), *((AGREEMENT,) if found.has_ratings else ()))
    embeddings, objectives = _embeddings(found), _objectives(found, flags)
    tables = {*(row.name for row in matrices), *(row.name for row in embeddings)}
    lists = flags.candidates != HELD_OUT
    retrievers = _retrievers(found, flags, tables, objectives) if lists else ()
    names = {row.name for row in retrievers}
    return Recipe(
        name="interactions",
        types=found.types,
        objectives=objectives,
        metric=flags.metric,
        matrices=matrices,
        embeddings=embeddings,
        retrievers=retrievers,
        baselines=tuple(row for row in BASELINES if names.issuperset(row.retrievers)),
        features=_features(found, matrices, lists),
        rankers=_rankers(found, flags),
        alternatives=tuple(row for row in ALTERNATIVES if row.retriever in names),
        type_weight=fitted_weights(otto.RECIPE.type_weight, n_types),
        given=not lists,
        negatives_per_positive=NEGATIVES if lists else inf,
        exclude_seen=flags.candidates == UNSEEN,
        split_days=found.days or None,
        by_window=flags.by_time,
    )


def _objectives(found: Found, flags: Flags) -> tuple[Objective, ...]:
    """Make an objective of each type that has a weight; of all, with equal weights, by default."""
    weights = dict(flags.weights) or dict.fromkeys(found.types, 1 / len(found.types))
    return tuple(Objective(name, weights[name]) for name in found.types if name in weights)


def _embeddings(found: Found) -> tuple[Embedding, ...]:
    """Fit the length of the training to the log: small ones need more passes."""
    small = found.events < SMALL
    return (
        Word2VecEmbedding("w2v", dim=32 if small else 64, epochs=20, min_count=2 if small else 5),
        FactorizationEmbedding("mf5", dim=32 if small else 64, max_steps=5, epochs=10),
        TwoTowerEmbedding("net", dim=32 if small else 64, max_len=20, epochs=10 if small else 6,
                          learning_rate=0.002, temperature=0.1),
    )  # fmt: skip


def _retrievers(
    found: Found, flags: Flags, tables: set[str], objectives: tuple[Objective, ...]
) -> tuple[Retriever, ...]:
    """Choose the retrievers: without the user's own items, where lists hold unseen ones."""
    all_rows: tuple[Retriever, ...] = fitted(RETRIEVERS, len(found.types))
    rows = [row for row in all_rows if tables.issuperset(row.tables)]
    if flags.candidates == UNSEEN:
        rows = [row for row in rows if not isinstance(row, HistoryRetriever)]
    rows += [TwoTowerRetriever(f"net_{o.name}", "net", n) for n, o in enumerate(objectives)]
    if found.has_created:
        return (*rows, FRESH)
    categories = [name for name, kind in found.attributes.items() if kind == CATEGORY]
    cold = categories[:MAX_COLD] if found.cold_items else []
    return (*rows, *(NewItemRetriever(f"cold_{c}", None, same=c, unseen=True) for c in cold))


def _features(
    found: Found, matrices: tuple[ItemMatrix, ...], lists: bool
) -> tuple[FeatureGroup, ...]:
    """Make the feature groups: those of OTTO, attributes of items, context of users."""
    columns = {NUMBER: OF_NUMBER, CATEGORY: OF_CATEGORY, FLAG: OF_FLAG}
    return (
        *((PoolFeature(),) if lists else ()),
        SessionFeature(),
        SessionItemFeature(),
        *(MatrixFeature(matrix.name) for matrix in matrices),
        EmbeddingFeature("w2v", threshold=0.5),
        EmbeddingFeature("mf5", threshold=0.5),
        TwoTowerFeature("net"),
        *(PopularityFeature(n, WINDOWS) for n in range(len(found.types))),
        ItemStatisticsFeature(),
        ItemStatisticsFeature(last_days=7),
        ItemAgeFeature(),
        *((RatingFeature(AGREEMENT.name),) if found.has_ratings else ()),
        *((ItemAttributeFeature("created", ("age", "minus_mean")),) if found.has_created else ()),
        *(ItemAttributeFeature(name, columns[kind]) for name, kind in found.attributes.items()),
        *(ContextFeature(name) for name in found.context),
        *(ContextPopularityFeature(n, (None,)) for n, k in found.context.items() if k == CATEGORY),
    )


def _rankers(found: Found, flags: Flags) -> tuple[TreesRanker, ...]:
    """Choose the losses: of the grade, where all candidates are judged; of all objectives.

    A grade that is no small whole number is its own gain.
    """
    logistic, graded = otto.RANKERS
    linear = flags.grades and not found.whole_ratings
    gain = (("ndcg_exp_gain", False),) if linear else ()
    ndcg = replace(graded, name="ndcg", shared=False, params=(*graded.params, *gain))
    if flags.candidates == HELD_OUT and flags.grades:
        trees = tuple(pair for pair in logistic.params if pair[0] != "objective")
        params = (("objective", "reg:squarederror"), *trees)
        return (replace(logistic, name="squares", params=params, eval_metric="rmse"), ndcg)
    several = len(_objectives(found, flags)) > 1 and not flags.reads_ratings
    return (logistic, graded if several else ndcg)


RECIPE = recipe_of(
    Found(
        flags=DEFAULTS, who="user", days=7.0, columns={}, unit="seconds",
        types=("views", "carts", "orders"), has_ratings=False, whole_ratings=True, attributes={},
        context={}, has_titles=False, has_created=False, events=SMALL, users=0, items=0,
        cold_items=0, first=0, last=0,
    ),
    Flags.parse(DEFAULTS),
)  # fmt: skip
"""Recipe of a log of three event types: it stands for any log before step 1 has read one."""
