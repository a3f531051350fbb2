"""Planted splits with pools, a recipe with a pre-ranker for them, and steps 5 and 6 run on them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from planted import BARE, planted_events, run_in, whole, write_split
from stored_pools import write_stored

from src.candidates.history import HistoryRetriever
from src.candidates.pool import Pool
from src.candidates.seeds import Seeds
from src.core.run import Run
from src.data.splits import Split, write_splits
from src.features.pool import PoolFeature
from src.features.session import SessionFeature
from src.features.session_item import SessionItemFeature
from src.metrics.recall import Recall
from src.prerankers.base import PreRanker
from src.prerankers.cut import cut_pools
from src.prerankers.log import log_preranker
from src.rankers.score import score_split
from src.rankers.train import training_groups
from src.rankers.train_table import build_train_table, count_positives, trainable_objectives
from src.rankers.xgb import XGBoostRanker

QUERIES, CANDIDATES, KEEP, K = 160, 30, 12, 5
SPLITS = ("valid", "train_1", "test")
CHEAP = PreRanker(
    XGBoostRanker("cheap", (("objective", "rank:ndcg"), ("max_depth", 3)), 10, shared=True),
    features=(PoolFeature(), SessionItemFeature()),
    keep=KEEP,
)
RECIPE = replace(
    BARE, objectives=BARE.objectives[:2], retrievers=(HistoryRetriever("own", Seeds()),),
    features=(PoolFeature(), SessionFeature(), SessionItemFeature()), metric=Recall(K),
    rankers=(XGBoostRanker("trees", (("objective", "binary:logistic"), ("max_depth", 3)), 10),),
    preranker=CHEAP, negatives_per_positive=5.0, pool_size=CANDIDATES,
)  # fmt: skip
WHOLE = replace(RECIPE, preranker=None)


def sizes_of(n: int, rng: np.random.Generator) -> np.ndarray:
    """Most pools are full, some are smaller than what is kept, one is empty."""
    sizes = np.where(rng.random(n) < 0.1, KEEP - 2, CANDIDATES)
    sizes[3] = 0
    return sizes


def write_world(folder: Path) -> Path:
    """Write splits: positives are among the session's items, at random places of the pool."""
    rng = np.random.default_rng(2)
    data = write_split(folder, planted_events(), QUERIES, recipe=RECIPE)
    s, item, labels = data.sessions, list[np.ndarray](), list[tuple[int, int, int, float]]()
    sizes = sizes_of(QUERIES, rng)
    for session, size in zip(range(s.first_query, s.n_sessions), sizes, strict=True):
        own = np.unique(s.item[s.offsets[session] : s.offsets[session + 1]])[:5]
        others = rng.choice(np.setdiff1d(np.arange(120), own), CANDIDATES, replace=False)
        item.append(rng.permutation(np.append(own, others)[:size]).astype(np.int32))
        labels += [(session, o, int(rng.choice(own)), 1.0) for o in range(2) if rng.random() < 0.8]
    n, offsets = int(sizes.sum()), np.append(0, np.cumsum(sizes))
    ranks = rng.integers(0, 20, (n, 1)).astype(np.uint16)
    rrf_score = np.linspace(1, 0, n).astype(np.float32)
    scores = (ranks / 20).astype(np.float32)
    pool = Pool(s.first_query, offsets, np.concatenate(item), rrf_score, ranks, scores)
    schema = {"session": pl.Int32, "objective": pl.Int8, "item": pl.Int32, "grade": pl.Float32}
    table = pl.DataFrame(labels, schema=schema, orient="row").sort("session", "objective")
    whole(folder / "valid" / "labels.parquet", table)
    for name in SPLITS[1:]:
        shutil.copytree(folder / "valid", folder / name)
    for name in SPLITS:
        write_stored(run_in(folder, WHOLE), pool, name)
    roles = [Split(name, name.split("_")[0], "", s.n_sessions, QUERIES) for name in SPLITS]
    write_splits(run_in(folder), roles)
    return folder


def steps(run: Run) -> None:
    """Run steps 5 and 6."""
    cut_pools(run)
    count_positives(run)
    for split in SPLITS[:2]:
        build_train_table(run, split)
    objectives = trainable_objectives(run)
    for group in training_groups(run, objectives):
        group.train()
    score_split(run, "valid", objectives)
    log_preranker(run, objectives)
