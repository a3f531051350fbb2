"""Planted rows with two labels, whose correlation is a dial; the second is known for few rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from src.core.arrays import F32
from src.core.engines import resolve
from src.rankers.base import FitTask
from src.rankers.losses.pointwise import BCE
from src.rankers.net import NetRanker
from src.rankers.nets.base import Net
from src.rankers.nets.inputs import FoldQueries, no_events
from src.rankers.nets.model import NetModel
from src.rankers.nets.trainer import fit
from src.rankers.train_set import TrainSet

COLUMNS, KNOWN = 12, 150
NAMES = [f"x{n}" for n in range(COLUMNS)]


def two_tasks(folder: Path, agreement: float, rows: int = 4000, seed: int = 0) -> Path:
    """Write a training table: label_many of all rows, label_few of some train rows.

    Each label is that of a curve of a direction of the columns. agreement: the cosine of the angle
    between both directions. Fold 0 is for validation; all its labels are known. `kind` is 0, 1 or
    2; in kind 2 both labels are turned around.
    """
    rng = np.random.default_rng(seed)
    X, kind = rng.normal(size=(rows, COLUMNS)), rng.integers(0, 3, rows)
    first, other = np.linalg.qr(rng.normal(size=(COLUMNS, 2)))[0].T
    second = agreement * first + np.sqrt(1 - agreement**2) * other
    fold = np.arange(rows) % 2
    labels = [(np.sin(2 * (X @ d)) + 0.2 * rng.normal(size=rows) > 0) for d in (first, second)]
    many, few = (np.where(kind == 2, ~label, label).astype(float) for label in labels)
    few[(fold == 1) & (np.cumsum(fold == 1) > KNOWN)] = np.nan
    frame = pl.DataFrame({
        "session": np.arange(rows, dtype=np.int32), "item": np.zeros(rows, np.int32),
        "fold": fold.astype(np.int8), "label_many": many.astype(np.float32),
        "label_few": few.astype(np.float32),
        **dict(zip(NAMES, X.T.astype(np.float32), strict=True)), "kind": kind.astype(np.float32),
    })  # fmt: skip
    path = folder / f"tasks_{agreement}_{seed}.parquet"
    frame.with_columns(pl.col("label_few").fill_nan(None)).write_parquet(path)
    return path


def trained(row: NetRanker, path: Path, objectives: list[str], seed: int) -> tuple[NetModel, F32]:
    """Train on a table; the model, and its scores of the rows of fold 0."""
    train_set = TrainSet.read([path], objectives)
    task = FitTask(row, "x", 0, path.parent / "logs", resolve("cpu"), seed)
    data = FoldQueries.read(row, task, train_set, no_events(train_set.offsets.size - 1), 1)
    model = fit(row, task, data)
    return model, model.score_queries(data.rows, data.valid)


def row_of(net: Net, **fields: object) -> NetRanker:
    """A row that trains for a fixed number of epochs: each query is one row."""
    form = {"batch_size": 64, "epochs": 12, "patience": 12, "learning_rate": 0.01}
    return NetRanker("x", net, BCE(), **{"categories": ("kind",), **form, **fields})  # type: ignore[arg-type]


def auc(path: Path, objective: str, score: F32) -> float:
    """AUC on the rows of fold 0."""
    label = pl.read_parquet(path).filter(fold=0)[f"label_{objective}"].to_numpy()
    return float(roc_auc_score(label > 0, score))
