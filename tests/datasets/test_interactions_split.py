"""Splits of a log against plain loops over its rows.

pytest tests/datasets/test_interactions_split.py
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import interactions as log
import polars as pl
import pytest
import worlds
from interactions import DAY, HOUR, T0, Row, csv, of_users, prepare, write

Histories = dict[str, list[tuple[str, int]]]


def a_world(seed: int = 1, users: int = 60) -> list[Row]:
    """Users with 1 to 20 events over 40 days, with repeats and equal times."""
    draw = random.Random(seed)
    rows = []
    for user in range(users):
        ts = T0 + draw.randrange(25 * DAY)
        for _ in range(draw.choice((1, 2, 3, 9, 20))):
            rows.append((f"u{user}", f"i{draw.randrange(40)}", ts))
            ts += draw.choice((0, 60, HOUR, DAY))
    draw.shuffle(rows)
    return list(dict.fromkeys(rows))


ROWS = a_world()
WORLD = of_users(ROWS)
END = max(ts for _, _, ts in ROWS)


def made(folder: Path, *flags: str, rows: list[Row] = ROWS) -> Path:
    write(folder, csv(rows))
    assert prepare(folder, *flags) == 0
    return folder / "out"


def check(out: Path, split: str, shown: Histories, hidden: Histories) -> None:
    """Queries are the users with events on both sides; others with visible events are history."""
    asked = {user for user in hidden if hidden[user] and shown.get(user)}
    visible = {user: events for user, events in shown.items() if events}
    assert set(log.queries(out, split)) == asked and asked
    assert log.events(out, split) == visible
    wanted = {user: dict.fromkeys((item for item, _ in hidden[user]), 1.0) for user in asked}
    assert log.labels(out, split) == wanted


def cut(world: Histories, keep: dict[str, int]) -> tuple[Histories, Histories]:
    shown = {user: events[: keep[user]] for user, events in world.items()}
    return shown, {user: events[keep[user] :] for user, events in world.items()}


@pytest.mark.parametrize(
    ("flag", "share", "count"),
    [("last:1", 0, 1), ("last:3", 0, 3), ("last:0.2", 0.2, 0), ("last:0.5", 0.5, 0)],
)
def test_the_last_events_of_every_user(tmp_path: Path, flag: str, share: float, count: int) -> None:
    """`train_1` hides what comes before the events that `valid` hides, and so on."""
    out, world = made(tmp_path, "--split", flag), WORLD
    assert [s["name"] for s in worlds.splits(out)][:2] == ["valid", "test"]
    for split in ("valid", "train_1", "train_2"):
        hide = {user: count or int(share * len(events) + 0.5) for user, events in world.items()}
        keep = {u: n - hide[u] if n > hide[u] else n for u, n in lengths(world).items()}
        shown, hidden = cut(world, keep)
        check(out, split, shown, hidden)
        world = shown


def lengths(world: Histories) -> dict[str, int]:
    return {user: len(events) for user, events in world.items()}


@pytest.mark.parametrize("days", [3, 7])
def test_what_users_do_in_the_last_window(tmp_path: Path, days: int) -> None:
    out, world = made(tmp_path, "--split", f"time:{days}d"), WORLD
    assert log.found(out)["who"] == "user"
    made_splits = [s["name"] for s in worlds.splits(out) if s["name"] != "test"]
    assert made_splits[:2] == ["valid", "train_1"]
    for back, split in enumerate(made_splits):
        start = END - (back + 1) * days * DAY
        keep = {u: sum(ts < start for _, ts in events) for u, events in world.items()}
        shown, hidden = cut(world, keep)
        check(out, split, shown, hidden)
        world = shown


def test_test_is_every_user_with_the_whole_history(tmp_path: Path) -> None:
    out = made(tmp_path, "--split", "last:1")
    assert log.events(out, "test") == WORLD
    assert log.queries(out, "test") == sorted(WORLD), "users of one event too"
    assert not (out / "test" / "labels.parquet").exists()
    assert min(lengths(WORLD).values()) == 1


def test_a_held_out_test_split_nests_valid(tmp_path: Path) -> None:
    out = made(tmp_path, "--split", "last:1", "--test", "held-out")
    shown, hidden = cut(WORLD, {u: max(n - 1, 1) for u, n in lengths(WORLD).items()})
    check(out, "test", shown, hidden)
    shown, hidden = cut(shown, {u: max(n - 1, 1) for u, n in lengths(shown).items()})
    check(out, "valid", shown, hidden)
    roles = {split["name"]: split["role"] for split in worlds.splits(out)}
    assert roles["test"] == "test" and roles["valid"] == "valid" and roles["train_1"] == "train"


@pytest.mark.parametrize(("flags", "count"), [((), 4), (("--test", "held-out"), 4)])
def test_random_events_of_every_user(tmp_path: Path, flags: tuple[str, ...], count: int) -> None:
    """Each split hides another quarter of what `test` shows; order is that of time."""
    out, world = made(tmp_path, "--split", "random:0.25", *flags), WORLD
    if flags:
        world, hidden_of_test = log.events(out, "test"), log.labels(out, "test")
        assert 0 < sum(map(len, world.values())) < 0.8 * sum(map(len, WORLD.values()))
        assert hidden_of_test.keys() == {u for u, e in WORLD.items() if len(e) > 1}
    names = [split["name"] for split in worlds.splits(out) if split["name"] != "test"]
    assert names == ["valid", "train_1", "train_2", "train_3"][:count]
    left_out = {user: Counter[tuple[str, int]]() for user in world}
    for split in names:
        shown = log.events(out, split)
        for user, events in world.items():
            n = int(len(events) * 0.25 + 0.5)
            assert len(shown[user]) == len(events) - n
            left = iter(events)
            assert all(event in left for event in shown[user]), "a part of it, in order"
            hidden = Counter(events) - Counter(shown[user])
            assert {item for item, _ in hidden} >= set(log.labels(out, split).get(user, {}))
            left_out[user] += hidden
    for user, events in world.items():
        if len(events) % 4 == 0:
            assert left_out[user] == Counter(events), "each event is hidden once"
    last = [user for user, events in WORLD.items() if len(events) > 8]
    at_end = sum(WORLD[user][-1] not in log.events(out, "valid")[user] for user in last)
    assert 0 < at_end < len(last), "not the last ones"


def test_sessions_are_cut_at_random_and_begin_in_the_window(tmp_path: Path) -> None:
    """Ids that hardly ever come back are sessions, whatever they are called."""
    draw = random.Random(3)
    rows = [(f"s{s}", f"i{draw.randrange(30)}", T0 + s * HOUR * 6 + n * 60)
            for s in range(150) for n in range(draw.choice((1, 2, 5)))]  # fmt: skip
    out, world = made(tmp_path, "--split", "time:7d", rows=rows), of_users(rows)
    assert log.found(out)["who"] == "session"
    start = max(ts for _, _, ts in rows) - 7 * DAY
    begun = {s for s, events in world.items() if events[0][1] > start}
    asked = {s for s in begun if len(world[s]) > 1}
    assert set(log.queries(out, "valid")) == asked
    shown, labels = log.events(out, "valid"), log.labels(out, "valid")
    for session in asked:
        keep = len(shown[session])
        assert 1 <= keep < len(world[session]) and shown[session] == world[session][:keep]
        assert set(labels[session]) == {item for item, _ in world[session][keep:]}
    at_start = {s for s, events in world.items() if events[0][1] == start}
    assert at_start <= set(shown), "they are history"
    assert set(log.queries(out, "test")) == begun
    assert log.events(out, "test") == world


def test_the_window_fits_the_log(tmp_path: Path, monkeypatch) -> None:
    out = made(tmp_path)
    assert log.found(out)["days"] == 7, "of 40 days, and few queries in any window"
    monkeypatch.setattr("src.datasets.interactions.choose.ENOUGH", 10_000)
    monkeypatch.setattr("src.datasets.interactions.choose.LENGTHS", (1, 3, 10))
    assert prepare(tmp_path) == 0
    days = {n: sum(events[0][1] < END - n * DAY <= events[-1][1] for events in WORLD.values())
            for n in (1, 3, 10)}  # fmt: skip
    assert log.found(out)["days"] == max(days, key=lambda n: days[n])
    hours = [(u, i, T0 + (ts - T0) // 40) for u, i, ts in ROWS]
    span = max(ts for *_, ts in hours) - min(ts for *_, ts in hours)
    assert made(tmp_path, rows=hours) and log.found(out)["days"] == span // 4 // HOUR / 24


def test_unseen_candidates_have_unseen_labels(tmp_path: Path) -> None:
    """An item that the user has had can be in no list, so it is no positive."""
    out = made(tmp_path, "--split", "last:3", "--candidates", "unseen")
    shown, labels = log.events(out, "valid"), log.labels(out, "valid")
    repeats = 0
    for user in log.queries(out, "valid"):
        seen, hidden = {i for i, _ in shown[user]}, {i for i, _ in WORLD[user][-3:]}
        assert set(labels.get(user, {})) == hidden - seen
        repeats += len(hidden & seen)
    assert repeats


RATED = [(*row, 1 + n % 5) for n, row in enumerate(ROWS)]
RATED += [("u1", "i99", END, 5), ("u1", "i99", END + 1, 2)]  # a second thought


@pytest.mark.parametrize(("flags", "grade"), [
    ((), lambda r: 1.0), (("--grades", "rating"), float),
    (("--relevant", "4"), lambda r: float(r >= 4)),
    (("--relevant", "4", "--grades", "rating"), lambda r: float(r) if r >= 4 else 0.0),
])  # fmt: skip
@pytest.mark.parametrize("candidates", ["all", "held-out"])
def test_ratings_are_grades(tmp_path: Path, flags, grade, candidates: str) -> None:
    write(tmp_path, csv(RATED, "user,item,time,rating"))
    assert prepare(tmp_path, "--split", "last:0.5", "--candidates", candidates, *flags) == 0
    out = tmp_path / "out"
    assert log.found(out)["types"] == ["rating"]
    by_user: dict[str, list[tuple[str, int]]] = {}
    for user, item, _, rating in sorted(RATED, key=lambda row: row[2]):
        by_user.setdefault(user, []).append((item, rating))
    shown = log.events(out, "valid")
    for user in log.queries(out, "valid"):
        hidden = dict(by_user[user][len(shown[user]) :])  # the last rating of an item counts
        wanted = {item: grade(rating) for item, rating in hidden.items()}
        if candidates == "all":
            wanted = {item: g for item, g in wanted.items() if g > 0}
        assert log.labels(out, "valid").get(user, {}) == wanted
    assert log.labels(out, "valid")["u1"].get("i99", 0.0) == grade(2)
    table = pl.read_parquet(out / "valid" / "events.parquet")
    assert table.schema["rating"] == pl.Float32 and set(table["rating"]) == {1, 2, 3, 4, 5}


def test_types_are_objectives_with_weights(tmp_path: Path) -> None:
    typed = [(*row, ("view", "buy now", "view")[n % 3]) for n, row in enumerate(ROWS)]
    write(tmp_path, csv(typed, "user,item,time,behavior"))
    assert prepare(tmp_path, "--split", "last:3") == 0
    out = tmp_path / "out"
    assert log.found(out)["types"] == ["view", "buy_now"], "most frequent first"
    labels = pl.read_parquet(out / "valid" / "labels.parquet")
    assert set(labels["objective"]) == {0, 1}
    assert prepare(tmp_path, "--split", "last:3", "--weights", "buy now=2") == 0
    bought = labels.filter(objective=1).with_columns(objective=pl.lit(0, pl.Int8))
    assert pl.read_parquet(out / "valid" / "labels.parquet").equals(bought)


def test_many_types_join_those_that_are_not_predicted(tmp_path: Path) -> None:
    typed = [(*row, f"t{n % 9}") for n, row in enumerate(ROWS)]
    write(tmp_path, csv(typed, "user,item,time,type"))
    assert prepare(tmp_path, "--split", "last:1", "--weights", "t3=1,t8=2") == 0
    assert set(log.found(tmp_path / "out")["types"]) == {"other", "t3", "t8"}


def test_a_sample_keeps_the_same_users_in_every_split(tmp_path: Path) -> None:
    out = made(tmp_path, "--split", "last:1", "--sample", "0.5")
    users = log.ids(out, "test")[0]
    assert 15 < len(users) < 45 and set(log.ids(out, "valid")[0]) == set(users)


def test_a_second_run_makes_nothing_and_another_flag_does(tmp_path: Path) -> None:
    out = made(tmp_path, "--split", "last:1")
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    assert prepare(tmp_path, "--split", "last:1") == 0
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")} == before
    assert prepare(tmp_path, "--split", "last:2") == 0
    changed = {p.relative_to(out).as_posix() for p in before if p.stat().st_mtime_ns != before[p]}
    assert "valid/labels.parquet" in changed and "raw/log-0000.parquet" not in changed
