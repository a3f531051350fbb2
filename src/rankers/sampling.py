"""Sample the candidates that rankers are trained on: all positives, and some or all negatives.

Negatives are drawn more often from the top of the pool, where the order decides the metric. What is
drawn so is no picture of the pool: among equals, those of the top look worse than they are. So the
losses add minus ln of the chance of a draw to the score (the logQ correction of two_tower_loss.py).
That is exact for rows alone, for pairs of a positive and a negative, and for a softmax with one
positive a query. Chances are relative to the first candidate of the query: the number of negatives
follows that of the positives, which no ranker may see.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.candidates.pool import Pool
from src.core.arrays import F32, F64, Mask, hash_unit, positions
from src.core.run import Run
from src.data import paths
from src.data.labels import grades_of, scan_labels, scan_positives

if TYPE_CHECKING:
    from src.data.recipe import Recipe

MIN_NEGATIVES = 2
"""Negatives per positive, at least; where these are too many rows, queries are sampled too."""
HALF = 20
"""Position in the pool, from 0, of a candidate with half of the first one's chance to be drawn."""
TINY = 1e-9  # no chance at all, in a query without a positive; its logarithm is a number
NEGATIVES_SEED, QUERIES_SEED = 2, 6
"""Added to the recipe's seed: each draw has numbers of its own (folds add 1, blends 3)."""


@dataclass(frozen=True)
class Sampler:
    """Samples the candidates of one objective."""

    negative_rate: float  # negatives per positive of a query; inf: all, without a positive too
    seed: int  # of the recipe
    query_rate: float = 1.0  # share of the queries that are sampled
    alike: bool = False  # whether all negatives of a query have the same chance

    def sample(self, pool: Pool, label: F32) -> Mask:
        """Mark the sampled candidates: all positives and some negatives of the sampled queries.

        label: grades, float32 (candidates); those above 0 are positives.
        """
        size = np.diff(pool.offsets)
        mask: Mask = np.ones(label.size, np.bool_)
        if self.negative_rate < inf:
            unit = _hash_candidates(pool, self.seed + NEGATIVES_SEED)
            mask = (label > 0) | (unit < self._chances(pool, label)[0])
        if self.query_rate < 1:
            query = pl.DataFrame({"session": np.arange(size.size) + pool.first})
            unit_of_query = query.select(hash_unit(pl.col("session"), self.seed + QUERIES_SEED))
            sampled = unit_of_query.to_series().to_numpy() < self.query_rate
            mask &= np.repeat(sampled, size)
        return mask

    def log_chances(self, pool: Pool, label: F32) -> F32:
        """Return ln of each candidate's chance to be drawn, by the first one's: float32, up to 0.

        The chance of a candidate at position HALF of the pool, by RRF, is half of the first one's.
        """
        chance, first = self._chances(pool, label)
        return np.log(chance / first).astype(np.float32)

    def _chances(self, pool: Pool, label: F32) -> tuple[F64, F64]:
        """Return the chance of each candidate, and of the first one of its query, as negatives.

        They sum up to negative_rate per positive. Where the first ones would be above 1 they are 1,
        and fewer are drawn.
        """
        if self.negative_rate == inf:
            return np.ones(label.size), np.ones(label.size)
        positive, query = label > 0, pool.session - pool.first
        half = inf if self.alike else HALF
        weight = 1 / (1 + positions(pool.offsets) / half)
        positives, of_negatives = (  # sums of a query, whatever the batch
            np.bincount(query, x, pool.n_queries) for x in (positive, weight * ~positive)
        )
        rate = (self.negative_rate * positives / np.maximum(of_negatives, TINY))[query]
        return np.clip(rate * weight, TINY * weight, 1.0), np.clip(rate, TINY, 1.0)

    def expected_rows(self, positives: int, candidates: int) -> float:
        """Estimate the rows of a split with so many positives among so many candidates."""
        every = self.negative_rate == inf
        rows = candidates if every else min(positives * (1 + self.negative_rate), candidates)
        return self.query_rate * rows


def _hash_candidates(pool: Pool, seed: int) -> F64:
    """Hash session, item and seed of each candidate to a number in [0, 1)."""
    pair = pl.col("session").cast(pl.Int64) * 1_000_003 + pl.col("item")
    rows = pl.DataFrame({"session": pool.session, "item": pool.item})
    return rows.select(hash_unit(pair, seed)).to_series().to_numpy()


def samplers(recipe: Recipe, positives: list[int], candidates: int) -> list[Sampler]:
    """Make a sampler per objective that samples at most about max_train_rows candidates.

    positives: number of positives of each objective, among so many candidates. Where they are many,
    fewer negatives than negatives_per_positive are sampled. Where MIN_NEGATIVES per positive are
    still too many, only some queries are sampled. Whole lists keep all their candidates.
    """
    if recipe.whole_lists:
        share = min(1.0, recipe.max_train_rows / max(candidates, 1))
        return [Sampler(inf, recipe.seed, share) for _ in positives]
    count = np.maximum(positives, 1)
    query_rate = np.minimum(1.0, recipe.max_train_rows / ((1 + MIN_NEGATIVES) * count))
    negative_rate = recipe.max_train_rows / (query_rate * count) - 1
    negative_rate = np.minimum(negative_rate, recipe.negatives_per_positive)
    rates = zip(negative_rate.tolist(), query_rate.tolist(), strict=True)
    # given candidates are in the order of their items, which says nothing
    return [Sampler(n, recipe.seed, q, alike=recipe.given) for n, q in rates]


def ground_truth(run: Run, split: str, judged: bool = False) -> list[pl.DataFrame]:
    """Read the positives of each objective, or all judged items: columns session, item, grade."""
    labels = (scan_labels if judged else scan_positives)(paths.labels(run, split)).collect()
    objectives = range(len(run.recipe.objectives))
    return [labels.filter(objective=o).select("session", "item", "grade") for o in objectives]


def labels_of(pool: Pool, truth: pl.DataFrame, unknown: float = 0.0) -> F32:
    """Label the candidates of a pool with their grades, `unknown` for those not in the truth.

    truth: columns session, item, grade; sessions as in the pool. Returns float32 (candidates).
    """
    own = truth.filter(pl.col("session").is_between(pool.first, pool.end - 1))
    return grades_of(pool.session, pool.item, own, unknown)
