"""Plain-Python retrievers, to hold the kernels against."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
from planted import DAY, N_ITEMS, Events, history

from src.candidates.base import Retriever
from src.candidates.history import HistoryRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.new_items import NewItemRetriever
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.session_knn import SessionKnnRetriever
from src.candidates.transitions import TransitionRetriever
from src.data.split_data import SplitData
from src.data.units import HOUR
from src.matrices.neighbours import all_neighbours

Scores = dict[int, float]


def lists(data: SplitData, row: Retriever) -> tuple[np.ndarray, np.ndarray]:
    return row.lists(data, data.first_query, data.n_sessions)


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
        case "visit_ends":
            return [events[i] for i in ends]
        case "day":
            return [e for e in events if e[1] > ts[-1] - DAY]
    return events


def plain_select(events: Events, seeds: Seeds) -> Scores:
    chosen: Scores = {}
    for back, (item, _, type_) in enumerate(reversed(plain_scope(events, seeds.scope))):
        weight = seeds.decay**back * seeds.type_weight[type_]
        if weight and (item in chosen or seeds.max_items is None or len(chosen) < seeds.max_items):
            chosen[item] = chosen.get(item, 0.0) + weight
    return chosen


def plain_matrix(data: SplitData, row: ItemToItemRetriever, query: int) -> Scores:
    near = all_neighbours(data, "near").to_frame().rows()
    scores: Scores = Counter()
    for x, weight_of in plain_select(history(data, query), row.seeds).items():
        near_x = [(y, weight) for at, y, weight in near if at == x][: row.neighbours]
        for y, weight in near_x:
            scores[y] += weight_of * (
                weight / sum(w for _, w in near_x) ** row.power if row.normalize else 1.0
            )
    return scores


def plain_popular(data: SplitData, row: PopularRetriever, query: int) -> Scores:
    end = history(data, query)[-1][1] // row.bucket_s * row.bucket_s + row.lookahead_s
    scores: Scores = Counter()
    for session in range(data.n_sessions):
        for item, ts, type_ in history(data, session):
            counts = row.window_s is None or end - row.window_s <= ts < end
            scores[item] += 1000 * row.type_weight[type_] * counts
    return scores


def plain_flow(data: SplitData, row: TransitionRetriever, query: int) -> Scores:
    events = history(data, query)
    now, chosen = events[-1][1], plain_select(events, row.seeds)
    scores: Scores = Counter()
    for session in range(data.n_sessions):
        other = history(data, session)
        for j, (y, ts, type_) in enumerate(other):
            apart = abs(ts - now) // 16 * 16
            if apart > 6 * row.half_life or (ts >= now and not row.looks_ahead):
                continue
            weight_of = row.target_weight[type_] * 0.5 ** (apart / row.half_life)
            for x, before, _ in other[max(0, j - row.max_steps) : j]:
                if ts - before <= row.max_gap_s and x != y:
                    scores[y] += chosen.get(x, 0.0) * weight_of
    return scores


def plain_fresh(data: SplitData, row: NewItemRetriever, query: int) -> Scores:
    events, items = history(data, query), data.items.rows(named=True)
    seen, mine = set(data.sessions.item.tolist()), [items[item] for item, _, _ in events]
    words = [one["words"] for one in mine if one["words"] is not None]
    scores: Scores = {}
    for y, one in enumerate(items):
        age = None if one["created"] is None else events[-1][1] - one["created"]
        if age is None or not 0 <= age <= row.max_age_days * DAY or (row.unseen and y in seen):
            continue
        if row.same and one["category"] not in {m["category"] for m in mine} - {None}:
            continue
        if row.near and (
            not words
            or one["words"] is None
            or abs(one["words"] - sum(words) / len(words)) > row.max_distance
        ):
            continue
        scores[y] = 1 / (1 + age / HOUR)
    return scores


def plain_knn(data: SplitData, row: SessionKnnRetriever, query: int) -> Scores:
    sessions = [history(data, s) for s in range(data.n_sessions)]
    mine, now = [e[0] for e in sessions[query]], sessions[query][-1][1]
    if not row.looks_ahead:  # as they were before the query
        sessions = [[e for e in events if e[1] < now] for events in sessions]
    # a session of one item is none
    sessions = [events if len({e[0] for e in events}) > 1 else [] for events in sessions]
    if row.looks_ahead:
        some = [s for s in range(len(sessions)) if sessions[s]]
        newest = sorted(some, key=lambda s: (-sessions[s][-1][1], s))
        late = sum(sessions[s][-1][1] > now for s in newest)
        nearest = sorted(  # in time; of equally near ones, first those that end later
            [*newest[:late][::-1], *newest[late:]], key=lambda s: abs(sessions[s][-1][1] - now)
        )
        postings = {y: [s for s in nearest if y in {e[0] for e in sessions[s]}]
                    for y in range(N_ITEMS)}  # fmt: skip
    else:  # those that had the item, and another one, last
        met = [{e[0]: e[1] for e in reversed(events)} for events in sessions]
        met = [{y: max(ts, sorted(of.values())[1]) for y, ts in of.items()} for of in met]
        postings = {
            y: sorted((s for s in range(len(met)) if y in met[s]), key=lambda s: (-met[s][y], -s))
            for y in range(N_ITEMS)
        }
    n_sessions = sum(map(bool, sessions))
    weight_of: Scores = {}
    for i, x in enumerate(mine):  # the latest event of an item counts
        back = len(mine) - 1 - i
        weight_of[x] = math.exp(-back / row.query_decay) if row.query_decay else (i + 1) / len(mine)
    similarity: Scores = defaultdict(float)
    for x in dict.fromkeys(reversed(mine)):
        for s in postings[x][: row.sample_size]:
            similarity[s] += weight_of[x]
    similarity.pop(query, None)
    for s in similarity:
        similarity[s] /= math.sqrt(len(sessions[s]) * len(mine))
        if row.recency_days:
            days = abs(now - sessions[s][-1][1]) / DAY
            similarity[s] *= math.exp(-days / row.recency_days)
    scores: Scores = defaultdict(float)
    for s in sorted(similarity, key=lambda s: (-np.float32(similarity[s]), -s))[: row.neighbours]:
        theirs = [e[0] for e in sessions[s]]
        shared = max(range(len(theirs)), key=lambda i: (weight_of.get(theirs[i], 0.0), i))
        best: Scores = defaultdict(float)
        for i, y in enumerate(theirs):
            idf = math.log(n_sessions / len(postings[y])) if row.idf else 1.0
            near = math.exp(-abs(i - shared) / row.item_decay) if row.item_decay else 1.0
            best[y] = max(best[y], similarity[s] * idf * (near if near >= 1e-3 else 0.0))
        for y, score in best.items():
            scores[y] += score
    return scores


def plain_lists(data: SplitData, row: Retriever, query: int) -> Scores:
    match row:
        case HistoryRetriever():
            return plain_select(history(data, query), row.seeds)
        case ItemToItemRetriever():
            return plain_matrix(data, row, query)
        case PopularRetriever():
            return plain_popular(data, row, query)
        case TransitionRetriever():
            return plain_flow(data, row, query)
        case NewItemRetriever():
            return plain_fresh(data, row, query)
        case SessionKnnRetriever():
            return plain_knn(data, row, query)
    raise NotImplementedError(row.name)
