"""Train the rankers, and score the candidates of `valid` and `test`.

    python 6_xgb.py --dataset otto

Reads  output/<dataset>/<split>/train/*.parquet  (step 5), candidates, pool, matrices, embeddings
Writes output/<dataset>/models/<ranker>/<target>/fold_<i>.<suffix>: ubj of XGBoost, lgb, pt of nets
       output/<dataset>/logs/<ranker>/<target>/fold_<i>/: curve.csv, params.json, fold.json,
       importance.csv
       output/<dataset>/<split>/cascade/<base>_<first>/<target>/part-*.parquet: as step 5's table,
       the first candidates of a ranker that a cascade learns from; only for such a recipe
       output/<dataset>/<split>/scores/part-*.parquet: session, item, <ranker>_<target>
       output/<dataset>/logs/rankers.csv: out-of-fold score of each ranker, overall and by fold
       output/<dataset>/logs/preranker/{cascade,agreement}.csv: what the cut of a pre-ranker loses

A target is an objective, or "all" for a model of all objectives. Scores of `valid` are out of fold,
scores of `test` are the mean over the models of all folds.
"""

from src.cli import main
from src.core.console import show
from src.core.run import Run, count_built
from src.data.splits import scored_splits
from src.prerankers.log import log_preranker
from src.rankers.evaluate import evaluate_rankers
from src.rankers.score import score_split
from src.rankers.train import training_groups
from src.rankers.train_table import train_files, trainable_objectives


def body(run: Run) -> None:
    run.require(train_files(run))
    objectives = trainable_objectives(run)
    for name in run.recipe.objective_names:
        if name not in objectives:
            print(f"{name}: too few labels to train on, its lists keep the order of the pool")
    for group in training_groups(run, objectives):
        with run.step(group.name) as summary:
            summary |= count_built(group.train())
    for split in scored_splits(run):
        with run.step(f"{split} scores") as summary:
            summary |= count_built(score_split(run, split, objectives))
    with run.step("out-of-fold scores"):
        table = evaluate_rankers(run, objectives)
        print(f"\nout-of-fold {run.recipe.metric}")
        show(table)
    log_preranker(run, objectives)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
