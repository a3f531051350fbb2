"""The training table of step 5: sampled candidates with labels, folds and features."""

from __future__ import annotations

import json
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.candidates.pool import Pool
from src.core.arrays import I64
from src.core.run import Run
from src.data import paths
from src.data.folds import folds
from src.data.shards import Shard, missing_queries, shard_file, shard_files, shards
from src.data.split_data import SplitData
from src.data.splits import labelled_splits
from src.features.table import FeatureTable
from src.rankers.batches import batch_inputs, claim_batches, pools
from src.rankers.sampling import Sampler, ground_truth, labels_of, samplers
from src.rankers.train_set import LABEL

BYTES_OF_CELL = 1.2
"""What a feature of a sampled candidate takes on disk, about."""


def train_files(run: Run) -> list[Path]:
    """Files of the training tables of all splits with labels."""
    return [file for split in labelled_splits(run) for file in shard_files(run, split, "train")]


def splits_of_files(run: Run) -> list[str]:
    """The split of each file of `train_files`."""
    return [s for s in labelled_splits(run) for _ in shard_files(run, s, "train")]


def trainable_objectives(run: Run) -> list[str]:
    """Objectives with a positive and a negative in every fold; others keep the pool's order."""
    table = pl.scan_parquet(shard_files(run, "valid", "train"))
    names = run.recipe.objective_names
    labels = [pl.col(f"{LABEL}{n}").drop_nulls().n_unique().alias(n) for n in names]
    by_fold = table.group_by("fold").agg(labels).collect()
    return [n for n in names if by_fold.height == run.recipe.folds and by_fold[n].min() == 2]


def positives_file(run: Run) -> Path:
    return run.output / "logs" / "positives.json"


def count_positives(run: Run) -> dict[str, int]:
    """Bring logs/positives.json up to date: positives in the pools of all splits, by objective."""
    splits = labelled_splits(run)
    inputs = [paths.labels(run, split) for split in splits]
    inputs += [file for split in splits for file in shard_files(run, split, "pool")]
    path = positives_file(run)
    run.build(path, partial(_write_positives, run), run.recipe.objective_names, inputs)
    counts: dict[str, int] = json.loads(path.read_text())
    return counts


def _write_positives(run: Run, path: Path) -> None:
    counts = dict.fromkeys(run.recipe.objective_names, 0)
    for split in labelled_splits(run):
        pool = pl.scan_parquet(shard_files(run, split, "pool")).select("session", "item")
        for name, truth in zip(counts, ground_truth(run, split), strict=True):
            hits = pool.join(truth.lazy(), on=["session", "item"]).select(pl.len())
            counts[name] += run.engine.collect(hits).item()
    path.write_text(json.dumps(counts))


def build_train_table(run: Run, split: str) -> list[bool]:
    """Build the training table of a split; tell of each shard whether it had to be built."""
    builder = TrainTableBuilder(SplitData(run, split))
    return [builder.build(s) for s in run.progress(shards(run, split), f"{split} features")]


def count_rows_and_positives(run: Run, split: str) -> dict[str, int]:
    """Count the rows, and the positives per objective, of a split's training table."""
    positives = [pl.col(f"{LABEL}{name}").sum().alias(name) for name in run.recipe.objective_names]
    table = pl.scan_parquet(shard_files(run, split, "train"))
    return table.select(pl.len().alias("rows"), *positives).collect().row(0, named=True)


class TrainTableBuilder:
    """Builds the shards of a split's training table; reads nothing where all are up to date."""

    def __init__(self, data: SplitData) -> None:
        self.data, self.run = data, data.run
        self.features = FeatureTable(data.run.recipe)

    @cached_property
    def truth(self) -> list[pl.DataFrame]:
        """Positives (session, item) of each objective."""
        return ground_truth(self.run, self.data.split)

    @cached_property
    def fold(self) -> I64:
        """Fold of every session; -1: all folds learn from it."""
        return folds(self.run, self.data.split)

    @cached_property
    def samplers(self) -> list[Sampler]:
        """Sampler of each objective; made with the first shard, it claims what all of them take."""
        positives = json.loads(positives_file(self.run).read_text())
        made = samplers(self.run.recipe, list(positives.values()))
        pairs = zip(made, self.truth, strict=True)
        rows = sum(s.query_rate * truth.height * (1 + s.negative_rate) for s, truth in pairs)
        table = BYTES_OF_CELL * len(self.features.names) * rows
        share = missing_queries(self.run, self.data.split, "train") / self.data.n_queries
        claim_batches(self.data, "features", table * share)
        return made

    def build(self, shard: Shard) -> bool:
        """Build a shard of the table; False where it is up to date."""
        run, split, recipe = self.run, self.data.split, self.run.recipe
        inputs = [*batch_inputs(run, split, shard), paths.labels(run, split), positives_file(run)]
        rows = (
            shard, self.features.names, recipe.features, recipe.type_weight, recipe.folds,
            recipe.seed, recipe.objective_names, recipe.max_train_rows,
            recipe.negatives_per_positive,
        )  # fmt: skip
        path = shard_file(run.output / split / "train", shard)
        return run.build(path, partial(self.write, shard), rows, inputs)

    def write(self, shard: Shard, path: Path) -> None:
        """Write the table of a shard."""
        samplers = self.samplers
        tables = [self.sample(pool, samplers) for pool in pools(self.data, shard)]
        pl.concat(tables).write_parquet(path)

    def sample(self, pool: Pool, samplers: list[Sampler]) -> pl.DataFrame:
        """Sample the candidates of a pool: session, item, fold, label_<objective>, features.

        A label is null where the row was not sampled for the objective. A query without a positive
        in its pool has no rows.
        """
        labels = [labels_of(pool, truth) for truth in self.truth]
        useful = np.zeros(pool.n_queries, np.bool_)
        useful[pool.session[np.logical_or.reduce(labels)] - pool.first] = True
        kept, of_useful = pool.keep(useful), np.repeat(useful, np.diff(pool.offsets))
        labels = [label[of_useful] for label in labels]
        pairs = zip(samplers, labels, strict=True)
        sampled = [sampler.sample(kept, label) for sampler, label in pairs]
        rows = np.logical_or.reduce(sampled)
        head = {
            "session": pl.Series(kept.session[rows]),
            "item": pl.Series(kept.item[rows]),
            "fold": pl.Series(self.fold[kept.session[rows]], dtype=pl.Int8),
        }
        for name, label, mark in zip(self.run.recipe.objective_names, labels, sampled, strict=True):
            head[f"{LABEL}{name}"] = _label_column(label[rows], mark[rows])
        X = self.features.compute(self.data, kept)[rows]
        return pl.DataFrame(head).hstack(pl.from_numpy(X, schema=self.features.names))


def _label_column(label: NDArray[np.uint8], sampled: NDArray[np.bool_]) -> pl.Series:
    """Make the column of labels, Int8: null where the row was not sampled."""
    return pl.Series(np.where(sampled, label.astype(np.int8), -1)).replace(-1, None).cast(pl.Int8)
