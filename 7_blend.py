"""Blend the rankers, write the submission and report.html, and print the score on valid.

    python 7_blend.py --dataset otto

Reads  output/<dataset>/<split>/scores/*.parquet  (step 6), valid/labels.parquet
Writes output/<dataset>/cv.json: score, 95 % interval, folds and blend of each objective
       output/<dataset>/submission.csv: for the queries of test, or of valid without a test file
       output/<dataset>/logs/vs_baselines.csv: score of the pipeline and of every baseline
       output/<dataset>/logs/query_scores.parquet: value and ideal of every valid query
       output/<dataset>/logs/probabilities*: with a calibrator, those of valid, and their tables
       output/<dataset>/experiments.csv: one more line where recipe, code, score or sample is new
       output/<dataset>/report.html: the whole run on a page
"""

from src.blend.comparisons import write_vs_baselines
from src.blend.cv import cv_path, write_cv
from src.blend.experiments import add_experiment
from src.blend.final_blend import describe_blends, submission_path, write_submission
from src.blend.results import show_change, show_results
from src.cli import main
from src.core.run import Run, count_built
from src.data.splits import scored_splits
from src.evaluation.tables import write_tables
from src.features.table import FeatureTable
from src.report.report import write_report


def body(run: Run) -> None:
    split = scored_splits(run)[-1]
    with run.step("blend") as summary:
        summary |= count_built(write_cv(run))
        summary |= describe_blends(run)
    with run.step("submission") as summary:
        summary |= count_built([write_submission(run, split)])
    if run.recipe.slices:
        with run.step("tables") as summary:
            summary |= count_built(write_tables(run))
    with run.step("report") as summary:
        comparison = write_vs_baselines(run)
        is_new = add_experiment(run, n_features=len(FeatureTable(run.recipe).names))
        summary |= count_built([comparison, write_report(run)])
    show_results(run)
    print(f"\n{submission_path(run)}  ({split} queries)\n{cv_path(run)}")
    print((run.output / "report.html").resolve().as_uri())
    if is_new:
        show_change(run)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
