"""Measure what a pre-ranker is worth: CPU seconds of steps 5 to 7 and the score, with and without.

    python -m bench.cascade --dataset otto --output output/taobao --keep 60 --pool 150 --seeds 42 43

Needs steps 1 to 4. Steps 5 to 7 run on copies of their files: first with the whole pool, then with
the candidates that the dataset's row PRERANKER keeps, one after the other, each in a process of its
own. A --pool other than the recipe's is merged first. CPU seconds do not depend on other work on
the cores. Each seed gives other folds, samples and models; both ways share it. The delta is the
score of the cut pool minus that of the whole pool, paired by session, with a 95 % interval.
Prints two tables and appends them to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import importlib
import os
import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl

from bench import measure
from src.blend.cv import query_scores_path, read_cv, scores_of
from src.candidates.pool import write_pool
from src.cli import main as run_script
from src.cli import parse
from src.core.run import Run
from src.data.recipe import Recipe
from src.data.split_data import SplitData
from src.data.splits import all_splits
from src.datasets import DATASETS
from src.metrics.paired import paired_delta

POOL = "pool"
STEPS = ("5_features", "6_xgb", "7_blend")
MADE = ("train", "preranker_train", "preranked", "models", "scores", "report.html", "cv.json",
        "submission.csv", "experiments.csv", "last.parquet", "positives.json", "*rankers.csv",
        ".lock")  # fmt: skip
"""Files that steps 5 to 7 make."""
SCORES = ("pool", "keep", "seed", "queries", "objectives", "score", "delta", "95 %", "CPU s",
          "of the whole pool's")  # fmt: skip
STEP_HEAD = ("pool", "keep", "seed", *(f"step {step[0]}, CPU s" for step in STEPS),
             *(f"step {step[0]}, s" for step in STEPS))  # fmt: skip


def variant(dataset: str, recipe: Recipe, pool: int, keep: int, seed: int) -> Recipe:
    """Return the recipe with another pool, seed and, unless keep is 0, a pre-ranker."""
    row = importlib.import_module(f"src.datasets.{dataset}.recipe").PRERANKER
    cut = replace(row, keep=keep) if keep else None
    return replace(recipe, pool_size=pool, seed=seed, preranker=cut)


def child(args: argparse.Namespace) -> int:
    """Run one step with the variant of the recipe."""
    dataset, flags = DATASETS[args.dataset], flags_of(args.dataset, args.input, args.output)
    changed = variant(args.dataset, dataset.recipe, args.pool, args.keep, args.seeds[0])
    DATASETS[args.dataset] = replace(dataset, recipe=changed)
    if args.step == POOL:
        run = parse("", Path("4_embeddings.py"), flags)
        for split in all_splits(run):
            write_pool(SplitData(run, split))
        return 0
    script = f"{args.step}.py"
    return run_script("", script, runpy.run_path(script)["body"], flags)


def flags_of(dataset: str, source: Path, output: Path) -> list[str]:
    return ["--dataset", dataset, "--input", str(source), "--output", str(output),
            "--engine", "cpu"]  # fmt: skip


def measured(
    args: argparse.Namespace, output: Path, keep: int, seed: int
) -> list[measure.Measured]:
    """Run steps 5 to 7 on links to the files of steps 1 to 4; raise SystemExit if one fails."""
    shutil.rmtree(output, ignore_errors=True)
    made = shutil.ignore_patterns(*MADE)
    shutil.copytree(args.output, output, ignore=made, copy_function=os.link)
    done = []
    for step in (*([POOL] if args.pool else []), *STEPS):
        command = [sys.executable, "-m", "bench.cascade", "--step", step, "--keep", str(keep),
                   "--pool", str(args.pool or pool_size(args)), "--seeds", str(seed),
                   "--dataset", args.dataset, "--input", str(args.input),
                   "--output", str(output)]  # fmt: skip
        result = measure.run(command, args.work / "cascade.log", show=False)
        if result.code:
            raise SystemExit(f"{step}: {measure.state(result.code)}; see {args.work}/cascade.log")
        if step != POOL:
            done.append(result)
    return done


def pool_size(args: argparse.Namespace) -> int:
    return DATASETS[args.dataset].recipe.pool_size


def run_of(args: argparse.Namespace, output: Path) -> Run:
    return parse("", Path("7_blend.py"), flags_of(args.dataset, args.input, output))


def lines_of(args: argparse.Namespace, seed: int) -> tuple[list[list[object]], list[list[object]]]:
    """Measure the whole pool and every --keep with a seed; return rows of both tables."""
    whole, scores, steps = None, list[list[object]](), list[list[object]]()
    for keep in (0, *args.keep):
        output = args.work / f"keep-{keep}"
        done = measured(args, output, keep, seed)
        run, cpu = run_of(args, output), sum(d.cpu_seconds for d in done)
        weights = [o.weight for o in run.recipe.objectives]
        of_query = scores_of(pl.read_parquet(query_scores_path(run)), len(weights))
        cv = read_cv(run)
        whole = whole or (of_query, cpu)
        delta = paired_delta(of_query, whole[0], weights, run.recipe.seed)
        name = args.pool or run.recipe.pool_size, keep or "all", seed
        by_objective = " ".join(f"{s.score():.4f}" for s in of_query)
        scores.append([
            *name, max(s.session.size for s in of_query), by_objective, f"{cv['score']:.4f}",
            f"{delta.delta:+.4f}", f"[{delta.delta_low:.4f}, {delta.delta_high:.4f}]",
            f"{cpu:.0f}", f"{cpu / whole[1]:.2f}",
        ])  # fmt: skip
        steps.append([*name, *(f"{d.cpu_seconds:.0f}" for d in done),
                      *(f"{d.seconds:.0f}" for d in done)])  # fmt: skip
        print(scores[-1], steps[-1], flush=True)
    return scores, steps


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.cascade", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--input", type=Path, default=Path("input"))
    parser.add_argument("--output", type=Path, required=True, help="of steps 1 to 4")
    parser.add_argument("--work", type=Path, help="folder for copies (<output>-cascade)")
    parser.add_argument("--keep", type=int, nargs="+", default=[60])
    parser.add_argument("--pool", type=int, default=0, help="size of the pool (the recipe's)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--step", choices=(POOL, *STEPS), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.step:
        args.keep = args.keep[0]
        return child(args)
    args.work = args.work or args.output.with_name(f"{args.output.name}-cascade")
    rows = [lines_of(args, seed) for seed in args.seeds]
    title = measure.title(measure.origin(argv, "bench.cascade"), f"metric {run_metric(args)}")
    measure.append_table(title, measure.table(SCORES, [line for s, _ in rows for line in s]))
    steps = measure.table(STEP_HEAD, [line for _, s in rows for line in s])
    measure.append_table("CPU seconds and wall seconds of its steps", steps)
    return 0


def run_metric(args: argparse.Namespace) -> str:
    return str(DATASETS[args.dataset].recipe.metric)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
