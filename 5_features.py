"""Sample the candidates that the rankers learn from, and compute their features.

    python 5_features.py --dataset otto

Reads  output/<dataset>/<split>/{events,sessions,labels}.parquet, matrices, embeddings, pool
Writes output/<dataset>/<split>/train/part-*.parquet: session, aid, fold, label_<objective>,
       features
(For `valid` and the earlier windows. All positives are kept, and as many negatives as the recipe
allows. For scoring, step 6 computes the features of all candidates on the fly: stored, they would
take 340 GB for OTTO.)
"""

from pathlib import Path

import polars as pl

from src.candidates import Part, open_world, part_files, part_path, parts
from src.features import Features
from src.rules import World
from src.run import Run, main
from src.training import claim, samplers, table_inputs, training_block


def body(run: Run) -> None:
    names = Features(run.recipe).names
    for split in run.learning_splits():
        run.need(part_files(run, split, "pool"))
    sampled = samplers(run)
    for split in run.learning_splits():
        world, place = open_world(run, split), run.output / split
        with run.step(f"{split} rows, {len(names)} features") as facts:
            made = 0
            for part in run.progress(parts(world), f"{split} features"):

                def make(path: Path, world: World = world, part: Part = part) -> None:
                    claim(run, world, "features")
                    training_block(run, world, part, sampled[world.split]).write_parquet(path)

                inputs = table_inputs(run, split, part_path(place / "pool", world, part))
                inputs.append(place / "labels.parquet")
                recipe = run.recipe
                rows = (part, recipe.features, recipe.type_weight, recipe.folds, recipe.seed, names,
                        [s.negatives for s in sampled[split]])  # fmt: skip
                made += run.build(part_path(place / "train", world, part), make, rows, inputs)
            facts["blocks made"] = made
            facts |= counts(run, split)


def counts(run: Run, split: str) -> dict[str, int]:
    """Rows, and positives per objective, of a split's training table."""
    labels = [pl.col(f"label_{o.name}").sum().alias(o.name) for o in run.recipe.objectives]
    table = pl.scan_parquet(part_files(run, split, "train"))
    return table.select(pl.len().alias("rows"), *labels).collect().row(0, named=True)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
