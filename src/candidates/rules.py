"""Candidate rules: each row of the recipe gives every query a short list of items.

To add a kind of rule: a row class in `src/rows/`, a function here, a line in `lists_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numba import get_num_threads

from src.candidates import rules_kernel
from src.candidates import session_knn_kernel as knn_kernel
from src.candidates import transitions_kernel as flow_kernel
from src.candidates.rows import (
    SCOPES,
    HistoryRetriever,
    ItemToItemRetriever,
    NewItemRetriever,
    PopularRetriever,
    Retriever,
    Seeds,
    SessionKnnRetriever,
    TransitionRetriever,
    TwoTowerRetriever,
)
from src.core import nearest as search
from src.core.arrays import F32, F64, I8, I32, I64
from src.data import events_kernel
from src.data.schemas import LISTS, TopLists
from src.data.sessions import Sessions
from src.data.units import DAY, Weights
from src.embeddings import vectors as embeddings
from src.features import item_statistics_kernel as statistics_kernel
from src.features.rows import ItemStatisticsFeature
from src.matrices.neighbours import Neighbours


class World:
    """A split with what the rules look up, each read or made once, when first asked for."""

    def __init__(self, output: Path, split: str, tables: Callable[[str], Path]) -> None:
        self.output, self.split = output, split
        self.claimed: set[str] = set()  # what has told the memory it needs
        self._tables = tables
        self._matrices: dict[tuple[str, int | None], Neighbours] = {}
        self._holders: dict[int, tuple[I64, I32, I64]] = {}
        self._popular: dict[PopularRetriever, tuple[I64, TopLists]] = {}
        self._frequent: dict[tuple[str, int], tuple[I64, F32]] = {}
        self._sorted: dict[int, tuple[I32, I32, I8]] = {}
        self._followers: dict[object, tuple[I64, I32, I32, F32]] = {}
        self._context: dict[str, I32] = {}
        self._times: dict[str, tuple[I64, I32]] = {}
        self._statistics: dict[ItemStatisticsFeature, F32] = {}
        query = pl.read_parquet(output / split / "sessions.parquet")["query"]
        self.n_sessions = query.len()
        self.first_query = self.n_sessions - int(query.sum())

    @cached_property
    def items(self) -> pl.DataFrame:
        """What is known of each item: a row for each of items.parquet."""
        return pl.read_parquet(self.output / "items.parquet")

    def context(self, column: str) -> I32:
        """A context column of all events; 0 where that is not known."""
        if column not in self._context:
            path = self.output / self.split / "events.parquet"
            values = pl.read_parquet(path, columns=[column])[column]
            self._context[column] = values.fill_null(0).clip(0).to_numpy()
        return self._context[column]

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions.load(self.output, self.split)

    def matrix(self, name: str, top: int | None = None) -> Neighbours:
        """The heaviest neighbours in the matrix, or embedding, of that name; or all, mapped."""
        if (name, top) not in self._matrices:
            path, n_items = self._tables(name), self.sessions.n_items
            found = Neighbours.load(path, n_items, top) if top else Neighbours.mapped(path, n_items)
            self._matrices[name, top] = found
        return self._matrices[name, top]

    def load(self, rules: Iterable[Retriever]) -> None:
        """Read the matrices of some rules, several at a time."""
        wanted = {(r.matrix, r.neighbours) for r in rules if isinstance(r, ItemToItemRetriever)}
        self.sessions.n_items  # noqa: B018 - read before, not by every thread
        with ThreadPoolExecutor(get_num_threads()) as threads:
            list(threads.map(lambda table: self.matrix(*table), sorted(wanted)))

    @cached_property
    def shapes(self) -> I32:
        """Second of the last event, and number of events, of every session."""
        return events_kernel.shapes(self.sessions.offsets, self.sessions.ts).copy()  # to huge pages

    def holders(self, sample: int) -> tuple[I64, I32, I64]:
        """The latest `sample` sessions of each item as CSR; how many there are in all."""
        if sample not in self._holders:
            s = self.sessions
            self._holders[sample] = events_kernel.latest_sessions(
                s.offsets, s.item, self.shapes, s.n_items, sample
            )
        return self._holders[sample]

    def followers(self, rule: TransitionRetriever) -> tuple[I64, I32, I32, F32]:
        """What came behind each item, by time; see flow_kernel.followers."""
        key = rule.steps, rule.within, rule.target_weight
        if key not in self._followers:
            s, weights = self.sessions, np.array(rule.target_weight, np.float64)
            self._followers[key] = flow_kernel.followers(
                s.offsets, s.item, s.ts, s.type, s.n_items, rule.steps, rule.within, weights
            )
        return self._followers[key]

    def vectors(self, name: str) -> F32:
        """Unit vectors of an embedding, memory-mapped."""
        return embeddings.load(self._tables(name).with_suffix(".npy"))

    def sources(self, name: str) -> F32:
        """Unit vectors of the items that look at others, memory-mapped; mostly the same ones."""
        path = self._tables(name).with_suffix(".sources.npy")
        return embeddings.load(path) if path.exists() else self.vectors(name)

    def queries(self, name: str, first: int, end: int) -> F32:
        """Unit vectors (objectives, end - first, size) of sessions first : end in a two-tower."""
        vectors = embeddings.load(self._tables(name).with_suffix(".queries.npy"))
        return vectors[:, first - self.first_query : end - self.first_query]

    def frequent(self, name: str, among: int) -> tuple[I64, F32]:
        """The most frequent items of the split, ascending, and their vectors in an embedding."""
        if (name, among) not in self._frequent:
            count = np.bincount(self.sessions.item, minlength=self.sessions.n_items)
            items = search.frequent(count, among)
            self._frequent[name, among] = items, self.vectors(name)[items]
        return self._frequent[name, among]

    def times_by_item(self, column: str) -> tuple[I64, I32]:
        """Ascending event times of every item and value of a column (or "type"), as CSR.

        The values go from 0 to the highest one, item by item.
        """
        if column not in self._times:
            s = self.sessions
            kind = s.type if column == "type" else self.context(column)
            self._times[column] = events_kernel.times_by_item(
                s.item, s.ts, kind, s.n_items, int(kind.max()) + 1
            )
        return self._times[column]

    def statistics(
        self, row: ItemStatisticsFeature, types: tuple[str, ...], weight: Weights
    ) -> F32:
        """What all sessions did with each item: (items, statistics_kernel.names)."""
        if row not in self._statistics:
            s = self.sessions
            since = 0 if row.last_days is None else int(s.ts.max() - row.last_days * DAY)
            self._statistics[row] = statistics_kernel.item_statistics(
                s.offsets, s.item, s.ts, s.type, s.n_items, len(types), since,
                np.array(weight, np.float64), len(statistics_kernel.names(types)),
            )  # fmt: skip
        return self._statistics[row]

    def popular(self, rule: PopularRetriever) -> tuple[I64, TopLists]:
        """Ends of the windows of all queries, ascending, and the list of each."""
        if rule not in self._popular:
            ends = np.unique(_bucket(self.query_ts(self.first_query, self.n_sessions), rule))
            events = self._by_time(int(ends[0]) - rule.window)
            votes = np.round(np.array(rule.type_weight) * 1000).astype(np.int64)
            lists = rules_kernel.popular_rows(
                *events, votes, ends, rule.window, self.sessions.n_items, rule.top
            )
            self._popular[rule] = ends, lists
        return self._popular[rule]

    def _by_time(self, since: int) -> tuple[I32, I32, I8]:
        """Seconds, items and types of the events from a second on, by time; the last one kept."""
        if since not in self._sorted:
            s = self.sessions
            self._sorted = {since: events_kernel.by_time(s.ts, s.item, s.type, since)}
        return self._sorted[since]

    def query_ts(self, first: int, end: int) -> I32:
        """Time of the last visible event of sessions first : end."""
        return self.sessions.ts[self.sessions.offsets[first + 1 : end + 1] - 1]

    def select(self, select: Seeds, first: int, end: int) -> tuple[I64, I32, F64]:
        """Weighted history items of sessions first : end as CSR, latest first."""
        s = self.sessions
        last = np.iinfo(np.int64).max if select.last is None else select.last
        return rules_kernel.select_items(
            s.offsets, s.item, s.ts, s.type, first, end,
            SCOPES.index(select.scope), last, float(select.recency),
            np.array(select.type_weight, np.float64),
        )  # fmt: skip


def history_lists(world: World, rule: HistoryRetriever, first: int, end: int) -> TopLists:
    return rules_kernel.history_lists(*world.select(rule.select, first, end), rule.top)


def matrix_lists(world: World, rule: ItemToItemRetriever, first: int, end: int) -> TopLists:
    near = world.matrix(rule.matrix, rule.neighbours)
    return rules_kernel.matrix_lists(
        *world.select(rule.select, first, end),
        near.offsets, near.item, near.weight, rule.neighbours, rule.share, rule.top,
        get_num_threads(),
    )  # fmt: skip


def knn_lists(world: World, rule: SessionKnnRetriever, first: int, end: int) -> TopLists:
    """V-SKNN and STAN; src/candidates/session_knn_kernel.py has the formulas."""
    s = world.sessions
    starts, holders, count = world.holders(rule.sample)
    idf = np.log(max(s.n_sessions, 2) / np.maximum(count, 1)) if rule.idf else np.empty(0)
    # items that would weigh less than 1/1000 do not count
    distance = np.arange(int(rule.item_decay * np.log(1000)) + 1 if rule.item_decay else 0)
    fade = np.exp(-distance / (rule.item_decay or 1.0))
    numbers = (float(rule.neighbours), rule.query_decay, rule.recency_days)
    met = knn_kernel.most_met(s.offsets, s.item, starts, first, end)
    items = (rule.neighbours + 1) * int(np.diff(s.offsets).max())
    room = (min(met, s.n_sessions), min(items, s.n_items))
    return knn_kernel.knn_lists(
        (s.offsets, s.item, s.ts), first, end, (starts, holders), idf, numbers, fade, room,
        get_num_threads(), rule.top,
    )  # fmt: skip


def popular_lists(world: World, rule: PopularRetriever, first: int, end: int) -> TopLists:
    buckets, (item, score) = world.popular(rule)
    place = np.searchsorted(buckets, _bucket(world.query_ts(first, end), rule))
    return item[place], score[place]


def retrieval_lists(world: World, rule: TwoTowerRetriever, first: int, end: int) -> TopLists:
    items, vectors = world.frequent(rule.model, rule.among)
    queries = world.queries(rule.model, first, end)[rule.objective]
    near, score = search.nearest(queries, vectors, rule.top)
    return np.where(near >= 0, items[near].astype(np.int32), np.int32(-1)), score


def _bucket(ts: I32, rule: PopularRetriever) -> I64:
    return ts.astype(np.int64) // rule.bucket * rule.bucket + rule.ahead


def flow_lists(world: World, rule: TransitionRetriever, first: int, end: int) -> TopLists:
    steps = np.arange(flow_kernel.REACH * rule.half_life // flow_kernel.STEP + 1)
    decay = np.exp2(-steps * flow_kernel.STEP / rule.half_life).astype(np.float32)
    return flow_kernel.flow_lists(
        *world.select(rule.select, first, end), world.query_ts(first, end),
        *world.followers(rule), decay, rule.ahead, rule.top, get_num_threads(),
    )  # fmt: skip


def fresh_lists(world: World, rule: NewItemRetriever, first: int, end: int) -> TopLists:
    """The newest items whose age is known, by it."""
    s, items = world.sessions, world.items
    created = items[rule.created].cast(pl.Int64).fill_null(-1).to_numpy()
    asked = created >= 0
    if rule.unseen:
        asked &= np.bincount(s.item, minlength=s.n_items) == 0
    order = np.flatnonzero(asked)[np.argsort(created[asked], kind="stable")]
    same, near = (
        items[column].cast(pl.Float64).fill_null(np.nan).to_numpy() if column else np.empty(0)
        for column in (rule.same, rule.near)
    )
    return rules_kernel.fresh_lists(
        s.offsets, s.item, s.ts, first, end, order, created[order],
        int(rule.days * DAY), same, near, rule.apart, rule.top,
    )  # fmt: skip


def lists_of(world: World, rule: Retriever, first: int, end: int) -> TopLists:
    """The lists of one rule for the sessions first : end."""
    match rule:
        case HistoryRetriever():
            return history_lists(world, rule, first, end)
        case ItemToItemRetriever():
            return matrix_lists(world, rule, first, end)
        case SessionKnnRetriever():
            return knn_lists(world, rule, first, end)
        case PopularRetriever():
            return popular_lists(world, rule, first, end)
        case TransitionRetriever():
            return flow_lists(world, rule, first, end)
        case NewItemRetriever():
            return fresh_lists(world, rule, first, end)
        case TwoTowerRetriever():
            return retrieval_lists(world, rule, first, end)


def block_lists(world: World, rules: dict[int, Retriever], first: int, end: int) -> pl.DataFrame:
    """LISTS of some rules (by row number) for the sessions first : end, in session order."""
    world.load(rules.values())
    lists = [lists_of(world, rules[number], first, end) for number in sorted(rules)]
    widths = [item.shape[1] for item, _ in lists]
    item, score = (np.concatenate(arrays, axis=1) for arrays in zip(*lists, strict=True))
    rule = np.repeat(np.array(sorted(rules), np.uint8), widths)
    rank = np.concatenate([np.arange(width, dtype=np.uint8) for width in widths])
    query, *columns = rules_kernel.flat(item, score, rule, rank)
    return pl.DataFrame([query + np.int32(first), *columns], schema=LISTS)
