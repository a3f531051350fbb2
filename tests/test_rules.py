"""Candidate rules against plain loops over lists of events, and against numbers worked by hand.

pytest tests/test_rules.py
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import polars as pl
import pytest
from planted import N_ITEMS, START, planted_events, span_of

from src.candidates import rules_kernel
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
from src.candidates.rules import World, block_lists, lists_of
from src.data import events_kernel, schemas
from src.data.schemas import EVENTS
from src.datasets import RECIPES
from src.matrices.definition import self_merge
from src.matrices.rows import CovisitationMatrix

HOUR, DAY, QUERIES = 3600, 86_400, 40
Events = list[tuple[int, int, int]]  # item, ts, type
Scores = dict[int, float]

A, B, C, D, E = range(5)  # items
DAY_AGO = [(A, 30, 0), (B, 7230, 0), (A, 14431, 1), (C, 86400, 0), (B, 86430, 2)]
"""2 h apart (the same visit), then 1 s more (another visit); the first 24 h before the last."""

SELECTED = [  # by hand
    (Seeds(recency=0.5), {B: 1.125, C: 0.5, A: 0.3125}),
    (Seeds("visit", recency=0.5), {B: 1.0, C: 0.5}),
    (Seeds("visit_ends", recency=0.5), {B: 1.25, A: 0.5}),
    (Seeds("visit_starts", recency=0.5), {C: 1.0, A: 0.75}),
    (Seeds("day", recency=0.5), {B: 1.125, C: 0.5, A: 0.25}),
    (Seeds(recency=1.0, type_weight=(1, 6, 3)), {B: 4.0, C: 1.0, A: 7.0}),
    (Seeds(last=2, recency=1.0), {B: 2.0, C: 1.0}),
    (Seeds(recency=0.5, type_weight=(0, 1, 1)), {B: 1.0, A: 0.25}),
]

SELECTS = [
    *(Seeds(scope) for scope in SCOPES),
    *(Seeds(scope, last=3, recency=0.5, type_weight=(0, 6, 3)) for scope in SCOPES),
]
KNN = [
    SessionKnnRetriever("vsknn", neighbours=20, idf=True),
    SessionKnnRetriever("stan", neighbours=20, query_decay=2.0, recency_days=3.0, item_decay=5.0),
    SessionKnnRetriever(
        "few", neighbours=3, sample=4, query_decay=0.7, item_decay=0.5, idf=True, top=7
    ),
]
POPULAR = [
    PopularRetriever("week"),
    PopularRetriever("hour", window=HOUR, bucket=300, type_weight=(0.5, 6, 3), top=8),
    PopularRetriever("around", window=DAY, bucket=300, ahead=DAY // 2, top=8),
]
FLOW = [
    TransitionRetriever("flow", Seeds(last=1), half_life=12 * HOUR, target_weight=(1, 0, 3)),
    TransitionRetriever("flow_far", Seeds(), steps=4, within=7200, half_life=5 * DAY, top=12),
    TransitionRetriever("flow_before", Seeds(last=2), steps=2, half_life=DAY, ahead=False),
]
LOOK_UPS = [
    ItemToItemRetriever("shared", "near", Seeds()),
    ItemToItemRetriever("cut", "near", Seeds(), neighbours=3),
    ItemToItemRetriever(
        "counted", "near", Seeds("visit", recency=0.7), neighbours=4, share=False, top=9
    ),
]
FRESH = [
    NewItemRetriever("fresh", "created", days=4.0),
    NewItemRetriever("fresh_theme", "created", days=20.0, same="category", top=5),
    NewItemRetriever("fresh_words", "created", days=9.0, near="words", apart=40.0),
    NewItemRetriever("cold", "created", 9.0, "category", "words", 80.0, unseen=True, top=2),
]
OWN = [HistoryRetriever("own", Seeds()), HistoryRetriever("short", SELECTS[5], top=2)]
EVERY: list[Retriever] = [*OWN, *LOOK_UPS, *KNN, *POPULAR, *FLOW, *FRESH]
ELSEWHERE = (
    PopularRetriever,
    NewItemRetriever,
    TwoTowerRetriever,
)  # these go to other communities; tests/test_sequence.py
RECIPE_ROWS = [row for r in RECIPES.values() for row in r.rules if not isinstance(row, ELSEWHERE)]


def write_world(
    folder: Path, events: pl.DataFrame, queries: int, n_items: int = N_ITEMS,
    known: dict[str, Any] | None = None,
) -> World:  # fmt: skip
    """A prepared split with no tables yet; `near` is looked for in folder/near.parquet."""
    (folder / "valid").mkdir(parents=True)
    n = int(events["session"].max()) + 1  # type: ignore[arg-type]
    events.write_parquet(folder / "valid" / "events.parquet")
    sessions = {"session": np.arange(n), "query": np.arange(n) >= n - queries}
    pl.DataFrame(sessions).write_parquet(folder / "valid" / "sessions.parquet")
    write_items(folder, n_items, known or {})
    return World(folder, "valid", lambda name: folder / f"{name}.parquet")


def write_items(folder: Path, n_items: int, known: dict[str, Any]) -> None:
    """items.parquet: raw ids, and what is known of the items."""
    table = pl.DataFrame(known, schema=dict.fromkeys(known, pl.Int32))
    ids = pl.Series("item_id", np.arange(n_items))
    table.with_columns(ids).select("item_id", *known).write_parquet(folder / "items.parquet")


def small_world(folder: Path, sessions: list[Events], queries: int) -> World:
    rows = [(s, *event) for s, events in enumerate(sessions) for event in events]
    return write_world(folder, pl.DataFrame(rows, schema=EVENTS, orient="row"), queries, n_items=5)


def planted_world(folder: Path) -> World:
    """300 sessions, the last of them queries, and one matrix, `near`."""
    events = planted_events()
    near = self_merge(events.lazy(), CovisitationMatrix("near", steps=2, top_n=15), span_of(events))
    near.collect().write_parquet(folder / "near.parquet")
    rng = np.random.default_rng(9)
    known = rng.random(N_ITEMS) < 0.9
    items = {
        "created": (START + rng.integers(30 * DAY, size=N_ITEMS)).tolist(),
        "category": np.where(known, rng.integers(5, size=N_ITEMS), None).tolist(),
        "words": np.where(known, rng.integers(100, 300, size=N_ITEMS), None).tolist(),
    }
    items["created"][3:9] = [None, None, *[START + 5 * DAY] * 4]  # unknown; at the same second
    seen = pl.col("item") + (pl.col("item") % 4 == 0).cast(pl.Int32)  # every fourth item is not
    return write_world(folder, events.with_columns(seen), QUERIES, known=items)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return planted_world(tmp_path_factory.mktemp("world"))


def history(world: World, session: int) -> Events:
    s = world.sessions
    at = slice(s.offsets[session], s.offsets[session + 1])
    return list(zip(s.item[at].tolist(), s.ts[at].tolist(), s.type[at].tolist(), strict=True))


def lists(world: World, rule: Retriever) -> tuple[np.ndarray, np.ndarray]:
    return lists_of(world, rule, world.first_query, world.n_sessions)


def check(found: tuple[np.ndarray, np.ndarray], wanted: list[Scores], top: int) -> None:
    """Lists hold the best `top` of the wanted scores, by score, ties by item."""
    assert sum(map(len, wanted)) > len(wanted)
    for item, score, scores in zip(*found, wanted, strict=True):
        best = sorted((s for s in scores.values() if s > 0), reverse=True)[:top]
        n = len(best)
        assert (item[:n] >= 0).all() and (item[n:] == -1).all() and item.size == top
        assert len(set(item[:n])) == n and np.lexsort((item[:n], -score[:n])).tolist() == [
            *range(n)
        ]
        np.testing.assert_allclose(score[:n], [scores[y] for y in item[:n]], rtol=1e-5)
        np.testing.assert_allclose(score[:n], best, rtol=1e-5)


def plain_scope(events: Events, scope: str) -> Events:
    ts = [ts for _, ts, _ in events]
    starts = [i for i in range(len(ts)) if i == 0 or ts[i] - ts[i - 1] > 2 * HOUR]
    ends = [i - 1 for i in starts[1:]] + [len(ts) - 1]
    match scope:
        case "visit":
            return events[starts[-1] :]
        case "visit_starts":
            return [events[i] for i in starts]
        case "visit_ends":
            return [events[i] for i in ends]
        case "day":
            return [e for e in events if e[1] > ts[-1] - DAY]
    return events


def plain_select(events: Events, select: Seeds) -> Scores:
    chosen: Scores = {}
    for back, (item, _, type_) in enumerate(reversed(plain_scope(events, select.scope))):
        weight = select.recency**back * select.type_weight[type_]
        if weight and (item in chosen or select.last is None or len(chosen) < select.last):
            chosen[item] = chosen.get(item, 0.0) + weight
    return chosen


def plain_matrix(world: World, rule: ItemToItemRetriever, query: int) -> Scores:
    near = world.matrix("near").to_frame().rows()
    scores: Scores = Counter()
    for x, loud in plain_select(history(world, query), rule.select).items():
        heard = [(y, weight) for at, y, weight in near if at == x][: rule.neighbours]
        for y, weight in heard:
            scores[y] += loud * (weight / sum(w for _, w in heard) if rule.share else 1.0)
    return scores


def plain_popular(world: World, rule: PopularRetriever, query: int) -> Scores:
    end = history(world, query)[-1][1] // rule.bucket * rule.bucket + rule.ahead
    scores: Scores = Counter()
    for session in range(world.n_sessions):
        for item, ts, type_ in history(world, session):
            scores[item] += 1000 * rule.type_weight[type_] * (end - rule.window <= ts < end)
    return scores


def plain_flow(world: World, rule: TransitionRetriever, query: int) -> Scores:
    events = history(world, query)
    now, chosen = events[-1][1], plain_select(events, rule.select)
    scores: Scores = Counter()
    for session in range(world.n_sessions):
        other = history(world, session)
        for j, (y, ts, type_) in enumerate(other):
            apart = abs(ts - now) // 16 * 16
            if apart > 6 * rule.half_life or (ts >= now and not rule.ahead):
                continue
            loud = rule.target_weight[type_] * 0.5 ** (apart / rule.half_life)
            for x, before, _ in other[max(0, j - rule.steps) : j]:
                if ts - before <= rule.within and x != y:
                    scores[y] += chosen.get(x, 0.0) * loud
    return scores


def plain_fresh(world: World, rule: NewItemRetriever, query: int) -> Scores:
    events, items = history(world, query), world.items.rows(named=True)
    seen, mine = set(world.sessions.item.tolist()), [items[item] for item, _, _ in events]
    words = [one["words"] for one in mine if one["words"] is not None]
    scores: Scores = {}
    for y, one in enumerate(items):
        age = None if one["created"] is None else events[-1][1] - one["created"]
        if age is None or not 0 <= age <= rule.days * DAY or (rule.unseen and y in seen):
            continue
        if rule.same and one["category"] not in {m["category"] for m in mine} - {None}:
            continue
        if rule.near and (
            not words
            or one["words"] is None
            or abs(one["words"] - sum(words) / len(words)) > rule.apart
        ):
            continue
        scores[y] = 1 / (1 + age / HOUR)
    return scores


@pytest.mark.parametrize(("select", "wanted"), SELECTED)
def test_selected_items_by_hand(tmp_path: Path, select: Seeds, wanted: Scores) -> None:
    world = small_world(tmp_path, [[(E, 5, 0)], DAY_AGO], 1)
    offsets, item, weight = world.select(select, 1, 2)
    assert list(zip(item.tolist(), weight.tolist(), strict=True)) == list(wanted.items())
    assert offsets.tolist() == [0, len(wanted)]


@pytest.mark.parametrize("select", SELECTS, ids=str)
def test_selected_items(world: World, select: Seeds) -> None:
    offsets, item, weight = world.select(select, world.first_query, world.n_sessions)
    for q, session in enumerate(range(world.first_query, world.n_sessions)):
        wanted = plain_select(history(world, session), select)
        at = slice(offsets[q], offsets[q + 1])
        assert item[at].tolist() == list(wanted)  # latest first
        np.testing.assert_allclose(weight[at], list(wanted.values()))


def plain(world: World, rule: Retriever, query: int) -> Scores:
    match rule:
        case HistoryRetriever():
            return plain_select(history(world, query), rule.select)
        case ItemToItemRetriever():
            return plain_matrix(world, rule, query)
        case PopularRetriever():
            return plain_popular(world, rule, query)
        case TransitionRetriever():
            return plain_flow(world, rule, query)
        case NewItemRetriever():
            return plain_fresh(world, rule, query)
    raise NotImplementedError(f"{rule.name}: see tests/test_embeddings.py")


@pytest.mark.parametrize("rule", [*OWN, *LOOK_UPS, *POPULAR, *FLOW, *FRESH], ids=lambda r: r.name)
def test_lists(world: World, rule: Retriever) -> None:
    wanted = [plain(world, rule, q) for q in range(world.first_query, world.n_sessions, 4)]
    item, score = lists(world, rule)
    check((item[::4], score[::4]), wanted, rule.top)


def test_flow_by_hand(tmp_path: Path) -> None:
    half = HOUR
    sessions = [
        [(A, 99_990, 0), (B, 100_000, 1), (C, 100_060, 0)],  # B an hour before: counts half
        [(A, 107_140, 0), (D, 107_200, 1)],  # D an hour after: counts half
        [(A, 103_000, 0), (E, 104_801, 1)],  # 1,801 s later: another visit
        [(C, 90_000, 0), (A, 103_600, 0)],  # the query itself has no follower
    ]
    world = small_world(tmp_path, sessions, 1)
    rule = TransitionRetriever(
        "flow", Seeds(last=1), half_life=half, target_weight=(0, 1, 0), top=3
    )
    item, score = lists_of(world, rule, 3, 4)
    assert item.tolist() == [[B, D, -1]] and score.tolist() == [[0.5, 0.5, 0]]
    item, score = lists_of(world, replace(rule, ahead=False), 3, 4)
    assert item.tolist() == [[B, -1, -1]], "what comes after the query does not count"
    item, score = lists_of(world, replace(rule, steps=2, target_weight=(1, 1, 1)), 3, 4)
    assert item.tolist() == [[C, B, D]], "two followers, of any type; C is nearer"


def test_fresh_by_hand(tmp_path: Path) -> None:
    """What came at the second of the query is the newest; a second later, it is not there yet."""
    now = 200_000
    world = small_world(tmp_path, [[(A, now, 0)]], 1)
    write_items(tmp_path, 5, {"created": [None, now, now + 1, now - DAY, now - DAY - 1]})
    item, score = lists_of(world, NewItemRetriever("fresh", "created", days=1.0, top=3), 0, 1)
    assert item.tolist() == [[B, D, -1]]
    np.testing.assert_allclose(score, [[1.0, 1 / 25, 0.0]], rtol=1e-6)


def test_popular_window_borders() -> None:
    ts, item = np.array([99, 100, 150, 199, 200], np.int32), np.array([A, B, C, C, D], np.int32)
    ends, vote = np.array([200, 201]), np.array([9, 1, 2, 3, 9])
    kinds = np.arange(5, dtype=np.int8)
    rows, score = rules_kernel.popular_rows(ts, item, kinds, vote, ends, 100, 5, 3)
    assert rows.tolist() == [[C, B, -1], [D, C, -1]]
    assert score.tolist() == [[5, 1, 0], [9, 5, 0]]


def test_events_by_time() -> None:
    ts, item = np.array([5, 9, 3, 5, 4], np.int32), np.arange(5, dtype=np.int32)
    found = events_kernel.by_time(ts, item, (item * 10).astype(np.int8), 4)
    assert [column.tolist() for column in found] == [[4, 5, 5, 9], [4, 0, 3, 1], [40, 0, 30, 10]]
    assert events_kernel.by_time(ts, item, item.astype(np.int8), 10)[0].size == 0


@pytest.mark.parametrize("rule", EVERY, ids=lambda r: r.name)
def test_threads_and_blocks_change_nothing(world: World, rule: Retriever) -> None:
    first, middle, end = world.first_query, world.first_query + 13, world.n_sessions
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = lists(world, rule)
        numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
        two = lists(world, rule)
    finally:
        numba.set_num_threads(threads)
    pieces = lists_of(world, rule, first, middle), lists_of(world, rule, middle, end)
    for a, b, *parts in zip(one, two, *pieces, strict=True):
        assert a.tobytes() == b.tobytes() == np.concatenate(parts).tobytes()


def test_block_lists_are_a_table_of_all_rules(world: World) -> None:
    first, end = world.first_query, world.n_sessions
    table = block_lists(world, dict(enumerate(EVERY)), first, end)
    assert table.schema == schemas.LISTS
    assert table.equals(table.sort("session", "rule", "rank"))
    for number, rule in enumerate(EVERY):
        item, score = lists(world, rule)
        query, rank = np.nonzero(item >= 0)
        wanted = [query + first, np.full(query.size, number), rank, item[query, rank]]
        mine = table.filter(pl.col("rule") == number)
        assert [mine[c].to_list() for c in mine.columns[:4]] == [w.tolist() for w in wanted]
        assert mine["score"].to_list() == score[query, rank].tolist()


@pytest.mark.parametrize("row", RECIPE_ROWS, ids=lambda r: r.name)
def test_rules_of_recipes_stay_in_the_community(world: World, row: Retriever) -> None:
    rule = replace(row, matrix="near") if isinstance(row, ItemToItemRetriever) else row
    item, _ = lists(world, rule)
    last = np.array([history(world, q)[-1][0] for q in range(world.first_query, world.n_sessions)])
    assert (item >= 0).any()
    assert (item // 20 == last[:, None] // 20)[item >= 0].all()
