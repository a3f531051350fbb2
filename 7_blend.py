"""Blend the rankers, write and validate submission.csv, and print what it should score.

    python 7_blend.py --dataset otto

Reads  output/<dataset>/<split>/scores/*.parquet  (step 6), valid/labels.parquet
Writes output/<dataset>/submission.csv: for the test queries, or the valid ones where no test is
       output/<dataset>/cv.json: score, 95 % interval and folds per objective
       output/<dataset>/logs/gains.csv: the score beside every baseline's
       output/<dataset>/logs/hits.parquet: of each query, for the next run to compare with
       output/<dataset>/experiments.csv: one more line, with what changed and what it gained
       output/<dataset>/report.html: all of the run on a page
"""

from pathlib import Path

import polars as pl

from src.blend.cv import Blended, blends, show_cv, write_cv
from src.blend.search import STACK, STEPS, Search, final_lists, options
from src.cli import main
from src.core.run import Run
from src.data.folds import folds
from src.data.schemas import Lists
from src.data.shards import BLOCK, part_files
from src.rankers.rows import member
from src.rankers.sampling import trainable
from src.report.report import write_report


def body(run: Run) -> None:
    recipe, splits, able = run.recipe, run.scored_splits(), trainable(run)
    answer, logs, valid = run.output / "submission.csv", run.output / "logs", run.output / "valid"
    made = [answer, run.output / "cv.json", logs / "gains.csv", logs / "hits.parquet"]

    def make(parts: dict[Path, Path]) -> None:
        blended, lists = blend(run, able, splits[-1])
        if answer in parts:
            recipe.write_submission(run, splits[-1], lists, parts[answer])
        write_cv(run, blended, parts)

    target = run.output / splits[-1]
    inputs = [valid / "labels.parquet", logs / "pool" / "baselines.parquet"]
    inputs += [run.output / "items.parquet", target / "sessions.parquet", target / "events.parquet"]
    inputs += [file for split in splits for file in part_files(run, split, "scores")]
    rows = (recipe.objectives, recipe.metric, recipe.k, recipe.folds, recipe.seed, able,
            [row.name for row in recipe.rankers], recipe.baselines)  # fmt: skip
    with run.step("blend, submission") as facts:
        facts["made"] = len(run.build_many(dict.fromkeys(made, rows), make, inputs))
        facts |= blends(run)
    with run.step("report") as facts:
        facts["made"] = int(write_report(run))
        show_cv(run)
    print(f"\n{answer}  ({splits[-1]} queries)\n{run.output / 'cv.json'}")
    print((run.output / "report.html").resolve().as_uri())


def blend(run: Run, able: list[str], target: str) -> tuple[dict[str, Blended], Lists]:
    """The best way to mix the rankers of each objective, and the lists of a split's queries."""
    recipe, fold = run.recipe, folds(run, "valid")
    labels = pl.read_parquet(run.output / "valid" / "labels.parquet")
    claim(run, labels)
    blended, lists = {}, {}
    for o, objective in enumerate(recipe.objectives):
        rankers = recipe.rankers if objective.name in able else ()
        members = [member(row, objective.name) for row in rankers]
        truth = labels.filter(pl.col("objective") == o)
        search = Search(recipe, part_files(run, "valid", "scores"), members, truth, fold)
        tally, option = search.cross_fitted()
        stack = search.stack[-1] if option.space == STACK else None
        shares = zip(rankers, option.weights, strict=False)
        weights = {row.name: weight / STEPS for row, weight in shares}
        blended[objective.name] = Blended(
            tally, search.reachable, option.space, weights, search.by_space(), stack
        )
        files = part_files(run, target, "scores")
        lists[objective.name] = final_lists(files, members, option, stack, recipe.k)
    return blended, lists


def claim(run: Run, labels: pl.DataFrame) -> None:
    """Tell what the search holds: what each query wins in every way, and a block of candidates."""
    members = len(run.recipe.rankers)
    queries = labels.group_by("objective").agg(pl.col("session").n_unique())["session"].max()
    rows = BLOCK * run.recipe.pool_size
    wins = 4.0 * len(options(max(1, members))) * int(queries or 0)
    run.budget.claim("blend", wins + rows * (40 + 40 * members) + 40 * labels.height)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
