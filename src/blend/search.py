"""Blend the rankers: ways to mix them, tried on out-of-fold scores block by block; the final lists.

A way to mix is an `Option`: weights of the members' votes in some space. In "rank" space a member
votes 1 / (RRF + rank of the candidate in its query), in "softmax" space the share that softmax
gives the candidate's score in its query; "stack" is a logistic regression on both of all members,
fitted without the query's own fold. All members vote alike unless another way certainly gains. (A
fold's choice looks at the others, whose stacks were fitted on it too: an optimism of second order.)
Nothing is held for more than one block but what each query wins under each option.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

from src.blend import blend_kernel
from src.core.arrays import F32, F64, I32, I64, arrays, hash_unit
from src.data.recipe import Recipe
from src.metrics import ranking_kernel
from src.metrics.scores import QueryScores, bootstrap

STEPS = 10  # weights are tenths
SPACES = ("rank", "softmax")
STACK = "stack"
STACK_QUERIES = 5_000  # with a truth, at most, that the logistic regression learns from


class Option(NamedTuple):
    """A way to mix the members."""

    space: str
    weights: tuple[int, ...]  # tenths; of STACK: none

    @property
    def mixed(self) -> int:
        """How many members are mixed; STACK is richer than any other way."""
        return len(self.weights) - self.weights.count(0) if self.weights else 99


@dataclass(frozen=True)
class Scored:
    """All candidates of some queries (CSR) with each member's score for one objective."""

    session: I32  # of each query
    starts: I64
    item: I32
    scores: list[F32]  # one per ranker

    @classmethod
    def load(cls, file: Path, members: list[str], wanted: I64 | None = None) -> Scored:
        """Read a score file, or some sessions of it (ascending); a member is one of its columns.

        Without a member, the pool's order scores.
        """
        table = pl.read_parquet(file, columns=["session", "item", *members])
        if wanted is not None:
            table = table.filter(np.isin(table["session"].to_numpy(), wanted))
        of_row, item, *scores = arrays(table, "session", "item", *members)
        session, starts = np.unique(of_row, return_index=True)
        starts = np.append(starts, table.height)
        place = np.arange(item.size) - np.repeat(starts[:-1], np.diff(starts))
        return cls(session, starts, item, scores or [-place.astype(np.float32)])

    @cached_property
    def votes(self) -> dict[str, list[F32]]:
        """Per space, those of each member."""
        ranks = [blend_kernel.rank_votes(self.starts, self.item, s) for s in self.scores]
        return {
            "rank": ranks,
            "softmax": [blend_kernel.softmax(self.starts, s) for s in self.scores],
        }

    @property
    def facts(self) -> F32:
        """What STACK learns from: scores and rank votes, (rows, 2 * members)."""
        return np.column_stack([*self.scores, *self.votes["rank"]])

    def blended(self, option: Option, stack: F64 | None = None) -> F32:
        """The candidates' votes; `stack`: the weights of STACK, (2 * members) or (rows, those)."""
        if option.space == STACK:
            assert stack is not None
            return (self.facts * stack).sum(axis=1).astype(np.float32)
        pairs = zip(option.weights, self.votes[option.space], strict=True)
        return np.sum([np.float32(w) * v for w, v in pairs if w], axis=0, dtype=np.float32)

    def rows(self, votes: F32, k: int) -> I64:
        """Rows of each query's k best: (queries, k), -1 at the end."""
        return ranking_kernel.top_rows(self.starts, self.item, votes, k)

    def top(self, votes: F32, k: int) -> I32:
        """Each query's k best items: (queries, k), -1 at the end."""
        rows = self.rows(votes, k)
        return np.where(rows >= 0, self.item[rows], -1).astype(np.int32)


