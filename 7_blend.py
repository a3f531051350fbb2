"""Blend the rankers, write and validate submission.csv, and print what it should score.

    python 7_blend.py --dataset otto

Reads  output/<dataset>/<split>/scores/*.parquet  (step 6), valid/labels.parquet
Writes output/<dataset>/submission.csv: for the test queries, or the valid ones where no test is
       output/<dataset>/cv.json: score, 95 % interval and folds per objective
       output/<dataset>/logs/gains.csv: the score beside every baseline's
       output/<dataset>/experiments.csv: one more line, with what changed in the recipe
       output/<dataset>/report.html: all of the run on a page
"""

import polars as pl

from src.blend import STACK, Search, final_lists
from src.candidates import part_files
from src.cv import Blended, write_cv
from src.report import write_report
from src.run import Run, main
from src.training import folds, learnable


def body(run: Run) -> None:
    splits = run.scored_splits()
    for split in splits:
        run.need(part_files(run, split, "scores"))
    recipe, fold, target = run.recipe, folds(run, "valid"), splits[-1]
    labels = pl.read_parquet(run.output / "valid" / "labels.parquet")
    able, blended, lists = learnable(run), {}, {}
    for o, objective in enumerate(recipe.objectives):
        with run.step(f"blend {objective.name}") as facts:
            rankers = recipe.rankers if objective.name in able else ()
            members = [f"{row.name}_{objective.name}" for row in rankers]
            truth = labels.filter(pl.col("objective") == o)
            search = Search(recipe, part_files(run, "valid", "scores"), members, truth, fold)
            tally, option = search.cross_fitted()
            stack = search.stack[-1] if option.space == STACK else None
            tenths = zip(rankers, option.weights, strict=False)
            weights = {row.name: weight / 10 for row, weight in tenths}
            blended[objective.name] = Blended(
                tally, search.reachable, option.space, weights, search.by_space(), stack
            )
            files = part_files(run, target, "scores")
            lists[objective.name] = final_lists(files, members, option, stack, recipe.k)
            facts.update({"space": option.space} | weights)
    with run.step("submission") as facts:
        facts["rows"] = recipe.write_submission(run, target, lists)
    write_cv(run, blended, fold)
    with run.step("report") as facts:
        facts["made"] = int(write_report(run))
    print(f"\n{run.output / 'submission.csv'}  ({target} queries)\n{run.output / 'cv.json'}")
    print((run.output / "report.html").resolve().as_uri())


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
