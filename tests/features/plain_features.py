"""A recipe with every kind of feature, and plain weights to hold the kernels against."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from planted import BARE, DAY, N_ITEMS, Events, whole, write_items

from src.candidates import pool as pools
from src.candidates.history import HistoryRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.lists import read_candidates, to_frame
from src.candidates.pool import Pool
from src.candidates.pool_kernel import ABSENT
from src.candidates.seeds import Seeds
from src.core.arrays import F32
from src.data import paths
from src.data.shards import Shard
from src.data.split_data import SplitData
from src.data.units import HOUR
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.features.base import WEIGHTINGS, FeatureGroup
from src.features.context import ContextFeature
from src.features.item_age import ItemAgeFeature
from src.features.item_attribute import RELATIONS, ItemAttributeFeature
from src.features.item_item import EmbeddingFeature, MatrixFeature
from src.features.item_statistics import ItemStatisticsFeature
from src.features.pool import PoolFeature
from src.features.popularity import ContextPopularityFeature, PopularityFeature
from src.features.session import SessionFeature
from src.features.session_item import SessionItemFeature
from src.features.table import FeatureTable
from src.features.two_tower import TwoTowerFeature
from src.features.weightings_kernel import N_LATEST
from src.matrices.covisitation import CovisitationMatrix

TYPE_WEIGHT = (1.0, 6.0, 3.0)
THRESHOLD = {"near": 1.0, "vec": 0.3, "pair": 0.2}
EVERY: dict[str, Any] = {"weightings": WEIGHTINGS, "latest": N_LATEST}  # columns of a table
RETRIEVERS = (HistoryRetriever("own", Seeds()), ItemToItemRetriever("shared", "near", Seeds()))
TABLES = replace(
    BARE, matrices=(CovisitationMatrix("near", max_steps=2),),
    embeddings=(Word2VecEmbedding("vec"), FactorizationEmbedding("pair"), TwoTowerEmbedding("net")),
    type_weight=TYPE_WEIGHT,
)  # fmt: skip
RECIPE = replace(
    TABLES, retrievers=RETRIEVERS,
    features=(
        PoolFeature(), SessionFeature(), SessionItemFeature(),
        MatrixFeature("near", **EVERY, threshold=1.0),
        EmbeddingFeature("vec", **EVERY, threshold=0.3),
        EmbeddingFeature("pair", **EVERY, threshold=0.2), TwoTowerFeature("net"),
        PopularityFeature(0, (7 * DAY, HOUR)), PopularityFeature(1, (DAY,)),
        PopularityFeature(2, (None,)), ItemAgeFeature(), ItemAttributeFeature("words", RELATIONS),
        ContextFeature("device"), ContextPopularityFeature("device", (DAY,)),
        ItemStatisticsFeature(), ItemStatisticsFeature(7),
    ),
)  # fmt: skip
TABLE = FeatureTable(RECIPE)
at = TABLE.names.index


def write_attributes(data: SplitData) -> None:
    """Write an attribute of two items in three, and the context of two events in three."""
    words = [None if i % 3 == 0 else 100 + i % 7 for i in range(N_ITEMS)]
    write_items(data.run.output, N_ITEMS, {"words": words})
    path = paths.events(data.run, data.split)
    events = pl.read_parquet(path)
    device = (pl.col("session") + pl.col("ts") // 60) % 5
    known = pl.when(pl.col("ts") % 3 > 0).then(device)
    whole(path, events.with_columns(device=known).cast({"device": pl.Int32}))


def candidate_pool(data: SplitData, first: int, end: int, size: int) -> Pool:
    """The pool of sessions first : end, from the lists of the recipe's retrievers."""
    files = []
    for row in data.run.recipe.retrievers:
        files.append(data.run.output / f"{row.name}-{first}.parquet")
        to_frame(row.lists(data, first, end), first).write_parquet(files[-1])
    lists = read_candidates(files, Shard(0, first, end))
    return pools.merge(lists, len(files), first, size)


def pairs(pool: Pool) -> list[tuple[int, int]]:
    """Session and item of every candidate."""
    return list(zip(pool.session.tolist(), pool.item.tolist(), strict=True))


def columns_of(
    data: SplitData, row: FeatureGroup, session: int, items: Iterable[int]
) -> dict[str, list[float]]:
    """The columns of one row of a recipe for candidates that no retriever proposed."""
    table = FeatureTable(replace(data.run.recipe, features=(row,)))
    item = np.array([*items], np.int32)
    ranks = np.full((item.size, len(table.recipe.retrievers)), ABSENT, np.uint16)
    score = np.zeros(item.size, np.float32)
    pool = Pool(session, np.array([0, item.size]), item, score, ranks, ranks * np.float32(0))
    X: F32 = table.compute(data, pool)
    return dict(zip(table.names, X.T.tolist(), strict=True))


def plain_weight(weighting: str, events: Events, i: int) -> float:
    item, ts, type_ = events[i]
    time = 1 / math.log(2 + (events[-1][1] - ts) / 60)
    match weighting:
        case "position":
            return 2 ** (0.1 + 0.9 * i / (len(events) - 1)) - 1 if len(events) > 1 else 1.0
        case "recsys":
            count = sum(event[0] == item for event in events)
            return (
                time
                / math.log(1 + len(events) - i)
                / math.log(1 + len(events))
                / math.log(1 + count)
            )
    day = float(events[-1][1] - ts <= DAY)
    return {"equal": 1.0, "type": TYPE_WEIGHT[type_], "day": day, "time": time}[weighting]
