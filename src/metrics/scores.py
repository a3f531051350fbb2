"""Scores of the competitions, pooled over queries, with folds and bootstrap intervals.

A metric is a pair of numbers per query: what was hit, and what could have been. The score is the
sum of the first over the sum of the second, over all queries that have a truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.arrays import F64, I32, I64

GROUPS = 20_000
"""Of sessions, at most, that a bootstrap draws."""


@dataclass(frozen=True)
class QueryScores:
    """Hits and chances of each query (rows align with `session`; no truth: both 0)."""

    session: I64
    hits: F64
    chances: F64

    @classmethod
    def joined(cls, pieces: Sequence[QueryScores]) -> QueryScores:
        """The queries of several, one after the other; a session may come again."""
        parts = ("session", "hits", "chances")
        return cls(*(np.concatenate([getattr(t, part) for t in pieces]) for part in parts))

    def score(self, mask: NDArray[np.bool_] | slice = slice(None)) -> float:
        """Score of all queries, or of those that are marked."""
        return float(self.hits[mask].sum() / max(self.chances[mask].sum(), 1.0))


def tally(lists: pl.LazyFrame, truth: pl.LazyFrame, metric: str, k: int) -> QueryScores:
    """Score lists (session, item, rank from 0) against truth (session, item), each true item once.

    A session of the truth without a list has no hits and keeps its chances.
    """
    pair = ["session", "item"]
    best = lists.join(truth, on=pair, how="semi").group_by(pair).agg(place=pl.col("rank").min())
    table = truth.join(best, on=pair, how="left").sort("session").collect()
    place = table["place"].cast(pl.Int32).fill_null(-1)
    return score_ranks(table["session"].to_numpy(), place.to_numpy(), metric, k)


def score_ranks(session: I32 | I64, place: I32, metric: str, k: int) -> QueryScores:
    """The same where each true item's place in its session's list is known; -1: not in it.

    recall: hits among the first k; chances are min(k, true items) (research: OTTO's evaluation).
    mrr: 1 / (1 + place) of the best hit among the first k; chances are 1.
    Sessions ascend.
    """
    if metric not in ("recall", "mrr"):
        raise ValueError(f"unknown metric {metric!r}: use 'recall' or 'mrr'")
    if session.size == 0:
        return QueryScores(np.empty(0, np.int64), np.empty(0), np.empty(0))
    starts = np.flatnonzero(np.diff(session, prepend=-1))
    hit = (place >= 0) & (place < k)
    if metric == "recall":
        hits = np.add.reduceat(hit, starts, dtype=np.float64)
        chances = np.minimum(np.diff(starts, append=session.size), k)
    else:
        hits = np.maximum.reduceat(hit / (1.0 + np.maximum(place, 0)), starts)
        chances = np.ones(starts.size)
    return QueryScores(session[starts].astype(np.int64), hits, chances.astype(np.float64))


def bootstrap(
    tallies: list[QueryScores], weights: list[float], seed: int, draws: int = 1000
) -> tuple[F64, F64]:
    """95 % intervals (low, high) of each objective's score, and last of the weighted total.

    Sessions are drawn with Poisson(1) weights (the bootstrap for big data of Chamandy et al.,
    2012); an objective's sessions share their weight with the other objectives'. More sessions than
    GROUPS are drawn as so many groups of them: independent sessions, so the variance is the same.
    """
    sessions = np.unique(np.concatenate([t.session for t in tallies]))
    groups, sums = min(sessions.size, GROUPS), []
    for t in tallies:
        group = np.searchsorted(sessions, t.session) % GROUPS
        sums += [np.bincount(group, x, groups) for x in (t.hits, t.chances)]
    totals = [drawn @ np.column_stack(sums) for drawn in _drawn(groups, seed, draws)]
    hits, chances = np.concatenate(totals).reshape(draws, len(tallies), 2).transpose(2, 0, 1)
    scores = hits / np.maximum(chances, 1.0)
    scores = np.column_stack([scores, scores @ np.array(weights)])
    low, high = np.quantile(scores, [0.025, 0.975], axis=0)
    return low, high


def _drawn(groups: int, seed: int, draws: int) -> Iterator[F64]:
    """How often each group is drawn, some draws at a time: (some of `draws`, groups)."""
    for some in np.array_split(_poisson(groups, seed, draws), -(-draws // 50)):
        yield some.astype(np.float64)


@lru_cache(maxsize=4)  # the same draws serve all that is compared on as many sessions
def _poisson(groups: int, seed: int, draws: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).poisson(1.0, (draws, groups)).astype(np.uint8)