def options(members: int) -> list[Option]:
    """Rank votes alike; every way to share ten tenths among the members, in every space; STACK."""
    alike = Option(SPACES[0], (max(1, STEPS // members),) * members)
    shares = [w for w in product(range(STEPS + 1), repeat=members) if sum(w) == STEPS]
    alone = [Option(SPACES[0], w) for w in shares if max(w) == STEPS]
    mixes = [Option(s, w) for s in SPACES for w in shares if max(w) < STEPS]
    more = [*mixes, Option(STACK, ())] if members > 1 else []
    return list(dict.fromkeys([alike, *alone, *more]))


class Search:
    """Finds the best way to mix the members for one objective, over the blocks of `valid`."""

    def __init__(
        self, recipe: Recipe, files: list[Path], members: list[str], truth: pl.DataFrame, fold: I64
    ) -> None:
        """truth: session, item; fold: of each session. Reads the files twice, one at a time."""
        self.recipe, self.files, self.members, self.fold = recipe, files, members, fold
        self.truth = truth.select("session", "item", hit=pl.lit(True))
        self.cap = recipe.k if recipe.metric == "recall" else 1
        chances = truth.group_by("session").agg(n=pl.len().clip(upper_bound=self.cap))
        chances = chances.sort("session")
        self.session = chances["session"].to_numpy().astype(np.int64)
        self.chances = chances["n"].to_numpy().astype(np.float64)
        self.options = options(max(1, len(members)))
        self.stack = self._fit() if Option(STACK, ()) in self.options else {}
        self.hits, self.reachable = self._try_all()

    def label(self, scored: Scored) -> np.ndarray:
        """Which candidates came true (one bool a row)."""
        session = np.repeat(scored.session, np.diff(scored.starts))
        pairs = pl.DataFrame({"session": session, "item": scored.item})
        joined = pairs.join(self.truth, on=["session", "item"], how="left", maintain_order="left")
        return joined["hit"].fill_null(False).to_numpy()

    def _fit(self) -> dict[int, F64]:
        """Weights of STACK without each fold, and (-1) of all; of queries with a truth."""
        share = STACK_QUERIES / max(self.session.size, 1)
        facts, label, fold = [], [], []
        for file in self.files:
            scored = Scored.load(file, self.members, self.session)
            unit = pl.DataFrame({"s": scored.session}).select(
                hash_unit(pl.col("s"), self.recipe.seed + 3)
            )
            drawn = unit.to_series().to_numpy() < share
            rows = np.repeat(drawn, np.diff(scored.starts))
            facts.append(scored.facts[rows])
            label.append(self.label(scored)[rows])
            fold.append(np.repeat(self.fold[scored.session], np.diff(scored.starts))[rows])
        X, y, of = np.concatenate(facts), np.concatenate(label), np.concatenate(fold)
        found = {}
        for f in (-1, *range(self.recipe.folds)):
            if np.unique(y[of != f]).size == 2:
                scale = X[of != f].std(axis=0) + 1e-9
                model = LogisticRegression(max_iter=200).fit(X[of != f] / scale, y[of != f])
                found[f] = model.coef_[0] / scale
        return found

    def _try_all(self) -> tuple[F32, float]:
        """Of each option what each query wins, (options, queries); of a perfect order the score."""
        hits = np.zeros((len(self.options), self.session.size), np.float32)
        reachable = 0.0
        for file in self.files:
            scored = Scored.load(file, self.members, self.session)
            label, at = self.label(scored), np.searchsorted(self.session, scored.session)
            of_fold = np.repeat(self.fold[scored.session], np.diff(scored.starts))
            for o, option in enumerate(self.options):
                votes = scored.blended(option, self._stack_of(of_fold, option))
                rows = scored.rows(votes, self.recipe.k)
                hits[o, at] = ranking_kernel.gains(rows, label, self.recipe.metric == "mrr")
            found = np.add.reduceat(label, scored.starts[:-1], dtype=np.int64)
            reachable += float(np.minimum(found, self.cap).sum())
        return hits, reachable / max(self.chances.sum(), 1.0)

    def _stack_of(self, fold: I64, option: Option) -> F64 | None:
        """STACK's weights for each row, without its own fold."""
        if option.space != STACK:
            return None
        width = 2 * len(self.members)
        weights = [self.stack.get(f, np.ones(width)) for f in range(self.recipe.folds)]
        return np.array(weights)[fold]

    def tally(self, option: Option) -> QueryScores:
        """Hits and chances of each query that has a truth."""
        hits = self.hits[self.options.index(option)].astype(np.float64)
        return QueryScores(self.session, hits, self.chances)

    def best(self, mask: np.ndarray) -> Option:
        """All alike on some queries, unless others certainly gain: a member, a pair, ..., STACK.

        Each kind is asked whether it gains over what was chosen before. The best of many ways gains
        by luck, so a fold counts under the one of a kind that is best without it.
        """
        mixed, chosen = np.array([option.mixed for option in self.options]), np.zeros(1, np.int64)
        for members in np.unique(mixed):
            others = np.flatnonzero(mixed == members)
            chosen = others if self._gains(others, chosen, mask) else chosen
        return self.options[self._first(chosen, mask)]

    def _gains(self, some: I64, others: I64, mask: np.ndarray) -> bool:
        """Whether the 95 % interval of the paired gain of some options over others is above 0."""
        gain = self._honest(some, mask) - self._honest(others, mask)
        tally = QueryScores(self.session[mask], gain[mask], self.chances[mask])
        return bool(bootstrap([tally], [1.0], self.recipe.seed)[0][0] > 0)

    def _first(self, some: I64, mask: np.ndarray) -> int:
        """Of some options the one with the highest score; the earliest of equal ones."""
        return int(some[np.argmax([self.hits[o][mask].sum(dtype=np.float64) for o in some])])

    def _honest(self, some: I64, mask: np.ndarray) -> F64:
        """What each query wins, its fold under that of some options which the others choose."""
        of, hits = self.fold[self.session], np.zeros(self.session.size)
        for f in np.unique(of[mask]):
            hits[of == f] = self.hits[self._first(some, mask & (of != f))][of == f]
        return hits

    def cross_fitted(self) -> tuple[QueryScores, Option]:
        """Honest tally (each fold under the option that the others chose), and that of all."""
        of = self.fold[self.session]
        hits = np.zeros(self.session.size)
        for f in np.unique(of):
            hits[of == f] = self.hits[self.options.index(self.best(of != f))][of == f]
        return QueryScores(self.session, hits, self.chances), self.best(np.ones(of.size, np.bool_))

    def by_space(self) -> dict[str, float]:
        """The best score of each space, and of each member alone: in hindsight, to compare."""
        total = max(self.chances.sum(), 1.0)
        found: dict[str, float] = {}
        for option in self.options:
            score = self.tally(option).hits.sum() / total
            name = option.space
            if STEPS in option.weights and self.members:
                name = self.members[option.weights.index(STEPS)]
            found[name] = max(found.get(name, 0.0), float(score))
        return found


def final_lists(
    files: list[Path], members: list[str], option: Option, stack: F64 | None, k: int
) -> tuple[I32, I32]:
    """Sessions (n,) and their k best items (n, k), -1 at the end."""
    sessions, lists = [], []
    for file in files:
        scored = Scored.load(file, members)
        sessions.append(scored.session)
        lists.append(scored.top(scored.blended(option, stack), k))
    return np.concatenate(sessions), np.concatenate(lists)
