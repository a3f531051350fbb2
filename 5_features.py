"""Sample the candidates that the rankers learn from, and compute their features.

    python 5_features.py --dataset otto

Reads  output/<dataset>/valid/{events,sessions,labels}.parquet, matrices, embeddings, pool
Writes output/<dataset>/valid/train/part-*.parquet: session, fold, label_<objective>, features
(All positives are kept, and as many negatives as the recipe's `train_rows` allows. For scoring,
step 6 computes the features of all candidates on the fly: stored, they would be 340 GB for OTTO.)
"""

from pathlib import Path

import polars as pl

from src.candidates import part_path, parts
from src.features import Features
from src.run import Run, main
from src.training import samplers, table_inputs, training_block


def body(run: Run) -> None:
    world, valid = run.world("valid"), run.output / "valid"
    names = Features(run.recipe).names
    rows = (run.recipe.features, run.recipe.train_rows, run.recipe.folds, run.recipe.seed, names)
    with run.step(f"training rows, {len(names)} features") as facts:
        sampled = samplers(run)
        made = 0
        for part in run.progress(parts(world), "features"):

            def make(path: Path, part: tuple[int, int] = part) -> None:
                training_block(run, world, part, sampled).write_parquet(path)

            inputs = table_inputs(run, "valid", part_path(valid / "pool", world, part))
            made += run.build(part_path(valid / "train", world, part), make, rows, inputs)
        facts["blocks made"] = made
        table = pl.scan_parquet(valid / "train" / "part-*.parquet")
        labels = [pl.col(f"label_{o.name}") for o in run.recipe.objectives]
        positives = table.select(pl.len(), *(c.sum() for c in labels)).collect().row(0, named=True)
        facts.update({name.replace("label_", "positive "): n for name, n in positives.items()})


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
