"""Build the training table of a cascade: the first candidates of its base ranker.

No score in it comes from a model that learned from the session. Sessions of `valid` are scored by
the model of their fold. Models of all folds learn from the splits with role "train". So these are
scored by models of the same row that are trained for it: each learns from the sessions of all
splits but those of one fold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import polars as pl

from src.candidates.pool import Pool
from src.core.arrays import I64
from src.core.run import Run
from src.data import paths
from src.data.folds import all_folds
from src.data.shards import Shard, missing_queries, shard_file, shard_files, shards
from src.data.split_data import SplitData
from src.data.splits import labelled_splits, split_named
from src.rankers.base import RankerModel, out_of_fold_scores
from src.rankers.batches import CandidateBatch, batch_inputs, claim_batches, pools
from src.rankers.cascade import COLUMNS, CascadeRanker, first_of, ranks
from src.rankers.oof import with_all_folds
from src.rankers.sampling import Sampler, labels_of
from src.rankers.train import Target, TrainingGroup, targets
from src.rankers.train_set import LABEL, TrainSet
from src.rankers.train_table import BYTES_OF_CELL, TrainTableBuilder, trainable_objectives

MIN_FOLDS = 2  # of the sessions that models of all folds learn from


def build_tables(run: Run, row: CascadeRanker, objectives: Sequence[str]) -> list[Path]:
    """Bring the tables of all splits with labels up to date, and the models that score for them."""
    files, splits, base = list[Path](), labelled_splits(run), row.base_of(run.recipe)
    trained = targets(run.recipe, trainable_objectives(run))
    of_valid = next(t for t in trained if t.ranker is base and objectives[0] in t.objectives)
    crossed = cross_fitted(run, of_valid)
    if len(splits) > 1:
        crossed.train()
    for split in splits:
        is_valid = split_named(run, split).role == "valid"
        scored_by = (run, of_valid) if is_valid else (crossed.run, crossed.targets[0])
        table = CascadeTable(SplitData(run, split), row, objectives, *scored_by)
        for shard in run.progress(shards(run, split), f"{split} first candidates"):
            table.build(shard)
        files += shard_files(run, split, table.folder)
    return files


class CrossFittedGroup(TrainingGroup):
    """Trains a model per fold that learns from no session of its fold in any split."""

    def read(self) -> TrainSet:
        """Read the training set with folds of the sessions of all splits."""
        return with_all_folds(self.run, super().read())


def cross_fitted(run: Run, target: Target) -> CrossFittedGroup:
    """Return the group that trains the base ranker anew, in files of its own."""
    row = replace(target.ranker, name=f"{target.ranker.name}_cross_fitted")
    recipe = replace(run.recipe, rankers=(row,), folds=max(MIN_FOLDS, run.recipe.folds))
    return CrossFittedGroup(replace(run, recipe=recipe), [target._replace(ranker=row)])


class CascadeTable(TrainTableBuilder):
    """Builds the shards of a split's table of the first candidates, for some objectives.

    It has the queries with a positive among them, or where they are too many rows, some of these.
    """

    def __init__(
        self, data: SplitData, row: CascadeRanker, objectives: Sequence[str], scored_by: Run,
        base: Target,
    ) -> None:  # fmt: skip
        """scored_by: run with the models of `base` and with the folds of the sessions."""
        super().__init__(data)
        self.row, self.objectives, self.scored_by, self.base = row, objectives, scored_by, base
        self.folder = f"cascade/{row.base}_{row.first}/{row.target(objectives[0])}"

    @cached_property
    def models(self) -> list[RankerModel]:
        """Models of the base ranker, one per fold; claims memory and disk before it reads."""
        data, columns = self.data, len(self.features.names) + len(COLUMNS)
        missing = missing_queries(self.run, data.split, self.folder)
        claim_batches(data, "first candidates", BYTES_OF_CELL * columns * self.row.first * missing)
        return self.base.load(self.scored_by, self.objectives[0])

    @cached_property
    def scored_fold(self) -> I64:
        """Fold of every session: the model of it scores the session."""
        return all_folds(self.scored_by, self.data.split)

    @cached_property
    def sampler(self) -> Sampler:
        """Sampler of the queries: about max_train_rows rows of all splits."""
        recipe, counts = self.run.recipe, json.loads(paths.positives(self.run).read_text())
        most = self.row.first * sum(counts[name] for name in self.objectives)
        return Sampler(np.inf, recipe.seed, min(1.0, recipe.max_train_rows / max(most, 1)))

    def build(self, shard: Shard) -> bool:
        """Build a shard of the table; return False if it is up to date."""
        run, split, recipe = self.run, self.data.split, self.run.recipe
        inputs = [*batch_inputs(run, split, shard), paths.labels(run, split), paths.positives(run)]
        rows = (
            shard, self.objectives, self.row.base, self.row.first, self.features.names,
            recipe.features, recipe.type_weight, recipe.folds, recipe.seed, recipe.max_train_rows,
        )  # fmt: skip
        path = shard_file(run.output / split / self.folder, shard)
        inputs += self.base.models(self.scored_by)
        return run.build(path, partial(self.write, shard), rows, inputs)

    def write(self, shard: Shard, path: Path) -> None:
        """Write the first candidates of a shard."""
        pl.concat(map(self.first, pools(self.data, shard))).write_parquet(path)

    def first(self, pool: Pool) -> pl.DataFrame:
        """Take the first candidates of a pool: session, item, fold, labels, features, COLUMNS."""
        names = self.run.recipe.objective_names
        unknown = np.nan if self.run.recipe.given else 0.0
        truth = {name: self.truth[names.index(name)] for name in self.objectives}
        labels = {name: labels_of(pool, of, unknown) for name, of in truth.items()}
        some = np.logical_or.reduce([label > 0 for label in labels.values()])
        wanted = np.zeros(pool.n_queries, np.bool_)
        sampled = self.sampler.sample(pool, np.zeros(some.size, np.float32))
        wanted[pool.session[some & sampled] - pool.first] = True
        rows = np.repeat(wanted, np.diff(pool.offsets))
        batch = CandidateBatch.compute(self.features, self.data, pool.keep(wanted))
        fold = self.scored_fold[pool.first : pool.end]
        score = out_of_fold_scores(self.models, batch, fold)
        rank = ranks(batch.pool, score)
        positive = batch.pool.session[some[rows] & (rank < self.row.first)]
        is_first = (rank < self.row.first) & np.isin(batch.pool.session, positive)
        found = first_of(batch, is_first, score, rank)
        session = found.pool.session
        columns = {
            "session": pl.Series(session),
            "item": pl.Series(found.pool.item),
            "fold": pl.Series(self.fold[session], dtype=pl.Int8),
        }
        for name, label in labels.items():
            grade = pl.Series(label[rows][is_first], dtype=pl.Float32)
            columns[f"{LABEL}{name}"] = grade.fill_nan(None)
        return pl.DataFrame(columns).hstack(pl.from_numpy(found.X, schema=found.names))
