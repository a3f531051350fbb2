"""Scores of the competitions, pooled over queries, with folds and bootstrap intervals.

A metric is a pair of numbers per query: what was hit, and what could have been. The score is the
sum of the first over the sum of the second, over all queries that have a truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.events import F64, I32, I64

GROUPS = 20_000
"""Of sessions, at most, that a bootstrap draws."""


@dataclass(frozen=True)
class Tally:
    """Hits and chances of each query (rows align with `session`; no truth: both 0)."""

    session: I64
    hits: F64
    chances: F64

    def score(self, mask: NDArray[np.bool_] | slice = slice(None)) -> float:
        """Score of all queries, or of those that are marked."""
        return float(self.hits[mask].sum() / max(self.chances[mask].sum(), 1.0))


def tally(lists: pl.LazyFrame, truth: pl.LazyFrame, metric: str, k: int) -> Tally:
    """Score lists (session, aid, rank from 0) against truth (session, aid).

    recall: hits among the first k; chances are min(k, truths) (research: OTTO's evaluation).
    mrr: 1 / (1 + rank) of the best hit among the first k; chances are 1.
    A session of the truth without a list has no hits and keeps its chances.
    """
    hit = lists.filter(pl.col("rank") < k).join(truth, on=["session", "aid"])
    if metric == "recall":
        gain, chance = pl.col("aid").n_unique().cast(pl.Float64), pl.len().clip(upper_bound=k)
    elif metric == "mrr":
        gain, chance = 1.0 / (1.0 + pl.col("rank").cast(pl.Float64).min()), pl.lit(1)
    else:
        raise ValueError(f"unknown metric {metric!r}: use 'recall' or 'mrr'")
    table = (
        truth.group_by("session")
        .agg(chances=chance.cast(pl.Float64))
        .join(hit.group_by("session").agg(hits=gain), on="session", how="left")
        .with_columns(pl.col("hits").fill_null(0.0))
        .sort("session")
        .collect()
    )
    columns = (table[c].to_numpy() for c in ("hits", "chances"))
    return Tally(table["session"].to_numpy().astype(np.int64), *columns)


def tally_places(session: I32, place: I32, metric: str, k: int) -> Tally:
    """`tally` where each truth's place in its session's list is known (-1: not in it).

    One truth an element; sessions ascending.
    """
    if session.size == 0:
        return Tally(np.empty(0, np.int64), np.empty(0), np.empty(0))
    starts = np.flatnonzero(np.diff(session, prepend=-1))
    hit = (place >= 0) & (place < k)
    if metric == "recall":
        hits, chances = (
            np.add.reduceat(hit, starts, dtype=np.float64),
            np.diff(starts, append=session.size),
        )
    else:
        hits = np.maximum.reduceat(hit / (1.0 + np.maximum(place, 0)), starts)
        chances = np.ones(starts.size)
    return Tally(session[starts].astype(np.int64), hits, np.minimum(chances, k).astype(np.float64))


def bootstrap(
    tallies: list[Tally], weights: list[float], seed: int, draws: int = 1000
) -> tuple[F64, F64]:
    """95 % intervals (low, high) of each objective's score, and last of the weighted total.

    Sessions are drawn with Poisson(1) weights (the bootstrap for big data of Chamandy et al.,
    2012); an objective's sessions share their weight with the other objectives'. More sessions than
    GROUPS are drawn as so many groups of them: independent sessions, so the variance is the same.
    """
    sessions = np.unique(np.concatenate([t.session for t in tallies]))
    sums = []
    for t in tallies:
        group = np.searchsorted(sessions, t.session) % GROUPS
        sums.append(
            [np.bincount(group, x, min(sessions.size, GROUPS)) for x in (t.hits, t.chances)]
        )
    rng = np.random.default_rng(seed)
    scores = np.empty((draws, len(tallies) + 1))
    for d in range(draws):
        drawn = rng.poisson(1.0, min(sessions.size, GROUPS)).astype(np.float64)
        for o, (hits, chances) in enumerate(sums):
            scores[d, o] = float(drawn @ hits) / max(float(drawn @ chances), 1.0)
        scores[d, -1] = scores[d, :-1] @ np.array(weights)
    low, high = np.quantile(scores, [0.025, 0.975], axis=0)
    return low, high
