"""Build the training table of step 5: sampled candidates with labels, folds and features."""

from __future__ import annotations

import json
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import polars as pl

from src.candidates.pool import Pool, pool_files
from src.core.arrays import I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.folds import folds
from src.data.shards import Shard, missing_queries, shard_file, shard_files, shards
from src.data.split_data import SplitData
from src.data.splits import labelled_splits
from src.features.table import Buffer, FeatureTable
from src.rankers.batches import batch_inputs, claim_batches, pools
from src.rankers.sampling import Sampler, ground_truth, labels_of, samplers
from src.rankers.train_set import CHANCE, LABEL

BYTES_OF_CELL = 1.2
BYTES_IN_MEMORY = 6.0
"""Bytes of a feature of a sampled candidate: on disk, and in memory while a shard is written."""


def table_files(run: Run, split: str) -> list[Path]:
    """List the files of the training table of a split."""
    return shard_files(run, split, paths.train_folder(run))


def train_files(run: Run) -> list[Path]:
    """List the files of the training tables of all splits with labels."""
    return [file for split in labelled_splits(run) for file in table_files(run, split)]


def splits_of_files(run: Run) -> list[str]:
    """Return the split of each file of `train_files`."""
    return [split for split in labelled_splits(run) for _ in table_files(run, split)]


def trainable_objectives(run: Run) -> list[str]:
    """Return the objectives that have a positive, and two different grades, in every fold.

    With one fold, models learn from the splits of the role "train" alone, which need the same.
    Lists of other objectives keep the order of the pool.
    """
    files, folds = table_files(run, "valid"), run.recipe.folds
    if folds == 1:  # training splits are one more fold, -1
        files, folds = train_files(run), 2
    table = pl.scan_parquet(files)
    names = run.recipe.objective_names
    labels = {name: pl.col(f"{LABEL}{name}").drop_nulls() for name in names}
    enough = [((x.max() > 0) & (x.n_unique() > 1)).alias(name) for name, x in labels.items()]
    by_fold = table.group_by("fold").agg(enough).collect()
    return [n for n in names if by_fold.height == folds and by_fold[n].eq(True).all()]


def count_positives(run: Run) -> dict[str, int]:
    """Build logs/positives.json: the positives in the pools of all splits, by objective."""
    splits = labelled_splits(run)
    inputs = [paths.labels(run, split) for split in splits]
    inputs += [file for split in splits for file in pool_files(run, split)]
    path = paths.positives(run)
    run.build(path, partial(_write_positives, run), run.recipe.objective_names, inputs)
    counts: dict[str, int] = json.loads(path.read_text())
    return counts


def _count_candidates(run: Run, split: str) -> int:
    return sum(count_rows(file) for file in pool_files(run, split))


def _write_positives(run: Run, path: Path) -> None:
    counts = dict.fromkeys(run.recipe.objective_names, 0)
    for split in labelled_splits(run):
        pool = pl.scan_parquet(pool_files(run, split)).select("session", "item")
        for name, truth in zip(counts, ground_truth(run, split), strict=True):
            hits = pool.join(truth.lazy(), on=["session", "item"]).select(pl.len())
            counts[name] += run.engine.collect(hits).item()
    path.write_text(json.dumps(counts))


def build_train_table(run: Run, split: str) -> list[bool]:
    """Build the training table of a split; return for each shard whether it was built."""
    builder = TrainTableBuilder(SplitData(run, split))
    return [builder.build(s) for s in run.progress(shards(run, split), f"{split} features")]


def count_rows_and_positives(run: Run, split: str) -> dict[str, int]:
    """Count the rows, and the positives per objective, of a split's training table."""
    names = run.recipe.objective_names
    positives = [(pl.col(f"{LABEL}{name}") > 0).sum().alias(name) for name in names]
    table = pl.scan_parquet(table_files(run, split))
    return table.select(pl.len().alias("rows"), *positives).collect().row(0, named=True)


