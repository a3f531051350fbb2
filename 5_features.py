"""Sample the candidates that the rankers learn from, and compute their features.

    python 5_features.py --dataset otto

Reads  output/<dataset>/<split>/{events,sessions,labels}.parquet, matrices, embeddings, pool
Writes output/<dataset>/<split>/train/part-*.parquet: session, item, fold, label_<objective>,
       features
       output/<dataset>/logs/positives.json: how many candidates came true
(For `valid` and the earlier windows. All positives are kept, and as many negatives as the recipe
allows. For scoring, step 6 computes the features of all candidates on the fly: stored, they would
take 340 GB for OTTO.)
"""

import json
from functools import cache, partial
from pathlib import Path

import polars as pl
from src.candidates.rules import World

from src.cli import main
from src.core.run import Run
from src.data.shards import Part, load_split, part_files, part_path, parts
from src.features.table import Features
from src.rankers.sampling import (
    claim,
    count_positives,
    sampled_bytes,
    samplers,
    table_inputs,
    training_block,
)


def body(run: Run) -> None:
    names = Features(run.recipe).names
    for split in run.learning_splits():
        run.need(part_files(run, split, "pool"))
    with run.step("positives") as facts:
        counted = count_positives(run)
        facts |= json.loads(counted.read_text())
    for split in run.learning_splits():
        with run.step(f"{split} rows, {len(names)} features") as facts:
            facts["blocks made"] = sample(run, load_split(run, split), counted, names)
            facts |= counts(run, split)


def sample(run: Run, world: World, counted: Path, names: list[str]) -> int:
    """Make the training table of a split; how many of its blocks were made."""
    recipe, place = run.recipe, run.output / world.split
    sampled = cache(partial(samplers, run, world.split, counted))  # when there is work to do

    def build(part: Part) -> bool:
        def make(path: Path) -> None:
            claim(run, world, "features", ("train", sampled_bytes(run, world, sampled())))
            training_block(run, world, part, sampled()).write_parquet(path)

        inputs = table_inputs(run, world.split, part_path(place / "pool", world, part))
        inputs += [place / "labels.parquet", counted]
        rows = (part, recipe.features, recipe.type_weight, recipe.folds, recipe.seed, names,
                recipe.train_rows, recipe.negatives)  # fmt: skip
        return run.build(part_path(place / "train", world, part), make, rows, inputs)

    return sum(map(build, run.progress(parts(world), f"{world.split} features")))


def counts(run: Run, split: str) -> dict[str, int]:
    """Rows, and positives per objective, of a split's training table."""
    labels = [pl.col(f"label_{o.name}").sum().alias(o.name) for o in run.recipe.objectives]
    table = pl.scan_parquet(part_files(run, split, "train"))
    return table.select(pl.len().alias("rows"), *labels).collect().row(0, named=True)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
