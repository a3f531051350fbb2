"""Measure the CPU seconds of scoring a query of `test`; extrapolate to OTTO's full size.

    python -m bench.scoring --dataset otto --output output/taobao [--queries 200]

Needs steps 1 to 6. The tree models of all folds score the first queries of `test`, or of `valid`
without a test split. Measured are all feature columns, the columns that some model uses, XGBoost's
own prediction, and the compiled trees. CPU seconds are the best of three, as other work may share
the cores. `same` is whether XGBoost and the compiled trees agree bit by bit; the exit code is 1
otherwise. The hours hold for OTTO's test sessions on two busy cores. Prints a table, appends it to
bench/RESULTS.md, and a line to bench/results.jsonl.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import xgboost as xgb

from bench import measure
from src.candidates.pool import Pool
from src.cli import parse
from src.data.shards import shards
from src.data.split_data import SplitData
from src.data.splits import scored_splits
from src.features.table import Buffer, FeatureTable
from src.rankers.base import mean_scores
from src.rankers.batches import CandidateBatch
from src.rankers.train import targets
from src.rankers.train_table import trainable_objectives

SESSIONS = 1_671_803  # of OTTO's test file
CORES = 2  # of the extrapolation
REPEATS = 3


def cheapest(work: Callable[[], Any]) -> tuple[float, Any]:
    """Repeat a work; return the CPU seconds of the fastest run, and the result of the last one."""
    best, result = np.inf, None
    for _ in range(REPEATS):
        start = process_time()
        result = work()
        best = min(best, process_time() - start)
    return best, result


def by_xgboost(models: list[xgb.Booster], X: np.ndarray, column: dict[str, int]) -> np.ndarray:
    """Compute the mean margin of models, each of which predicts from a copy of its columns."""
    total = np.zeros(len(X))
    for model in models:
        columns = np.array([column[name] for name in model.feature_names or []])
        total += model.inplace_predict(X[:, columns], predict_type="margin")
    return (total / len(models)).astype(np.float32)


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.scoring", description=__doc__)
    parser.add_argument("--queries", type=int, default=200)
    args, flags = parser.parse_known_args(argv)
    run = parse(__doc__ or "", Path(__file__), flags)
    data, features = SplitData(run, scored_splits(run)[-1]), FeatureTable(run.recipe)
    column = {name: number for number, name in enumerate(features.names)}
    whole = Pool.load(run, data.split, shards(run, data.split)[0])
    pool = whole.batch(0, min(args.queries, whole.n_queries))
    groups = [
        [(path, target.ranker) for path in target.models(run)]
        for target in targets(run.recipe, trainable_objectives(run))
        if target.ranker.features_only
    ]
    compiled = [[ranker.load(path, run) for path, ranker in group] for group in groups]
    boosters = [[xgb.Booster(model_file=path) for path, _ in group] for group in groups]
    used = {name for group in compiled for model in group for name in model.names}
    features.compute(data, pool)  # compiles the kernels, and loads the data
    times = {"all columns": cheapest(lambda: features.compute(data, pool))[0]}
    buffer = Buffer()
    times["used columns"], X = cheapest(lambda: features.compute(data, pool, used, buffer))
    batch = CandidateBatch(data, pool, features.names, X, np.arange(len(X)))
    times["XGBoost"], expected = cheapest(lambda: [by_xgboost(g, X, column) for g in boosters])
    times["compiled trees"], scores = cheapest(lambda: [mean_scores(g, batch) for g in compiled])
    same = all(np.array_equal(a, b) for a, b in zip(expected, scores, strict=True))
    before = times["all columns"] + times["XGBoost"]
    now = times["used columns"] + times["compiled trees"]
    trees = sum(b.num_boosted_rounds() for group in boosters for b in group)
    summary = {
        "queries": pool.n_queries, "rows": len(X), "models": sum(map(len, groups)),
        "trees": trees, "columns": len(features.names), "used": len(used), "same": same,
        "hours before": before / pool.n_queries * SESSIONS / CORES / 3600,
        "hours now": now / pool.n_queries * SESSIONS / CORES / 3600,
    }  # fmt: skip
    record = measure.origin(argv, "bench.scoring") | {"kind": "scoring", "seconds": times} | summary
    measure.append_line(record)
    rates = times | {"before": before, "now": now}
    lines = [[work, f"{s:.3f}", f"{1e6 * s / len(X):.2f}", f"{pool.n_queries / s:.0f}"]
             for work, s in rates.items()]  # fmt: skip
    texts = [f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
             for name, value in summary.items()]  # fmt: skip
    head = ("work", "CPU s", "µs a row", "sessions a CPU s")
    measure.append_table(measure.title(record, *texts), measure.table(head, lines))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
