"""Raw sessions as OTTO writes them, and the organisers' split in plain Python."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import worlds
from worlds import DAY, T0, TYPES, Sessions

from src.data.schemas import EVENTS, LABELS, SESSIONS

C, A, O = TYPES  # noqa: E741
GOOD = worlds.line(1, [(5, T0, C)])


def a_world(seed: int, sessions: int = 60) -> Sessions:
    """Sessions over 28 days with equal times, item 0, ids out of order, single events."""
    rng = random.Random(seed)
    world = []
    for session in rng.sample(range(10 * sessions), sessions):
        ts, events = T0 + rng.randrange(28 * DAY), []
        for _ in range(rng.choice((1, 2, 3, 10))):
            events.append((7 * rng.randrange(20), ts, rng.choice(TYPES)))
            ts += rng.choice((0, 1, 60_000, DAY // 4))
        world.append((session, events))
    return world


def labels_of(ahead: list[worlds.Event]) -> dict[str, set[int]]:
    """Labels of a query whose hidden events are `ahead`, by a plain loop."""
    labels = {name: {item for item, _, type in ahead if type == name} for name in (A, O)}
    labels[C] = set([item for item, _, type in ahead if type == C][:1])
    return {name: item_ids for name, item_ids in labels.items() if item_ids}


def oracle(
    train: Sessions, days: float, seed: int, end: int | None = None
) -> tuple[Sessions, Sessions, dict[int, dict[str, set[int]]]]:
    """History, visible queries and labels by the organisers' rules, in plain Python."""
    end = end or max(e[1] for _, events in train for e in events)
    split_ts = end - round(days * DAY)
    history, queries, labels, draw = [], [], {}, random.Random(seed)
    for session, events in train:
        if events[0][1] > split_ts:
            if len(events) > 1:
                cut = draw.randint(1, len(events) - 1)
                queries.append((session, events[:cut]))
                labels[session] = labels_of(events[cut:])
        elif before := [e for e in events if e[1] < split_ts]:
            history.append((session, before))
    return history, queries, labels


def prepared(out: Path, split: str) -> tuple[Sessions, Sessions]:
    """History and queries as step 1 wrote them, in raw ids; times in seconds."""
    sessions = pl.read_parquet(out / split / "sessions.parquet")
    events = pl.read_parquet(out / split / "events.parquet")
    item_ids = pl.read_parquet(out / "items.parquet")["item_id"]
    assert sessions.schema == SESSIONS and events.schema == EVENTS
    assert item_ids.is_sorted() and item_ids.is_unique().all()
    assert events["session"].is_sorted() and sessions["query"].is_sorted()
    all_sessions: Sessions = [(session, []) for session in sessions["session"]]
    for session, item, ts, type in events.rows():
        all_sessions[session][1].append((item_ids[item], ts, TYPES[type]))
    count = int((~sessions["query"]).sum())
    return all_sessions[:count], all_sessions[count:]


def prepared_labels(out: Path, split: str = "valid") -> dict[int, dict[str, set[int]]]:
    table = pl.read_parquet(out / split / "labels.parquet")
    sessions = pl.read_parquet(out / split / "sessions.parquet")["session"]
    item_ids = pl.read_parquet(out / "items.parquet")["item_id"]
    assert table.schema == LABELS and table.equals(table.unique().sort(LABELS.names()))
    assert (table["grade"] == 1).all(), "a log says what came true"
    labels: dict[int, dict[str, set[int]]] = {}
    for session, objective, item, _ in table.rows():
        of_session = labels.setdefault(sessions[session], {})
        of_session.setdefault(TYPES[objective], set()).add(item_ids[item])
    return labels


def in_seconds(sessions: Sessions) -> Sessions:
    return [(s, [(item, ts // 1000, type) for item, ts, type in events]) for s, events in sessions]


def bytes_of(out: Path) -> dict[str, bytes]:
    return {str(f.relative_to(out)): f.read_bytes() for f in sorted(out.rglob("*.parquet"))}
