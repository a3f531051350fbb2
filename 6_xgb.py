"""Train the rankers, 4 folds per objective, and score every candidate of both splits.

    python 6_xgb.py --dataset otto

Reads  output/<dataset>/<split>/train/*.parquet  (step 5), pools, matrices, embeddings
Writes output/<dataset>/logs/rankers.csv: score of each, out of fold
       output/<dataset>/models/<ranker>/<objective>/fold_<i>.ubj (of a DinRow: .pt)
       output/<dataset>/logs/<ranker>/<objective>/fold_<i>/: {params,fold}.json,
       {curve,importance}.csv  (<objective> is "all" where one model learns all of them)
       output/<dataset>/<split>/scores/part-*.parquet: session, item, <ranker>_<objective>
Scores of `valid` are out of fold, those of `test` the mean of the folds.
"""

from functools import partial

from src.cli import main
from src.core.console import show
from src.core.run import Run
from src.data.shards import load_split, part_files, parts
from src.rankers import xgb as ranker
from src.rankers.rows import taught
from src.rankers.sampling import trainable
from src.rankers.score import fold_scores, score_part, together, train_fold


def body(run: Run) -> None:
    recipe = run.recipe
    run.need(file for split in run.learning_splits() for file in part_files(run, split, "train"))
    able = trainable(run)
    for objective in recipe.objectives:
        if objective.name not in able:
            print(f"{objective.name}: too few labels to learn from, the pool's order stays")
    for group, objectives in together(run, able):
        names = ", ".join(row.name for row in group)
        with run.step(f"{taught(group[0], objectives[0])} {names}") as facts:
            train = partial(train_fold, run, group, objectives)
            tasks = [partial(train, fold) for fold in range(recipe.folds)]
            facts["models made"] = sum(ranker.in_parallel(run.engine, tasks))
    for split in run.scored_splits():
        world = load_split(run, split)
        with run.step(f"{split} scores") as facts:
            blocks = run.progress(parts(world), f"{split} scores")
            facts["blocks made"] = sum([score_part(run, world, part, able) for part in blocks])
    with run.step("scores of the folds"):
        table = fold_scores(run, able)
        print(f"\nout-of-fold {recipe.metric}@{recipe.k}")
        show(table)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
