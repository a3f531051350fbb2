"""Step 1 of OTTO: splits and labels by the organisers' rules.

pytest tests/datasets/test_otto_split.py
"""

from __future__ import annotations

import random

import polars as pl
import pytest
import worlds
from needs import needs_file
from otto_log import A, C, O, a_world, in_seconds, oracle, prepared, prepared_labels
from worlds import DAY, T0

from src.core.arrays import hash_unit
from src.datasets.demo import simulate
from src.datasets.demo.shop import ShopConfig

# The organisers' test_labels.py: events, and the labels after each prefix.
PUBLISHED = [(1000000, C), (1000001, C), (1000002, C), (1000003, C), (1000000, A), (1000004, C),
             (1000004, A), (1000005, C), (1000007, C), (1000007, A), (100005, A), (1000000, O),
             (1000004, O), (1000007, C), (1000007, A)]  # fmt: skip
ORDERS = {1000000, 1000004}
PUBLISHED_LABELS = {
    1: (1000001, {1000000, 1000004, 1000007, 100005}, ORDERS),
    4: (1000004, {1000000, 1000004, 1000007, 100005}, ORDERS),
    5: (1000004, {1000004, 1000007, 100005}, ORDERS),
    6: (1000005, {1000004, 1000007, 100005}, ORDERS),
    7: (1000005, {1000007, 100005}, ORDERS),
    9: (1000007, {1000007, 100005}, ORDERS),
    10: (1000007, {1000007, 100005}, ORDERS),
    11: (1000007, {1000007}, ORDERS),
    12: (1000007, {1000007}, {1000004}),
    13: (1000007, {1000007}, set()),
    14: (None, {1000007}, set()),
}


@pytest.mark.parametrize(("days", "seed"), [(7, 42), (7, 1), (20.5, 42), (2.5, 3)])
def test_valid_is_the_organisers_split(tmp_path, monkeypatch, days, seed):
    world = a_world(seed)
    worlds.write(tmp_path / "in", "train", world)
    assert worlds.prepare(monkeypatch, tmp_path, split_days=days, seed=seed) == 0
    history, queries, labels = oracle(world, days, seed)
    assert prepared(tmp_path / "out", "valid") == (in_seconds(history), in_seconds(queries))
    assert prepared_labels(tmp_path / "out") == labels
    assert not (tmp_path / "out" / "test").exists()


@pytest.mark.parametrize("back", [1, 2])
def test_an_earlier_window_is_the_split_of_a_shorter_train(tmp_path, monkeypatch, back):
    """As if the log ended with the window: later events and sessions are not there."""
    world, out, days = a_world(1, 200), tmp_path / "out", 5
    worlds.write(tmp_path / "in", "train", world)
    assert worlds.prepare(monkeypatch, tmp_path, split_days=days) == 0
    splits = worlds.splits(out)
    assert [split["name"] for split in splits] == ["valid", "train_1", "train_2"]
    assert [split["role"] for split in splits] == ["valid", "train", "train"]
    assert splits[back]["origin"] == f"window {back} before valid"
    end = max(e[1] for _, events in world for e in events) - back * days * DAY
    shorter = [(s, [e for e in events if e[1] < end]) for s, events in world]
    history, queries, labels = oracle([pair for pair in shorter if pair[1]], days, 42, end)
    assert prepared(out, f"train_{back}") == (in_seconds(history), in_seconds(queries))
    assert prepared_labels(out, f"train_{back}") == labels and len(labels) > 9
    assert splits[back]["sessions"] == len(history) + len(queries)
    assert splits[back]["queries"] == len(queries)


def test_a_session_that_begins_at_the_cut_is_in_neither_part(tmp_path, monkeypatch):
    end = T0 + 10 * DAY
    at_cut = end - 7 * DAY
    world = [(1, [(0, at_cut - 1, C), (4, at_cut, C)]), (2, [(5, at_cut, C), (6, at_cut + 1, C)]),
             (3, [(0, at_cut + 1, C), (0, end, C)])]  # fmt: skip
    worlds.write(tmp_path / "in", "train", world)
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    history, queries = prepared(tmp_path / "out", "valid")
    assert [s for s, _ in history] == [1] and len(history[0][1]) == 1
    assert [s for s, _ in queries] == [3]
    assert prepared_labels(tmp_path / "out") == {3: {C: {0}}}, "item 0 is an item"


