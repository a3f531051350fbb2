"""Compare multi-task nets with single ones on planted tasks, whose agreement is a dial.

    python -m bench.tasks [--seeds 5]

Rows have two labels; the second is known for few of the train rows. Each label follows a curve of a
direction of the columns, and the dial is the cosine between both directions. Prints the mean AUC of
both tasks on other rows, with its deviation between seeds, and appends the table to
bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from bench import measure
from src.core.arrays import F32
from src.core.engines import resolve
from src.rankers.base import FitTask
from src.rankers.losses.pointwise import BCE
from src.rankers.net import NetRanker
from src.rankers.nets.base import Net
from src.rankers.nets.histories import no_events
from src.rankers.nets.inputs import FoldQueries
from src.rankers.nets.mlp import MLP
from src.rankers.nets.mmoe import MMoE
from src.rankers.nets.model import NetModel
from src.rankers.nets.ple import PLE
from src.rankers.nets.shared_bottom import SharedBottom
from src.rankers.nets.trainer import fit
from src.rankers.train_set import TrainSet

COLUMNS, KNOWN = 12, 150
NAMES = [f"x{n}" for n in range(COLUMNS)]
TASKS = ["many", "few"]
DIAL = (0.0, 0.5, 0.9, 1.0)
"""Cosines between the directions of both tasks."""
HIDDEN, TOWER, DROPOUT, DIM = (32, 16), (), 0.0, 4
NETS: dict[str, Net] = {
    "single": MLP(HIDDEN, DROPOUT, "none", DIM),
    "shared bottom": SharedBottom(HIDDEN, TOWER, DROPOUT, "none", DIM),
    "mmoe": MMoE(HIDDEN, TOWER, DROPOUT, "none", DIM),
    "ple": PLE(HIDDEN, TOWER, DROPOUT, "none", DIM),
}


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
        "fold": fold.astype(np.int8), "label:many": many.astype(np.float32),
        "label:few": few.astype(np.float32),
        **dict(zip(NAMES, X.T.astype(np.float32), strict=True)), "kind": kind.astype(np.float32),
    })  # fmt: skip
    path = folder / f"tasks_{agreement}_{seed}.parquet"
    frame.with_columns(pl.col("label:few").fill_nan(None)).write_parquet(path)
    return path


def trained(row: NetRanker, path: Path, objectives: list[str], seed: int) -> tuple[NetModel, F32]:
    """Train on a table; the model, and its scores of the rows of fold 0."""
    train_set = TrainSet.read([path], objectives)
    task = FitTask(row, "x", 0, path.parent / "logs", resolve("cpu"), seed)
    data = FoldQueries.read(row, task, train_set, no_events(train_set.offsets.size - 1), 1)
    model = fit(row, task, data)
    return model, model.score_queries(data.rows, data.valid)


def row_of(net: Net, **fields: Any) -> NetRanker:
    """Make a row that trains for a fixed number of epochs: each query is one row."""
    form: dict[str, Any] = {
        "categories": ("kind",), "batch_size": 64, "epochs": 12, "patience": 12,
        "learning_rate": 0.01,
    }  # fmt: skip
    return NetRanker("x", net, BCE(), **{**form, **fields})


def auc(path: Path, objective: str, score: F32) -> float:
    """Compute the AUC on the rows of fold 0."""
    label = pl.read_parquet(path).filter(fold=0)[f"label:{objective}"].to_numpy()
    return float(roc_auc_score(label > 0, score))


def aucs(net: Net, path: Path, seed: int) -> list[float]:
    """Train a net on both tasks, or one net on each; return the AUC of each task."""
    if net.multi_task:
        scores = trained(row_of(net), path, TASKS, seed)[1].T
    else:
        scores = np.stack([trained(row_of(net), path, [task], seed)[1] for task in TASKS])
    return [auc(path, task, score) for task, score in zip(TASKS, scores, strict=True)]


def main(argv: list[str]) -> int:
    """Train, print, append."""
    parser = argparse.ArgumentParser(prog="bench.tasks", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for agreement in DIAL:
            tables = [two_tasks(Path(folder), agreement, seed=n) for n in range(args.seeds)]
            for name, net in NETS.items():
                found = np.array([aucs(net, path, n) for n, path in enumerate(tables)])
                cells = zip(found.mean(0), found.std(0, ddof=1), strict=True)
                rows.append([agreement, name, *(f"{mean:.3f} ± {sd:.3f}" for mean, sd in cells)])
                print(*rows[-1], flush=True)
    heading = measure.title(measure.origin(argv, "bench.tasks"), f"{args.seeds} seeds")
    head = ("agreement", "net", "AUC, all rows labelled", f"AUC, {KNOWN} rows labelled")
    measure.append_table(heading, measure.table(head, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
