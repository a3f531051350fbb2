"""Sample the candidates that rankers are trained on, and compute their features.

    python 5_features.py --dataset otto

Reads  output/<dataset>/<split>/{events,sessions,labels}.parquet, matrices, embeddings,
       candidates, pool
Writes output/<dataset>/<split>/preranked/part-*.parquet: the candidates that a pre-ranker keeps, as
       in the pool, and its score; only for a recipe with a pre-ranker. Its models are in models/
       output/<dataset>/<split>/train/part-*.parquet: session, item, fold, label:<objective>,
       log_chance:<objective>, features; for `valid` and the splits with role "train"
       output/<dataset>/logs/positives.json: positives in the pools, by objective

A label is the grade of the item; 0 is a negative, null is not sampled for the objective. All
positives in the pools are kept, and as many negatives as the recipe allows, more from the top of
the pool; log_chance is ln of the chance of a negative. Step 6 computes the features of all
candidates in batches and stores none: those of OTTO's test would take 690 GB.
"""

from src.candidates.pool import pool_files
from src.cli import main
from src.core.run import Run, count_built
from src.data.splits import labelled_splits
from src.prerankers.cut import cut_pools
from src.rankers.train_table import build_train_table, count_positives, count_rows_and_positives


def body(run: Run) -> None:
    splits = labelled_splits(run)
    cut_pools(run)
    run.require(file for split in splits for file in pool_files(run, split))
    with run.step("positives") as summary:
        summary |= count_positives(run)
    for split in splits:
        with run.step(f"{split} training table") as summary:
            summary |= count_built(build_train_table(run, split))
            summary |= count_rows_and_positives(run, split)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
