"""Measure what the metrics cost while trees are trained: evaluated every round, every fifth, once.

    python -m bench.evaluations --dataset interactions --output output/interactions [--rounds 60]

Needs steps 1 to 5. Trains the tree rankers of the recipe's first target on all folds but one, on
one thread. The table has CPU milliseconds a round, and their ratio to the row that evaluates once.
Prints it and appends it to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from unittest.mock import patch

from bench import measure
from src.cli import parse
from src.core.run import Run
from src.rankers import trees_training
from src.rankers.base import FitTask
from src.rankers.train import training_groups
from src.rankers.train_table import trainable_objectives
from src.rankers.trees import TreesRanker

HEAD = ("ranker", "train rows", "evaluated", "CPU ms a round", "ratio")


def rows(run: Run, rounds: int, folder: Path) -> list[tuple[object, ...]]:
    """Train each ranker three times; return the lines of the table."""
    groups = training_groups(run, trainable_objectives(run))
    group = next(g for g in groups if isinstance(g.targets[0].ranker, TreesRanker))
    first = group.targets[0]
    group.files = first.ranker.train_files(run, group.objectives)
    train_set = group.train_set()
    task = FitTask(first.ranker, first.name, 0, folder, run.engine, run.recipe.seed)
    data = first.ranker.prepare(run, task, train_set)
    lines: list[tuple[object, ...]] = []
    for target in group.targets:
        assert isinstance(target.ranker, TreesRanker)
        ranker = replace(target.ranker, num_boost_round=rounds, early_stopping_rounds=rounds)
        costs = {}
        for name, every in (("once", rounds), ("every fifth round", 5), ("every round", 1)):
            with patch.object(trees_training, "EVERY", every):
                start = process_time()
                ranker.fit(replace(task, ranker=ranker), data, folder / "model")
                costs[name] = 1000 * (process_time() - start) / rounds
            ratio = f"{costs[name] / costs['once']:.2f}"
            n_rows = train_set.counts(0)["train_rows"]
            lines.append((ranker.name, n_rows, name, f"{costs[name]:.0f}", ratio))
    return lines


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.evaluations", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    args, flags = parser.parse_known_args(argv)
    run = parse(__doc__ or "", Path(__file__), flags)
    with TemporaryDirectory() as folder:
        lines = rows(run, args.rounds, Path(folder))
    heading = measure.title(measure.origin(argv, "bench.evaluations"))
    measure.append_table(heading, measure.table(HEAD, lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
