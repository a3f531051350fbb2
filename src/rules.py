"""Candidate rules: each row of the recipe gives every query a short list of items.

To add a kind of rule: a row class in `src/recipe.py`, a function here, a line in `lists_of`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numba import get_num_threads

from src import embeddings, features_kernel, knn_kernel, rules_kernel
from src.events import F32, F64, I32, I64, Sessions
from src.matrices import Matrix
from src.recipe import (
    SCOPES,
    HistoryRule,
    KnnRule,
    MatrixRule,
    PopularRule,
    Rule,
    Select,
    Weights,
)

LISTS = pl.Schema(
    {"session": pl.Int32, "rule": pl.UInt8, "rank": pl.UInt8, "aid": pl.Int32, "score": pl.Float32}
)
"""One candidate a row: `rule` is the row number in the recipe, `rank` counts from 0."""

TopLists = tuple[I32, F32]
"""Items (int32, -1 where a list ends) and scores, both of shape (queries, top)."""


class World:
    """A split with what the rules look up, each read or made once, when first asked for."""

    def __init__(self, output: Path, split: str, tables: Callable[[str], Path]) -> None:
        self.output, self.split = output, split
        self._tables = tables
        self._matrices: dict[tuple[str, int | None], Matrix] = {}
        self._holders: dict[int, tuple[I64, I32, I64]] = {}
        self._popular: dict[PopularRule, tuple[I64, TopLists]] = {}
        query = pl.read_parquet(output / split / "sessions.parquet")["query"]
        self.n_sessions = query.len()
        self.first_query = self.n_sessions - int(query.sum())

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions.load(self.output, self.split)

    def matrix(self, name: str, top: int | None = None) -> Matrix:
        """The matrix, or the neighbours of the embedding, of that name; or only the heaviest."""
        if (name, top) not in self._matrices:
            path = self._tables(name)
            self._matrices[name, top] = Matrix.load(path, self.sessions.n_items, top)
        return self._matrices[name, top]

    @cached_property
    def shapes(self) -> I32:
        """Second of the last event, and number of events, of every session."""
        return knn_kernel.shapes(self.sessions.offsets, self.sessions.ts)

    def holders(self, sample: int) -> tuple[I64, I32, I64]:
        """The latest `sample` sessions of each item as CSR; how many there are in all."""
        if sample not in self._holders:
            s = self.sessions
            self._holders[sample] = knn_kernel.latest_sessions(
                s.offsets, s.aid, self.shapes, s.n_items, sample
            )
        return self._holders[sample]

    @cached_property
    def knn_scratch(self) -> tuple[F64, F64, F64]:
        """Zeros for the threads of a kNN rule, made once: numpy asks for huge pages."""
        threads, s = get_num_threads(), self.sessions
        sizes = ((s.n_sessions,), (s.n_items,), (s.n_items, 2))
        alike, loud, state = (np.zeros((threads, *size)) for size in sizes)
        return alike, loud, state

    def vectors(self, name: str) -> F32:
        """Unit vectors of an embedding, memory-mapped."""
        return embeddings.load(self._tables(name).with_suffix(".npy"))

    @cached_property
    def _times(self) -> dict[int, tuple[I64, I32]]:
        return {}

    def times_by_item(self, n_types: int) -> tuple[I64, I32]:
        """Ascending event times of every (item, type), as CSR."""
        if n_types not in self._times:
            s = self.sessions
            self._times[n_types] = features_kernel.times_by_item(
                s.aid, s.ts, s.type, s.n_items, n_types
            )
        return self._times[n_types]

    def popular(self, rule: PopularRule) -> tuple[I64, TopLists]:
        """Ends of the windows of all queries, ascending, and the list of each."""
        if rule not in self._popular:
            s, by_time = self.sessions, self._by_time
            ends = np.unique(_bucket(self.query_ts(self.first_query, self.n_sessions), rule))
            votes = _votes(rule.type_weight)[s.type[by_time]]
            self._popular[rule] = (
                ends,
                rules_kernel.popular_rows(
                    s.ts[by_time], s.aid[by_time], votes, ends, rule.window, s.n_items, rule.top
                ),
            )
        return self._popular[rule]

    @cached_property
    def _by_time(self) -> I64:
        return np.argsort(self.sessions.ts, kind="stable")

    def query_ts(self, first: int, end: int) -> I32:
        """Time of the last visible event of sessions first : end."""
        return self.sessions.ts[self.sessions.offsets[first + 1 : end + 1] - 1]

    def select(self, select: Select, first: int, end: int) -> tuple[I64, I32, F64]:
        """Weighted history items of sessions first : end as CSR, latest first."""
        s = self.sessions
        last = np.iinfo(np.int64).max if select.last is None else select.last
        return rules_kernel.select_items(
            s.offsets, s.aid, s.ts, s.type, first, end,
            SCOPES.index(select.scope), last, float(select.recency),
            np.array(select.type_weight, np.float64),
        )  # fmt: skip


def history_lists(world: World, rule: HistoryRule, first: int, end: int) -> TopLists:
    return rules_kernel.history_lists(*world.select(rule.select, first, end), rule.top)


def matrix_lists(world: World, rule: MatrixRule, first: int, end: int) -> TopLists:
    near = world.matrix(rule.matrix, rule.neighbours)
    return rules_kernel.matrix_lists(
        *world.select(rule.select, first, end),
        near.offsets, near.aid, near.weight, rule.neighbours, rule.share, rule.top,
        get_num_threads(),
    )  # fmt: skip


def knn_lists(world: World, rule: KnnRule, first: int, end: int) -> TopLists:
    s = world.sessions
    starts, session, count = world.holders(rule.sample)
    idf = np.log(max(s.n_sessions, 2) / np.maximum(count, 1)) if rule.idf else np.ones(s.n_items)
    # items that would weigh less than 1/1000 do not count
    distance = np.arange(int(rule.item_decay * np.log(1000)) + 1 if rule.item_decay else 0)
    fade = np.exp(-distance / (rule.item_decay or 1.0))
    numbers = (float(rule.neighbours), rule.query_decay, rule.recency_days)
    return knn_kernel.knn_lists(
        (s.offsets, s.aid), world.shapes, first, end, (starts, session), idf, numbers, fade,
        world.knn_scratch, rule.top,
    )  # fmt: skip


def popular_lists(world: World, rule: PopularRule, first: int, end: int) -> TopLists:
    buckets, (aid, score) = world.popular(rule)
    place = np.searchsorted(buckets, _bucket(world.query_ts(first, end), rule))
    return aid[place], score[place]


def _bucket(ts: I32, rule: PopularRule) -> I64:
    return ts.astype(np.int64) // rule.bucket * rule.bucket


def _votes(weights: Weights) -> I64:
    return np.round(np.array(weights) * 1000).astype(np.int64)


def lists_of(world: World, rule: Rule, first: int, end: int) -> TopLists:
    """The lists of one rule for the sessions first : end."""
    match rule:
        case HistoryRule():
            return history_lists(world, rule, first, end)
        case MatrixRule():
            return matrix_lists(world, rule, first, end)
        case KnnRule():
            return knn_lists(world, rule, first, end)
        case PopularRule():
            return popular_lists(world, rule, first, end)


def block_lists(world: World, rules: dict[int, Rule], first: int, end: int) -> pl.DataFrame:
    """LISTS of some rules (by row number) for the sessions first : end, in session order."""
    lists = [lists_of(world, rules[number], first, end) for number in sorted(rules)]
    widths = [aid.shape[1] for aid, _ in lists]
    aid, score = (np.concatenate(arrays, axis=1) for arrays in zip(*lists, strict=True))
    rule = np.repeat(np.array(sorted(rules), np.uint8), widths)
    rank = np.concatenate([np.arange(width, dtype=np.uint8) for width in widths])
    row, column = np.nonzero(aid >= 0)
    columns = {
        "session": (row + first).astype(np.int32),
        "rule": rule[column],
        "rank": rank[column],
        "aid": aid[row, column],
        "score": score[row, column],
    }
    return pl.DataFrame(columns, schema=LISTS)
