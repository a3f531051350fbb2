"""Recipe of sequences: what follows what, what goes together, and what reads alike."""

from __future__ import annotations

from dataclasses import replace

from src.candidates.base import Baseline
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.two_tower import TwoTowerRetriever
from src.data.recipe import Objective, Recipe
from src.datasets.interactions.flags import DEFAULTS, UNSEEN, Flags
from src.datasets.interactions.found import Found
from src.datasets.interactions.types import ONLY
from src.datasets.otto import recipe as otto
from src.embeddings.two_tower import TwoTowerEmbedding
from src.features.item_item import MatrixFeature
from src.features.item_statistics import ItemStatisticsFeature
from src.features.pool import PoolFeature
from src.features.session import SessionFeature
from src.features.two_tower import TwoTowerFeature
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.ease import EaseMatrix
from src.matrices.text import TextMatrix

# fmt: off
MATRICES = (
    CovisitationMatrix("forward", backward=0.0, max_steps=30, step_decay=0.8, top_n=300),
    CovisitationMatrix("next", backward=0.0, max_steps=1, top_n=100),
    CovisitationMatrix("near", max_steps=30, step_decay=0.8, top_n=300),
    CovisitationMatrix("cosine", last_events=200, item_norm=0.5, top_n=200),
    EaseMatrix("ease", ridge=100.0, max_items=20_000, top_n=300),
)
TEXT = TextMatrix("text", top_n=100)
NET = TwoTowerEmbedding("net", max_len=20, n_targets=1, epochs=20, temperature=0.1,
                        learning_rate=0.002, batch_negatives=20_000, max_positions=500_000)

FAST, SLOW = Seeds(decay=0.5), Seeds(decay=0.7)
RETRIEVERS = (
    ItemToItemRetriever("forward", "forward", FAST, neighbours=300, power=0.25, top=150),
    ItemToItemRetriever("next", "next", FAST, neighbours=100, power=0.25, top=50),
    ItemToItemRetriever("near", "near", FAST, neighbours=300, power=0.25, top=150),
    ItemToItemRetriever("cosine", "cosine", SLOW, neighbours=200, power=0.0, top=100),
    ItemToItemRetriever("ease", "ease", SLOW, neighbours=300, power=0.0, top=150),
    ItemToItemRetriever("text", "text", SLOW, neighbours=100, power=0.0, top=100),
    TwoTowerRetriever("net", "net", 0),
    PopularRetriever("popular", window_s=None, top=20),
)
BASELINES = (
    Baseline("popular", ("popular",)),
    Baseline("forward pairs, popular", ("forward", "popular")),
    Baseline("item-kNN, popular", ("cosine", "popular")),
    Baseline("EASE, popular", ("ease", "popular")),
)
WEIGHED = ("equal", "position", "time", "recsys")
# fmt: on


def recipe_of(found: Found) -> Recipe:
    """Make the recipe; without texts of items, no row reads them."""
    flags, refit = Flags.parse(found.flags), bool(found.flags["refit"])
    matrices = (*MATRICES, *((TEXT,) if found.has_titles else ()))
    retrievers = tuple(row for row in RETRIEVERS if found.has_titles or row.name != TEXT.name)
    return Recipe(
        name="sequences",
        types=(ONLY,),
        objectives=(Objective(ONLY, 1.0),),
        metric=flags.metric,
        matrices=matrices,
        embeddings=(NET,),
        retrievers=retrievers,
        baselines=BASELINES,
        features=(
            PoolFeature(),
            SessionFeature(),
            *(MatrixFeature(row.name, WEIGHED, ("sum", "max"), latest=5) for row in matrices),
            TwoTowerFeature("net"),
            ItemStatisticsFeature(),
        ),
        rankers=(
            otto.RANKERS[0],
            replace(otto.RANKERS[1], name="ndcg", shared=False, eval_metric="ndcg@10"),
        ),
        type_weight=(1.0,),
        exclude_seen=flags.candidates == UNSEEN,
        refit=refit,
        min_train_queries=40_000,
        folds=4 if refit else 1,  # with one fold, rankers learn from no item of valid
    )


RECIPE = recipe_of(
    Found(
        flags={**DEFAULTS, "metric": "ndcg@10", "refit": ""}, who="user", days=0.0, columns={},
        unit="seconds", types=(ONLY,), has_ratings=False, whole_ratings=True, attributes={},
        context={}, has_titles=True, has_created=False, events=0, users=0, items=0, cold_items=0,
        first=0, last=0,
    )
)  # fmt: skip
"""Stands for any data set before step 1 has read one."""
