"""Planted lists with grades, which no single column orders well."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import F32, I64
from src.core.engines import resolve
from src.rankers.base import FitTask
from src.rankers.net import NetRanker
from src.rankers.nets.histories import no_events
from src.rankers.nets.inputs import FoldQueries
from src.rankers.nets.model import NetModel
from src.rankers.nets.trainer import fit
from src.rankers.train_set import TrainSet

QUERIES, FOLDS = 240, 3
COLUMNS = ["a", "b", "rank", "taste", "noise"]


def graded_lists(folder: Path, longest: int = 15) -> TrainSet:
    """Lists of 1 to `longest` documents with grades 0 to 3, made of four columns.

    rank: 1 is best; missing for documents that are not listed, most of them bad. taste: of the
    query, 1 or -1; it says whether a high `b` is good. Every tenth list has equal grades.
    """
    rng, tables = np.random.default_rng(1), []
    for query in range(QUERIES):
        size = int(rng.integers(1, longest + 1))
        a, b, worth = rng.normal(size=(3, size))
        taste = rng.choice([-1.0, 1.0])
        total = a + taste * b + worth + 0.3 * rng.normal(size=size)
        grade = np.digitize(total, [1.0, 2.0, 3.0])
        grade = grade if query % 10 else np.full(size, query // 10 % 2)
        rank = np.where(worth > -0.4, 1 + np.argsort(np.argsort(-worth)), np.nan)
        tables.append(pl.DataFrame({
            "session": np.full(size, query, np.int32), "item": np.arange(size, dtype=np.int32),
            "fold": np.full(size, query % FOLDS, np.int8), "label:x": grade.astype(np.float32),
            **{name: np.asarray(x, np.float32) for name, x in zip(
                COLUMNS, [a, b, rank, np.full(size, taste), rng.normal(size=size)], strict=True)},
        }))  # fmt: skip
    folder.mkdir(exist_ok=True)
    pl.concat(tables).write_parquet(folder / "lists.parquet")
    return TrainSet.read([folder / "lists.parquet"], ["x"])


def rows_of(ranker: NetRanker, train_set: TrainSet, folder: Path, fold: int = 0) -> FoldQueries:
    """The rows of a fold, as a ranker reads them; no query has a session."""
    task = FitTask(ranker, "x", fold, folder / f"logs_{fold}", resolve("cpu"), 5)
    return FoldQueries.read(ranker, task, train_set, no_events(train_set.offsets.size - 1), 1)


def trained(ranker: NetRanker, train_set: TrainSet, folder: Path, fold: int = 0) -> NetModel:
    task = FitTask(ranker, "x", fold, folder / f"logs_{fold}", resolve("cpu"), 5)
    return fit(ranker, task, rows_of(ranker, train_set, folder, fold))


def ndcg(score: F32, grade: F32, offsets: I64) -> float:
    """The mean NDCG of lists whose grades differ, with gains 2 ** grade - 1; nothing is cut."""
    values = []
    for first, end in pairwise(offsets):
        gain, order = 2 ** grade[first:end] - 1, np.argsort(-score[first:end], kind="stable")
        discount = 1 / np.log2(2 + np.arange(end - first))
        if gain.min() < gain.max():
            values.append((gain[order] * discount).sum() / (np.sort(gain)[::-1] * discount).sum())
    return float(np.mean(values))
