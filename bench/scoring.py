"""What scoring a session of `test` costs, and so what step 6 would at OTTO's full size.

    python -m bench.scoring --dataset otto --output output/taobao [--queries 200]

On the first queries of `test` (`valid` without one), of what steps 1 to 6 made, by all models of
all folds as step 6 does it: CPU seconds of all columns and of those that some model uses, of
XGBoost's own prediction (the columns of each model copied out of all, as before) and of the
compiled forests; the scores of both are the same, bit by bit, or it says so. CPU seconds of the
best of three turns, since other work may share the cores; the forecast is those on two cores, each
as busy. Appends a table to bench/RESULTS.md and a line to bench/results.jsonl.
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
from bench.features import some_pools
from src.cli import parse
from src.data.shards import load_split
from src.features.table import Features
from src.rankers import xgb as ranker
from src.rankers.rows import XGBoostRanker
from src.rankers.sampling import piece, trainable
from src.rankers.score import model_path, to_train

SESSIONS = 1_671_803  # of OTTO's test file
CORES, TURNS = 2, 3


def cheapest(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of the best of some turns, and what the last one returned."""
    best, found = np.inf, None
    for _ in range(TURNS):
        start = process_time()
        found = work()
        best = min(best, process_time() - start)
    return best, found


def by_xgboost(models: list[xgb.Booster], X: np.ndarray, place: dict[str, int]) -> np.ndarray:
    """Mean margin of some models, each given a copy of its own columns."""
    total = np.zeros(len(X))
    for model in models:
        columns = np.array([place[name] for name in model.feature_names or []])
        total += model.inplace_predict(X[:, columns], predict_type="margin")
    return (total / len(models)).astype(np.float32)


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.scoring", description=__doc__)
    parser.add_argument("--queries", type=int, default=200)
    args, flags = parser.parse_known_args(argv)
    run = parse(__doc__ or "", Path(__file__), flags)
    world, features = load_split(run, run.scored_splits()[-1]), Features(run.recipe)
    place = {name: column for column, name in enumerate(features.names)}
    whole = some_pools(run, world, 1)[0]
    pool = piece(whole, 0, min(args.queries, whole.offsets.size - 1))
    queries, rows = pool.offsets.size - 1, pool.item.size
    groups = [
        [model_path(run, row, what, fold) for fold in range(run.recipe.folds)]
        for row, what in to_train(run, trainable(run))
        if isinstance(row, XGBoostRanker)
    ]
    forests = [[ranker.load(path, run.engine.threads) for path in paths] for paths in groups]
    boosters = [[xgb.Booster(model_file=path) for path in paths] for paths in groups]
    used = {name for group in forests for forest in group for name in forest.names}
    features.compute(world, pool)  # nothing is compiled or loaded while it is measured
    times = {"all columns": cheapest(lambda: features.compute(world, pool))[0]}
    times["used columns"], X = cheapest(lambda: features.compute(world, pool, used))
    times["XGBoost"], theirs = cheapest(lambda: [by_xgboost(g, X, place) for g in boosters])
    times["forests"], ours = cheapest(
        lambda: [ranker.predict(g, X, features.names) for g in forests]
    )
    same = all(np.array_equal(a, b) for a, b in zip(theirs, ours, strict=True))
    before = times["all columns"] + times["XGBoost"]
    now = times["used columns"] + times["forests"]
    trees = sum(b.num_boosted_rounds() for group in boosters for b in group)
    facts = {
        "queries": queries, "rows": rows, "models": sum(map(len, groups)), "trees": trees,
        "columns": len(features.names), "used": len(used), "same": same,
        "hours before": before / queries * SESSIONS / CORES / 3600,
        "hours now": now / queries * SESSIONS / CORES / 3600,
    }  # fmt: skip
    record = measure.origin(argv, "bench.scoring") | {"kind": "scoring", "seconds": times} | facts
    measure.append_line(record)
    lines = [[what, f"{s:.3f}", f"{1e6 * s / rows:.2f}", f"{queries / s:.0f}"]
             for what, s in (times | {"before": before, "now": now}).items()]  # fmt: skip
    told = [f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
            for name, value in facts.items()]  # fmt: skip
    head = ("work", "CPU s", "µs a row", "sessions a CPU s")
    measure.append_table(measure.title(record, *told), measure.table(head, lines))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
