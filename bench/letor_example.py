"""Train LightGBM's own lambdarank example on the matrices that step 1 makes; compare NDCG.

    python -m bench.letor_example --dataset letor --input folder --output folder

The input has rank.train and rank.test with their .query files, of examples/lambdarank in LightGBM's
repository. The parameters are those of its train.conf, on one thread. LightGBM evaluates the test
file, and so does our metric under LightGBM's convention: a query without a positive counts 1, and
equal scores keep the order of the file. The exit code is 1 where the two differ in a digit that
LightGBM prints, or where they are not the documented values.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import lightgbm as lgb
import numpy as np
import polars as pl

from src.cli import parse
from src.core.arrays import F32, F64, I64
from src.core.console import show
from src.core.run import Run
from src.data import paths
from src.data.raw_ids import item_ids
from src.data.schemas import GIVEN
from src.metrics.ndcg import NDCG
from src.metrics.query_scores import score_ranks

CUTS = (1, 3, 5)
DOCUMENTED = ("0.5775", "0.6190", "0.6546")
"""NDCG of the test file after the last round, by this command with LightGBM's default seed."""
ROUNDS = 100
PARAMS = {
    "objective": "lambdarank", "metric": "ndcg", "eval_at": list(CUTS), "learning_rate": 0.1,
    "num_leaves": 31, "max_bin": 255, "bagging_freq": 1, "bagging_fraction": 0.9,
    "min_data_in_leaf": 50, "min_sum_hessian_in_leaf": 5.0, "num_threads": 1, "verbose": -1,
}  # fmt: skip


class Matrix(NamedTuple):
    """Documents in the order of their file."""

    X: F32  # (rows, features)
    grade: F32
    query: I64  # number of the query of each row, ascending


def read(run: Run, split: str) -> Matrix:
    """Read the documents of a split; their ids end in their place in the query."""
    given = pl.read_parquet(paths.given(run, split))
    rows = given.join(pl.read_parquet(paths.labels(run, split)), on=["session", "item"])
    place = item_ids(paths.items(run))[rows["item"]].str.split(":").list.last().cast(pl.Int64)
    rows = rows.with_columns(place.alias("place")).sort("session", "place")
    X = rows.select(name for name in given.columns if name not in GIVEN).to_numpy(order="c")
    query = rows["session"].to_numpy().astype(np.int64)
    return Matrix(X, rows["grade"].to_numpy(), query)


def lightgbm_ndcg(train: Matrix, test: Matrix) -> tuple[list[float], F64]:
    """Train the example; return LightGBM's NDCG of the test rows, and the scores of these."""
    data = lgb.Dataset(train.X, train.grade, group=np.bincount(train.query))
    valid = lgb.Dataset(test.X, test.grade, group=np.bincount(test.query), reference=data)
    curve: dict[str, dict[str, list[float]]] = {}
    watch = lgb.record_evaluation(curve)
    model = lgb.train(PARAMS, data, ROUNDS, valid_sets=[valid], callbacks=[watch])
    ndcg = [curve["valid_0"][f"ndcg@{k}"][-1] for k in CUTS]
    return ndcg, np.asarray(model.predict(test.X), np.float64)


def our_ndcg(test: Matrix, score: F64) -> list[float]:
    """Evaluate scores by our metric, under LightGBM's convention."""
    order = np.lexsort((np.arange(score.size), -score, test.query))
    first = np.searchsorted(test.query, test.query)
    rank = np.empty(score.size, np.int32)
    rank[order] = np.arange(score.size) - first
    metrics = [NDCG(k, empty="one") for k in CUTS]
    return [score_ranks(test.query, rank, test.grade, metric).score() for metric in metrics]


def main(argv: list[str]) -> int:
    """Print both evaluations and the documented values; return 1 where they differ."""
    run = parse(str(__doc__), Path("1_preparation.py"), [*argv, "--engine", "cpu"])
    run.dataset.prepare(run)
    train, test = read(run, "valid"), read(run, "test")  # without a vali file, train is valid
    theirs, score = lightgbm_ndcg(train, test)
    ours = our_ndcg(test, score)
    digits = [[f"{value:.4f}" for value in values] for values in (theirs, ours)]
    print(
        f"{train.X.shape} train and {test.X.shape} test rows x features, LightGBM {lgb.__version__}"
    )
    rows = {"evaluated by": ["LightGBM", "our metric", "documented"]}
    columns = zip(*digits, DOCUMENTED, strict=True)
    show(
        pl.DataFrame(rows | {f"ndcg@{k}": values for k, values in zip(CUTS, columns, strict=True)})
    )
    print(f"largest difference of the two: {np.abs(np.subtract(theirs, ours)).max():.1e}")
    return int(not digits[0] == digits[1] == list(DOCUMENTED))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
