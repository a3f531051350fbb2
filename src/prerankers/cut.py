"""Train the pre-ranker of a recipe, and cut all pools to the candidates that it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import polars as pl

from src.candidates.pool import MERGED, Pool
from src.core.arrays import F32, I64, positions
from src.core.run import Run, count_built
from src.data.folds import all_folds
from src.data.shards import Shard, shard_file, shard_files, shards
from src.data.split_data import SplitData
from src.data.splits import all_splits, labelled_splits, split_named
from src.features.table import Buffer
from src.prerankers.base import PreRanker, stage_of
from src.prerankers.comparison import first_candidates
from src.rankers.batches import CandidateBatch, batch_inputs, pools
from src.rankers.score import SplitScorer
from src.rankers.train import Target, targets, training_groups
from src.rankers.train_table import TrainTableBuilder, count_positives, trainable_objectives

SCORE = "preranker_score"
"""Column of the score of the pre-ranker, beside those of the pool."""


def cut_pools(run: Run) -> None:
    """Bring the cut pools of all splits up to date; do nothing without a pre-ranker."""
    if (row := run.recipe.preranker) is None:
        return
    run.require(file for split in all_splits(run) for file in shard_files(run, split, MERGED))
    stage = stage_of(run, row)
    with run.step(f"positives of {row.name}") as summary:
        summary |= count_positives(stage)
    for split in labelled_splits(run):
        with run.step(f"{split} training table of {row.name}") as summary:
            table = CrossFittedTable(SplitData(stage, split))
            summary |= count_built(map(table.build, run.progress(shards(run, split), split)))
    objectives = trainable_objectives(stage)
    for group in training_groups(stage, objectives):
        with run.step(group.name) as summary:
            summary |= count_built(group.train())
    for split in all_splits(run):
        with run.step(f"{split} pool, first {row.keep} of {row.name}") as summary:
            cutter = PoolCutter(SplitData(stage, split), row, targets(stage.recipe, objectives))
            summary |= count_built(map(cutter.build, run.progress(shards(run, split), split)))


class CrossFittedTable(TrainTableBuilder):
    """Builds the training table of a pre-ranker: the rows of all splits have folds.

    Splits of the role "train" are cut too. So their sessions are held out as those of `valid` are.
    """

    @cached_property
    def fold(self) -> I64:
        """Fold of every session of any split."""
        return all_folds(self.run, self.data.split)


class PoolCutter(SplitScorer):
    """Builds the cut pools of a split: those of the pool in its order, and a column SCORE.

    No model scores a session that it was trained on. Without a model, the first candidates of the
    pool are kept.
    """

    folder = "preranked"

    def __init__(self, data: SplitData, row: PreRanker, targets: Sequence[Target]) -> None:
        super().__init__(data, targets)
        self.row = row

    @cached_property
    def fold(self) -> I64 | None:
        """Fold of every session; None for `test`."""
        is_test = split_named(self.run, self.data.split).role == "test"
        return None if is_test else all_folds(self.run, self.data.split)

    def build(self, shard: Shard) -> bool:
        """Build the cut pool of a shard; return False if it is up to date."""
        run, split, recipe = self.run, self.data.split, self.run.recipe
        inputs = [file for target in self.targets for file in target.models(run)]
        inputs += batch_inputs(run, split, shard)
        rows = (shard, self.row, recipe.type_weight, recipe.folds, recipe.seed, list(self.targets))
        path = shard_file(run.output / split / self.folder, shard)
        return run.build(path, partial(self.write, shard), rows, inputs)

    def write(self, shard: Shard, path: Path) -> None:
        """Write the kept candidates of a shard."""
        tables, buffer = [], Buffer()
        for pool in pools(self.data, shard):
            score = self.order(pool, buffer)
            kept = first_candidates(pool, score, self.row.keep)
            table = pool.keep_rows(kept).to_frame()
            tables.append(table.with_columns(pl.Series(SCORE, score[kept])))
        pl.concat(tables).write_parquet(path)

    def order(self, pool: Pool, buffer: Buffer | None = None) -> F32:
        """Score the candidates of a pool; without a model, minus the rank in the pool.

        buffer: where the features lie.
        """
        if not self.models:
            return -positions(pool.offsets).astype(np.float32)
        (models,) = self.models.values()
        names = {name for model in models for name in model.names}
        batch = CandidateBatch.compute(self.features, self.data, pool, names, buffer)
        return self.score(models, batch)
