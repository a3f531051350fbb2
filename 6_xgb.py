"""Train the rankers, 4 folds per objective, and score every candidate of both splits.

    python 6_xgb.py --dataset otto

Reads  output/<dataset>/valid/train/*.parquet  (step 5), pools, matrices, embeddings
Writes output/<dataset>/models/<ranker>/<objective>/fold_<i>.ubj
       output/<dataset>/logs/<ranker>/<objective>/fold_<i>/{params,fold}.json, {auc,importance}.csv
       output/<dataset>/<split>/scores/part-*.parquet: session, aid, <ranker>_<objective>
Scores of `valid` are out of fold, those of `test` the mean of the folds.
"""

from functools import partial

from src import ranker
from src.candidates import open_world, parts
from src.run import Run, main
from src.scoring import fold_scores, score_part, train_model


def body(run: Run) -> None:
    recipe = run.recipe
    for row in recipe.rankers:
        for objective in recipe.objectives:
            with run.step(f"{row.name} {objective.name}") as facts:
                tasks = [
                    partial(train_model, run, row, objective.name, fold)
                    for fold in range(recipe.folds)
                ]
                facts["folds made"] = sum(ranker.in_parallel(run.engine, tasks))
    for split in run.scored_splits():
        world = open_world(run, split)
        with run.step(f"{split} scores") as facts:
            blocks = run.progress(parts(world), f"{split} scores")
            facts["blocks made"] = sum([score_part(run, world, part) for part in blocks])
    fold_scores(run)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
