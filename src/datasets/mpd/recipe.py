"""Recipe of playlists: songs for a title, for some songs, or for both."""

from __future__ import annotations

from dataclasses import replace

from src.candidates.base import Baseline
from src.candidates.item_names import ItemNameRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.session_knn import SessionKnnRetriever
from src.candidates.svd import SvdRetriever
from src.candidates.text_knn import TextKnnRetriever
from src.data.recipe import Objective, Recipe
from src.datasets.otto import recipe as otto
from src.features.item_attribute import ItemAttributeFeature
from src.features.item_item import MatrixFeature
from src.features.item_statistics import ItemStatisticsFeature
from src.features.pool import PoolFeature
from src.features.pool_attribute import PoolAttributeFeature
from src.features.session import SessionFeature
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.ease import EaseMatrix
from src.metrics.ndcg import NDCG

# fmt: off
TRACKS = "tracks"
LENGTH = 500  # songs of an answer
LISTED = 600  # of most retrievers
MATRICES = (
    CovisitationMatrix("together", last_events=250, item_norm=0.3, top_n=200),
    CovisitationMatrix("near", max_steps=5, item_norm=0.3, top_n=100),
    EaseMatrix("ease", ridge=50.0, max_items=5_000, top_n=300),
)
ALL = Seeds(decay=1.0)
LIKE_TITLE = TextKnnRetriever("", "ngrams", neighbours=300, power=2.0)  # to start from
RETRIEVERS = (
    TextKnnRetriever("same_title", "exact", top=LISTED),
    TextKnnRetriever("like_title", "ngrams", neighbours=150, top=LISTED),
    TextKnnRetriever("rare_title", "ngrams", neighbours=150, power=2.0, popularity=0.3,
                     top=LISTED),
    replace(LIKE_TITLE, name="title_songs", feedback=50, top=LISTED),
    ItemNameRetriever("names", ("title", "artist", "album"), top=255),
    ItemToItemRetriever("together", "together", ALL, neighbours=200, power=0.5, top=LISTED),
    ItemToItemRetriever("near", "near", ALL, neighbours=100, power=0.5, top=150),
    ItemToItemRetriever("ease", "ease", ALL, neighbours=300, power=0.0, top=LISTED),
    SessionKnnRetriever("playlists", neighbours=300, sample_size=5000, query_decay=1e9, idf=True,
                        top=LISTED),
    SvdRetriever("factors", top=LISTED),
    SvdRetriever("title_factors", start=replace(LIKE_TITLE, top=50), top=LISTED),
    PopularRetriever("popular", window_s=None, top=LISTED),
)
BASELINES = (
    Baseline("popular", ("popular",)),
    Baseline("same title, popular", ("same_title", "popular")),
    Baseline("like title, popular", ("like_title", "popular")),
    Baseline("playlists, title factors, popular", ("playlists", "title_factors", "popular")),
)
# fmt: on
LOGISTIC, GRADED = otto.RANKERS

RECIPE = Recipe(
    name="mpd",
    types=(TRACKS,),
    objectives=(Objective(TRACKS, 1.0),),
    metric=NDCG(LENGTH),
    matrices=MATRICES,
    embeddings=(),
    retrievers=RETRIEVERS,
    baselines=BASELINES,
    features=(
        PoolFeature(),
        SessionFeature(),
        *(MatrixFeature(row.name, ("equal",), ("sum", "max"), latest=0) for row in MATRICES),
        ItemAttributeFeature("artist_code", ("same_last", "share")),
        PoolAttributeFeature("artist_code", ("like_title", "title_songs", "playlists", "factors")),
        ItemStatisticsFeature(),
    ),
    rankers=(LOGISTIC, replace(GRADED, name="ndcg", shared=False, eval_metric="ndcg@100")),
    type_weight=(1.0,),
    min_train_queries=2_500,
    negatives_per_positive=3.0,
    exclude_seen=True,
    pool_size=1_500,
)