@pytest.mark.parametrize("prefix", PUBLISHED_LABELS)
def test_labels_are_the_published_ones(tmp_path, monkeypatch, prefix):
    events = [(item, T0 + min(n, 11) * 1000, type) for n, (item, type) in enumerate(PUBLISHED[:13])]
    events += [(item, T0 + 20_000, type) for item, type in PUBLISHED[13:]]
    worlds.write(tmp_path / "in", "train", [(7, [(1, T0 - 9 * DAY, C)]), (8, events)])
    original = random.Random

    class Fixed(original):
        def randint(self, a: int, b: int) -> int:
            assert (a, b) == (1, len(events) - 1)
            return prefix

    monkeypatch.setattr(random, "Random", Fixed)
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    click, carts, orders = PUBLISHED_LABELS[prefix]
    wanted = {C: {click} - {None}, A: carts, O: orders}
    assert prepared_labels(tmp_path / "out") == {8: {k: v for k, v in wanted.items() if v}}


@pytest.fixture(params=["simulated", "real"])
def sample(request, tmp_path):
    """A train.jsonl of 20 sessions."""
    if request.param == "real":
        return needs_file("OTTO_SAMPLE", "train.jsonl of OTTO's sample of 20 sessions")
    simulate.write(ShopConfig(sessions=20, items=200, seed=7), tmp_path / "raw")
    return tmp_path / "raw" / "train.jsonl"


def test_the_organisers_invariants_hold_on_whole_sessions(sample, tmp_path, monkeypatch):
    world = worlds.read(sample)
    begins = sorted(events[0][1] for _, events in world)
    end = max(e[1] for _, events in world for e in events)
    split_ts = begins[12]
    days = (end - split_ts) / DAY
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "train.jsonl").write_bytes(sample.read_bytes())
    assert worlds.prepare(monkeypatch, tmp_path, split_days=days) == 0
    wanted_history, wanted_queries, labels = oracle(world, days, 42)
    history, queries = prepared(tmp_path / "out", "valid")
    assert (history, queries) == (in_seconds(wanted_history), in_seconds(wanted_queries))
    assert history and queries and prepared_labels(tmp_path / "out") == labels
    assert all(ts <= split_ts // 1000 for _, events in history for _, ts, _ in events)
    assert all(ts >= split_ts // 1000 for _, events in queries for _, ts, _ in events)
    whole = dict(world)
    for session, events in queries:
        ahead = {item for item, _, _ in whole[session][len(events) :]}
        assert all(item_ids <= ahead for item_ids in labels[session].values())


def test_test_is_all_of_train_then_the_test_sessions(tmp_path, monkeypatch):
    train = a_world(5)
    test = [(10_000 + s, [(item + 1, ts + 9 * DAY, type) for item, ts, type in events])
            for s, events in a_world(6)]  # fmt: skip
    worlds.write(tmp_path / "in", "train", train)
    worlds.write(tmp_path / "in", "test", test)
    assert worlds.prepare(monkeypatch, tmp_path, split_days=None) == 0
    assert prepared(tmp_path / "out", "test") == (in_seconds(train), in_seconds(test))
    last = [max(e[1] for _, events in part for e in events) for part in (train, test)]
    history, queries, labels = oracle(train, max(1, round((last[1] - last[0]) / DAY)), 42)
    assert prepared(tmp_path / "out", "valid") == (in_seconds(history), in_seconds(queries))
    assert prepared_labels(tmp_path / "out") == labels
    (tmp_path / "in" / "test.jsonl").unlink()
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    names = [split["name"] for split in worlds.splits(tmp_path / "out")]
    assert "valid" in names and "test" not in names, "stale test split"


def test_sample_keeps_the_same_sessions_in_every_file(tmp_path, monkeypatch):
    train, test = a_world(8, 300), [(10**6 + s, events) for s, events in a_world(9, 300)]
    worlds.write(tmp_path / "in", "train", train)
    worlds.write(tmp_path / "in", "test", test)
    assert worlds.prepare(monkeypatch, tmp_path, "--sample", "0.3") == 0
    history, queries = prepared(tmp_path / "out", "test")
    for found, world in ((history, train), (queries, test)):
        unit = pl.select(hash_unit(pl.lit(pl.Series([s for s, _ in world])), 42))
        kept = [session for session, u in zip(world, unit.to_series(), strict=True) if u < 0.3]
        assert found == in_seconds(kept) and 50 < len(kept) < 130


def test_a_split_that_holds_out_nothing_or_all_is_refused(tmp_path, monkeypatch, capsys):
    day = [(s, [(1, T0 + s, C), (2, T0 + s + 9, C)]) for s in range(9)]
    worlds.write(tmp_path / "in", "train", day)
    assert worlds.prepare(monkeypatch, tmp_path) == 2
    assert "no session begins before the last 7 days" in capsys.readouterr().err
    worlds.write(tmp_path / "in", "train", [*day, (99, [(1, T0 + 30 * DAY, C)])])
    assert worlds.prepare(monkeypatch, tmp_path) == 2
    error = capsys.readouterr().err
    assert "begins in the last 7 days" in error and "set a larger split_days" in error
