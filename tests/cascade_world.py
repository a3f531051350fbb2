"""Planted splits where only the kinds of two items tell the positive, and a cascade for them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from planted import BARE, DAY, START, run_in, whole, write_split
from stored_pools import write_stored

from src.candidates.history import HistoryRetriever
from src.candidates.pool import Pool
from src.candidates.seeds import Seeds
from src.core import store
from src.core.run import Run
from src.data import paths
from src.data.schemas import EVENTS, LABELS
from src.data.splits import Split, write_splits
from src.embeddings.base import save
from src.embeddings.text import TextEmbedding
from src.features.pool import PoolFeature
from src.metrics.mrr import MRR
from src.rankers.cascade import CascadeRanker
from src.rankers.losses.softmax import Softmax
from src.rankers.nets.cross_encoder import CrossEncoder
from src.rankers.score import score_split
from src.rankers.train import training_groups
from src.rankers.train_table import build_train_table, count_positives, trainable_objectives
from src.rankers.xgb import XGBoostRanker
from src.texts.tfidf import TfidfEncoder

QUERIES, CANDIDATES, FIRST, KINDS, PER_KIND = 240, 16, 8, 5, 20
ITEMS, LISTED = KINDS * PER_KIND, FIRST + 2
AFTER = np.array([3, 0, 4, 2, 1])  # the kind of item that follows each kind
BASE = XGBoostRanker(
    "base", (("objective", "binary:logistic"), ("max_depth", 16), ("min_child_weight", 0)), 20,
    eval_metric="auc",
)  # fmt: skip
CROSS = CascadeRanker(
    "cross", CrossEncoder(("texts",), max_len=3, width=16, heads=2, layers=1, dropout=0.0),
    Softmax(), MRR(FIRST), base="base", first=FIRST, epochs=12, batch_size=16, learning_rate=0.01,
)  # fmt: skip
TEXTS = TextEmbedding("texts", ("title",), TfidfEncoder())
RECIPE = replace(
    BARE, objectives=(replace(BARE.objectives[0], weight=1.0),), metric=MRR(CANDIDATES), folds=3,
    retrievers=(HistoryRetriever("own", Seeds()),), features=(PoolFeature(),), embeddings=(TEXTS,),
    rankers=(BASE, CROSS), pool_size=CANDIDATES, negatives_per_positive=5.0,
)  # fmt: skip
ROLES = {"valid": "valid", "train_1": "train", "test": "test"}


def write_one(folder: Path, name: str, rng: np.random.Generator) -> None:
    """Write a split: the kind of the positive follows that of the session's last item.

    The retriever's list has LISTED candidates, one of them is positive: more no feature tells.
    """
    kind = rng.integers(KINDS, size=(QUERIES, 2))
    last = kind * PER_KIND + rng.integers(PER_KIND, size=kind.shape)
    session = np.repeat(np.arange(QUERIES), 2)
    ts = START + DAY + np.tile([0, 60], QUERIES)
    events = {"session": session, "item": last.ravel(), "ts": ts, "type": np.zeros_like(session)}
    write_split(folder, pl.DataFrame(events, EVENTS), QUERIES, ITEMS, recipe=RECIPE)
    of = AFTER[kind[:, 1]]
    right = of * PER_KIND + rng.integers(PER_KIND, size=QUERIES)
    item = np.empty((QUERIES, CANDIDATES), np.int32)
    listed = np.zeros(item.shape, np.bool_)
    for q in range(QUERIES):
        others = np.setdiff1d(np.arange(ITEMS), of[q] * PER_KIND + np.arange(PER_KIND))
        item[q] = np.append(right[q], rng.choice(others, CANDIDATES - 1, replace=False))
        order = rng.permutation(CANDIDATES)
        item[q], listed[q] = item[q, order], order < LISTED
    flat = np.where(listed.ravel(), rng.random(item.size), -1.0).astype(np.float32)[:, None]
    found = (rng.integers(1, 20, flat.shape) * (flat > 0)).astype(np.uint16)
    offsets = np.arange(0, item.size + 1, CANDIDATES)
    pool = Pool(0, offsets, item.ravel(), rng.random(item.size, np.float32), found, flat)
    rows = [(q, 0, int(right[q]), 1.0) for q in range(QUERIES)]
    whole(folder / "valid" / "labels.parquet", pl.DataFrame(rows, LABELS, orient="row"))
    vectors = np.eye(KINDS, dtype=np.float32)[np.arange(ITEMS) // PER_KIND]
    file = paths.item_vectors(run_in(folder, RECIPE), "valid", "texts")
    store.build(file, {"rows": "kinds"}, partial(save, vectors))
    if name != "valid":
        (folder / "valid").rename(folder / name)
    write_stored(run_in(folder, RECIPE), pool, name)


def write_world(folder: Path) -> Path:
    """Write all splits."""
    rng = np.random.default_rng(4)
    for name in ("train_1", "test", "valid"):
        write_one(folder, name, rng)
    write_splits(run_in(folder), [Split(n, r, "", QUERIES, QUERIES) for n, r in ROLES.items()])
    return folder


def train(run: Run) -> None:
    """Run steps 5 and 6."""
    count_positives(run)
    for split in ("valid", "train_1"):
        build_train_table(run, split)
    objectives = trainable_objectives(run)
    for group in training_groups(run, objectives):
        group.train()
    for split in ("valid", "test"):
        score_split(run, split, objectives)
