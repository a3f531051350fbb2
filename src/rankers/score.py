"""Score all candidates of a split with the trained models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from src.candidates.pool import candidates_per_query
from src.core.arrays import F32, I64
from src.core.parquet import TableWriter
from src.core.run import Run
from src.data.folds import folds
from src.data.shards import Shard, in_turn, missing_queries, shard_file, shards
from src.data.split_data import SplitData
from src.data.splits import split_named
from src.features.table import Buffer, FeatureTable
from src.rankers.base import RankerModel, mean_scores, out_of_fold_scores
from src.rankers.batches import CandidateBatch, batch_inputs, claim_batches, pools
from src.rankers.train import Target, load_models, targets

BYTES_OF_CANDIDATE, BYTES_OF_SCORE = 3.0, 3.5
"""On disk, about: session and item of a candidate take the first, each score the second."""


def score_split(run: Run, split: str, objectives: Sequence[str]) -> list[bool]:
    """Score the candidates of a split, in the way of the engine, if it has its own.

    Returns for each shard whether it was built.
    """
    own = run.engine.twin(__name__)
    kind = SplitScorer if own is None else own.SplitScorer
    scorer = kind(SplitData(run, split), targets(run.recipe, objectives))
    todo = run.progress(shards(run, split), f"{split} scores")
    return list(in_turn(scorer.build, todo, scorer.shards_at_a_time))


class SplitScorer:
    """Builds the score files of a split; reads models only if a file is not up to date.

    Scores of `valid` are out of fold. Scores of `test` are the mean over the models of all folds.
    """

    folder: ClassVar[str] = "scores"  # of the files, within the split

    def __init__(self, data: SplitData, targets: Sequence[Target]) -> None:
        self.data, self.run, self.targets = data, data.run, targets
        self.features = FeatureTable(data.run.recipe)

    @property
    def shards_at_a_time(self) -> int:
        """How many shards are scored at the same time: one, as kernels use all cores."""
        return 1

    @cached_property
    def models(self) -> dict[str, list[RankerModel]]:
        """Models of each score column, one per fold; claims memory and disk before it reads."""
        run, data = self.run, self.data
        columns = sum(len(target.score_columns) for target in self.targets)
        row_bytes = BYTES_OF_CANDIDATE + BYTES_OF_SCORE * columns
        missing = missing_queries(run, data.split, self.folder)
        written = row_bytes * candidates_per_query(run, data.split) * missing
        claim_batches(data, self.folder, written)
        return load_models(run, self.targets)

    @cached_property
    def fold(self) -> I64 | None:
        """Fold of every session of `valid`; None for `test`, which no model is trained on."""
        is_valid = split_named(self.run, self.data.split).role == "valid"
        return folds(self.run, self.data.split) if is_valid else None

    def build(self, shard: Shard) -> bool:
        """Build the score file of a shard; return False if it is up to date."""
        run, split, recipe = self.run, self.data.split, self.run.recipe
        inputs = [file for target in self.targets for file in target.models(run)]
        inputs += batch_inputs(run, split, shard)
        rows = (
            shard, recipe.features, recipe.type_weight, recipe.folds, recipe.seed,
            list(self.targets),
        )  # fmt: skip
        path = shard_file(run.output / split / self.folder, shard)
        return run.build(path, partial(self.write, shard), rows, inputs)

    def write(self, shard: Shard, path: Path) -> None:
        """Write the scores of a shard: session, item, and the score columns of the targets."""
        models_of = self.models
        names = {n for models in models_of.values() for model in models for n in model.names}
        schema = pl.Schema({"session": pl.Int32, "item": pl.Int32}
                           | dict.fromkeys(models_of, pl.Float32))  # fmt: skip
        buffer = Buffer()
        with TableWriter(path, schema) as writer:
            for pool in pools(self.data, shard):
                batch = CandidateBatch.compute(self.features, self.data, pool, names, buffer)
                scores: dict[str, np.ndarray] = {"session": pool.session, "item": pool.item}
                scores |= {c: self.score(models, batch) for c, models in models_of.items()}
                writer.add(pl.DataFrame(scores, schema))

    def score(self, models: Sequence[RankerModel], batch: CandidateBatch) -> F32:
        """Score a batch: out of fold, or by the mean of all models."""
        if self.fold is None:
            return mean_scores(models, batch)
        fold = self.fold[batch.pool.first : batch.pool.end]
        return out_of_fold_scores(models, batch, fold)
