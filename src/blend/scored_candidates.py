"""Load candidates with the scores of all rankers, blend the scores, and take the top lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import logit

from src.blend import blend_kernel
from src.blend.blend import RANK, SCORE, SOFTMAX, STACK, Blend
from src.core.arrays import F32, F64, I32, I64, arrays, offsets_of_sizes, positions
from src.data.labels import grades_of
from src.data.schemas import FinalList
from src.metrics import ranking_kernel

SHARE = 1e-6
"""Shares of lists are kept so far from 0 and 1."""


@dataclass(frozen=True)
class ScoredCandidates:
    """Candidates of queries as CSR in pool order, with each ranker's scores for an objective."""

    session: I32  # of each query
    offsets: I64
    item: I32
    scores: list[F32]  # one array per ranker

    @classmethod
    def load(
        cls, file: Path, columns: Sequence[str], sessions: I64 | None = None
    ) -> ScoredCandidates:
        """Read score columns of a file, for all its sessions or for the given ones."""
        table = pl.read_parquet(file, columns=["session", "item", *columns])
        if sessions is not None:
            table = table.filter(np.isin(table["session"].to_numpy(), sessions))
        return cls.from_table(table, columns)

    @classmethod
    def from_table(cls, table: pl.DataFrame, columns: Sequence[str]) -> ScoredCandidates:
        """Take score columns of a table that is sorted by session.

        Without a column the score is minus the rank in the pool, so the order of the pool stays.
        """
        row_session, item, *scores = arrays(table, "session", "item", *columns)
        session, first = np.unique(row_session, return_index=True)
        offsets = np.append(first, table.height)
        return cls(session, offsets, item, scores or [-positions(offsets).astype(np.float32)])

    @cached_property
    def transformed(self) -> dict[str, list[F32]]:
        """Transformed scores of each ranker, by transform."""
        return {
            RANK: [blend_kernel.reciprocal_ranks(self.offsets, self.item, s) for s in self.scores],
            SOFTMAX: [blend_kernel.softmax(self.offsets, s) for s in self.scores],
            SCORE: self.scores,
        }

    @property
    def meta_features(self) -> F32:
        """Features of stacking: scores, then reciprocal ranks; float32 (rows, 2 * rankers)."""
        return np.column_stack([*self.scores, *self.transformed[RANK]])

    def blended(self, blend: Blend, stack: F64 | None = None) -> F32:
        """Blend the scores of each candidate: float32 (rows,).

        stack: weights of the meta-features for STACK, (2 * rankers) or (rows, 2 * rankers).
        """
        if blend.transform == STACK:
            assert stack is not None
            return (self.meta_features * stack).sum(axis=1).astype(np.float32)
        pairs = zip(blend.weights, self.transformed[blend.transform], strict=True)
        return np.sum([np.float32(w) * s for w, s in pairs if w], axis=0, dtype=np.float32)

    def log_odds(self, blend: Blend, stack: F64 | None = None, pooled: bool = False) -> F64:
        """Return log-odds of each candidate, which calibrators map to probabilities: float64.

        pooled: whether scores of different queries are compared: then the stack, or the weighted
        mean of scores. Else scores only mean something within their list. Their softmax is a share
        of the list, and its log-odds are taken: of the stack, or of the weighted mean of the
        rankers' softmaxes. Ranks tell no shares, so a blend of ranks has these softmaxes too.
        """
        if blend.transform == STACK:
            total = self.blended(blend, stack)
            if not pooled:
                total = blend_kernel.softmax(self.offsets, total)
            parts = [total.astype(np.float64)]
        else:
            pairs = zip(blend.weights, self.transformed[SCORE if pooled else SOFTMAX], strict=True)
            parts = [w / sum(blend.weights) * s.astype(np.float64) for w, s in pairs if w]
        found: F64 = np.sum(parts, axis=0)
        return found if pooled else logit(np.clip(found, SHARE, 1.0 - SHARE))

    def top_rows(self, score: F32, k: int) -> I64:
        """Rows of the k best candidates: (queries, k), -1 at the end of a list; ties by item."""
        return ranking_kernel.top_rows(self.offsets, self.item, score, k)

    def ranked(self, score: F32, k: int | None, probability: F64 | None = None) -> FinalList:
        """List the k best items of each query (None: all), with their scores; ties by item.

        probability: of each candidate, goes along.
        """
        if k is None:
            rows = np.lexsort((self.item, -score, self.per_row(self.session)))
            offsets = self.offsets
        else:
            best = self.top_rows(score, k)
            offsets, rows = offsets_of_sizes((best >= 0).sum(axis=1)), best[best >= 0]
        listed = None if probability is None else probability[rows]
        return FinalList(self.session, offsets, self.item[rows], score[rows], listed)

    def top_grades(self, score: F32, grade: F32, k: int) -> F32:
        """Grades of the k best items of each query: (queries, at most k), 0 at the end."""
        longest = int(np.diff(self.offsets).max(initial=1))
        return ranking_kernel.listed_grades(self.top_rows(score, min(k, longest)), grade)

    def per_row(self, values: NDArray) -> NDArray:
        """Repeat the value of each query for its candidates: (queries,) to (rows,)."""
        return np.repeat(values, np.diff(self.offsets))

    def grades(self, truth: pl.DataFrame) -> F32:
        """Look up the grade of each candidate: float32 (rows,). truth: session, item, grade."""
        return grades_of(self.per_row(self.session), self.item, truth)


def final_list(
    files: Sequence[Path], columns: Sequence[str], blend: Blend, stack: F64 | None, k: int | None,
    probabilities: Callable[[ScoredCandidates], F64] | None = None,
) -> FinalList:  # fmt: skip
    """Rank the candidates of score files under a blend; list the k best of each query, or all.

    probabilities: of the candidates of a file; None: the list has none.
    """
    lists = []
    for file in files:
        candidates = ScoredCandidates.load(file, columns)
        probability = probabilities(candidates) if probabilities else None
        lists.append(candidates.ranked(candidates.blended(blend, stack), k, probability))
    session, item, score = (
        np.concatenate([getattr(of_file, name) for of_file in lists])
        for name in ("session", "item", "score")
    )
    sizes = np.concatenate([np.diff(of_file.offsets) for of_file in lists])
    known = [p for of_file in lists if (p := of_file.probability) is not None]
    return FinalList(
        session, offsets_of_sizes(sizes), item, score, np.concatenate(known) if known else None
    )