class TrainTableBuilder:
    """Builds the shards of a split's training table; reads nothing if all are up to date."""

    def __init__(self, data: SplitData) -> None:
        self.data, self.run = data, data.run
        self.features = FeatureTable(data.run.recipe)

    @cached_property
    def truth(self) -> list[pl.DataFrame]:
        """Positives of each objective, judged items of given ones: columns session, item, grade."""
        return ground_truth(self.run, self.data.split, self.run.recipe.given)

    @cached_property
    def fold(self) -> I64:
        """Fold of every session; -1 where the models of all folds learn from it."""
        return folds(self.run, self.data.split)

    @cached_property
    def samplers(self) -> list[Sampler]:
        """Sampler of each objective; claims memory and disk for all shards that are to be built."""
        run, split = self.run, self.data.split
        positives = json.loads(paths.positives(run).read_text())
        candidates = {name: _count_candidates(run, name) for name in labelled_splits(run)}
        by_objective = samplers(run.recipe, list(positives.values()), sum(candidates.values()))
        pairs = zip(by_objective, self.truth, strict=True)
        found = [s.expected_rows(int((t["grade"] > 0).sum()), candidates[split]) for s, t in pairs]
        rows = min(sum(found), float(candidates[split])) if run.recipe.given else sum(found)
        cells = len(self.features.names) * rows / self.data.n_queries  # per query
        missing = missing_queries(run, split, paths.train_folder(run))
        largest = max(shard.end - shard.first for shard in shards(run, split))
        held = BYTES_IN_MEMORY * cells * largest
        claim_batches(self.data, "features", BYTES_OF_CELL * cells * missing, held)
        return by_objective

    def build(self, shard: Shard) -> bool:
        """Build a shard of the table; return False if it is up to date."""
        run, split, recipe = self.run, self.data.split, self.run.recipe
        inputs = [*batch_inputs(run, split, shard), paths.labels(run, split), paths.positives(run)]
        rows = (
            shard, self.features.names, recipe.features, recipe.type_weight, recipe.folds,
            recipe.seed, recipe.objective_names, recipe.max_train_rows,
            recipe.negatives_per_positive,
        )  # fmt: skip
        path = shard_file(run.output / split / paths.train_folder(run), shard)
        return run.build(path, partial(self.write, shard), rows, inputs)

    def write(self, shard: Shard, path: Path) -> None:
        """Write the sampled candidates of a shard."""
        samplers, buffer = self.samplers, Buffer()
        tables = [self.sample(pool, samplers, buffer) for pool in pools(self.data, shard)]
        pl.concat(tables).write_parquet(path)

    def sample(self, pool: Pool, samplers: list[Sampler], buffer: Buffer) -> pl.DataFrame:
        """Sample the candidates of a pool; buffer: where all their features lie.

        Columns: session, item, fold, features; for each objective label:<objective>, and
        log_chance:<objective> of Sampler.log_chances.

        A label is the grade, and null where the candidate is not sampled for the objective; given
        candidates that are not judged never are. A query without a positive in its pool has no
        rows, except with whole lists.
        """
        unknown = np.nan if self.run.recipe.given else 0.0
        labels = [labels_of(pool, truth, unknown) for truth in self.truth]
        if not self.run.recipe.whole_lists:
            has_positive = np.zeros(pool.n_queries, np.bool_)
            positive = np.logical_or.reduce([label > 0 for label in labels])
            has_positive[pool.session[positive] - pool.first] = True
            rows = np.repeat(has_positive, np.diff(pool.offsets))
            pool, labels = pool.keep(has_positive), [label[rows] for label in labels]
        pairs = zip(samplers, labels, strict=True)
        by_objective = [sampler.sample(pool, label) & ~np.isnan(label) for sampler, label in pairs]
        sampled = np.logical_or.reduce(by_objective)
        session = pool.session[sampled]
        columns = {
            "session": pl.Series(session),
            "item": pl.Series(pool.item[sampled]),
            "fold": pl.Series(self.fold[session], dtype=pl.Int8),
        }
        names = self.run.recipe.objective_names
        for name, label, mask, sampler in zip(names, labels, by_objective, samplers, strict=True):
            grade = pl.Series(np.where(mask, label, np.nan)[sampled], dtype=pl.Float32)
            columns[f"{LABEL}{name}"] = grade.fill_nan(None)
            columns[f"{CHANCE}{name}"] = pl.Series(sampler.log_chances(pool, label)[sampled])
        wanted = np.zeros(pool.n_queries, np.bool_)  # columns compare the candidates of a query
        wanted[session - pool.first] = True
        rows = np.repeat(wanted, np.diff(pool.offsets))
        X = self.features.compute(self.data, pool.keep(wanted), buffer=buffer)[sampled[rows]]
        return pl.DataFrame(columns).hstack(pl.from_numpy(X, schema=self.features.names))
