"""Which candidates the rankers learn from: all positives, and sampled negatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.candidates.pool import Pool
from src.core.arrays import F64, hash_unit
from src.core.run import Run
from src.data import paths

if TYPE_CHECKING:
    from src.data.recipe import Recipe

MIN_NEGATIVES = 2
"""Negatives per positive; where even so few are too many rows, queries are sampled instead."""
# added to the recipe's seed, so that no two draws use the same numbers (folds add 1, blends 3)
NEGATIVES_SEED, QUERIES_SEED = 2, 6


@dataclass(frozen=True)
class Sampler:
    """Samples the candidates of one objective.

    negative_rate: negatives per positive of a query; query_rate: share of the queries; seed: the
    recipe's.
    """

    negative_rate: float
    seed: int
    query_rate: float = 1.0

    def sample(self, pool: Pool, label: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Mark the rows to keep: of the sampled queries all positives and some negatives."""
        size = np.diff(pool.offsets)
        running = np.concatenate([[0], np.cumsum(label, dtype=np.int64)])
        positives = np.diff(running[pool.offsets])
        share = self.negative_rate * positives / np.maximum(size - positives, 1)
        rows = (label == 1) | (
            _unit_of_rows(pool, self.seed + NEGATIVES_SEED) < np.repeat(share, size)
        )
        if self.query_rate < 1:
            query = pl.DataFrame({"session": np.arange(size.size) + pool.first})
            unit = query.select(hash_unit(pl.col("session"), self.seed + QUERIES_SEED))
            rows &= np.repeat(unit.to_series().to_numpy() < self.query_rate, size)
        return rows


def _unit_of_rows(pool: Pool, seed: int) -> F64:
    """Draw a number in [0, 1) per row, from its session, its item and the seed alone."""
    pair = pl.col("session").cast(pl.Int64) * 1_000_003 + pl.col("item")
    rows = pl.DataFrame({"session": pool.session, "item": pool.item})
    return rows.select(hash_unit(pair, seed)).to_series().to_numpy()


def samplers(recipe: Recipe, positives: list[int]) -> list[Sampler]:
    """Make the sampler of each objective, given its positives: about max_train_rows rows each.

    Fewer negatives than negatives_per_positive are kept where there are many positives; where even
    MIN_NEGATIVES are too many rows, so is the share of queries.
    """
    count = np.maximum(positives, 1)
    query_rate = np.minimum(1.0, recipe.max_train_rows / ((1 + MIN_NEGATIVES) * count))
    negative_rate = recipe.max_train_rows / (query_rate * count) - 1
    negative_rate = np.minimum(negative_rate, recipe.negatives_per_positive)
    rates = zip(negative_rate.tolist(), query_rate.tolist(), strict=True)
    return [Sampler(n, recipe.seed, q) for n, q in rates]


def ground_truth(run: Run, split: str) -> list[pl.DataFrame]:
    """Read the positives (session, item) of each objective."""
    labels = pl.read_parquet(paths.labels(run, split))
    objectives = range(len(run.recipe.objectives))
    return [labels.filter(objective=o).select("session", "item") for o in objectives]


def labels_of(pool: Pool, truth: pl.DataFrame) -> NDArray[np.uint8]:
    """Label the candidates of a pool: 1 for those in the ground truth (session, item), else 0."""
    rows = pl.DataFrame({"session": pool.session, "item": pool.item})
    positive = truth.with_columns(label=pl.lit(1, pl.UInt8))
    joined = rows.join(positive, on=["session", "item"], how="left", maintain_order="left")
    return joined["label"].fill_null(0).to_numpy()
