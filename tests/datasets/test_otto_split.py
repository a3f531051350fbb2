"""Step 1: the raw format, the organisers' split and labels, bad input, resuming.

pytest tests/datasets/test_otto_split.py
"""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import polars as pl
import pytest
import worlds
import zstandard
from needs import needs_file
from worlds import DAY, T0, TYPES, Sessions

from src.core import text_blocks
from src.core.arrays import hash_unit
from src.data.schemas import EVENTS, LABELS, SESSIONS
from src.datasets.demo import simulate
from src.datasets.demo.shop import ShopConfig
from src.datasets.otto import jsonl
from src.datasets.otto.split_tables import SplitTables

C, A, O = TYPES  # noqa: E741
GOOD = worlds.line(1, [(5, T0, C)])

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
    """What is to be predicted when these events are ahead: a plain loop."""
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
    found: Sessions = [(session, []) for session in sessions["session"]]
    for session, item, ts, type in events.rows():
        found[session][1].append((item_ids[item], ts, TYPES[type]))
    count = int((~sessions["query"]).sum())
    return found[:count], found[count:]


def prepared_labels(out: Path, split: str = "valid") -> dict[int, dict[str, set[int]]]:
    table = pl.read_parquet(out / split / "labels.parquet")
    sessions = pl.read_parquet(out / split / "sessions.parquet")["session"]
    item_ids = pl.read_parquet(out / "items.parquet")["item_id"]
    assert table.schema == LABELS and table.equals(table.unique().sort(LABELS.names()))
    found: dict[int, dict[str, set[int]]] = {}
    for session, objective, item in table.rows():
        of = found.setdefault(sessions[session], {})
        of.setdefault(TYPES[objective], set()).add(item_ids[item])
    return found


def in_seconds(sessions: Sessions) -> Sessions:
    return [(s, [(item, ts // 1000, type) for item, ts, type in events]) for s, events in sessions]


def bytes_of(out: Path) -> dict[str, bytes]:
    return {str(f.relative_to(out)): f.read_bytes() for f in sorted(out.rglob("*.parquet"))}


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


@pytest.mark.parametrize("suffix", [".gz", ".zst", "two frames.zst"])
def test_compressed_files_give_the_same_bytes(tmp_path, monkeypatch, suffix):
    for name in ("plain", "packed"):
        path = worlds.write(tmp_path / name / "in", "train", a_world(1))
    data = path.read_bytes()
    half = data.index(b"\n", len(data) // 2) - 7
    zstd = zstandard.ZstdCompressor().compress
    packed = {".gz": gzip.compress, ".zst": zstd}.get(
        suffix, lambda d: zstd(d[:half]) + zstd(d[half:])
    )
    path.with_name("train.jsonl" + suffix[-4:].strip()).write_bytes(packed(data))
    path.unlink()
    assert worlds.prepare(monkeypatch, tmp_path / "plain") == 0
    assert worlds.prepare(monkeypatch, tmp_path / "packed") == 0
    assert bytes_of(tmp_path / "plain" / "out") == bytes_of(tmp_path / "packed" / "out")


def test_blocks_do_not_show_in_the_result(tmp_path, monkeypatch):
    for name in ("one", "many"):
        worlds.write(tmp_path / name / "in", "train", a_world(1))
    assert worlds.prepare(monkeypatch, tmp_path / "one") == 0
    small = text_blocks.blocks
    monkeypatch.setattr(text_blocks, "_pieces", lambda path: _by(path.read_bytes(), 700))
    monkeypatch.setattr("src.datasets.otto.raw.blocks", lambda path: small(path, 1500))
    assert worlds.prepare(monkeypatch, tmp_path / "many") == 0
    one, many = (tmp_path / name / "out" for name in ("one", "many"))
    assert len([*(many / "raw").glob("train-*.parquet")]) > 3
    tables = [path.relative_to(one) for path in one.glob("**/*.parquet") if "raw" not in path.parts]
    assert len(tables) > 3
    for table in tables:  # the row groups of events are those of the blocks
        assert pl.read_parquet(one / table).equals(pl.read_parquet(many / table)), table


def _by(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_a_second_run_does_nothing_and_another_seed_does(tmp_path, monkeypatch):
    worlds.write(tmp_path / "in", "train", a_world(1))
    worlds.write(tmp_path / "in", "test", [(s + 1000, e) for s, e in a_world(2)])
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    stamps = {f: f.stat().st_mtime_ns for f in (tmp_path / "out").rglob("*.parquet")}
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    assert stamps == {f: f.stat().st_mtime_ns for f in (tmp_path / "out").rglob("*.parquet")}
    before = bytes_of(tmp_path / "out")
    assert worlds.prepare(monkeypatch, tmp_path, seed=43) == 0
    changed = {name for name, data in bytes_of(tmp_path / "out").items() if data != before[name]}
    assert {"valid/events.parquet", "valid/labels.parquet"} <= changed
    assert not any(name.startswith("raw/t") for name in changed)


def test_a_killed_run_goes_on_and_a_lost_part_comes_back(tmp_path, monkeypatch):
    worlds.write(tmp_path / "in", "train", a_world(1))
    monkeypatch.setattr(SplitTables, "write_events", lambda self, path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        worlds.prepare(monkeypatch, tmp_path)
    monkeypatch.undo()
    part = tmp_path / "out" / "raw" / "train-0000.parquet"
    stamp = part.stat().st_mtime_ns
    assert worlds.prepare(monkeypatch, tmp_path) == 0 and part.stat().st_mtime_ns == stamp
    wanted = bytes_of(tmp_path / "out")
    part.unlink()
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    assert bytes_of(tmp_path / "out") == wanted


def test_a_split_that_holds_out_nothing_or_all_is_refused(tmp_path, monkeypatch, capsys):
    day = [(s, [(1, T0 + s, C), (2, T0 + s + 9, C)]) for s in range(9)]
    worlds.write(tmp_path / "in", "train", day)
    assert worlds.prepare(monkeypatch, tmp_path) == 2
    assert "no session begins before the last 7 days" in capsys.readouterr().err
    worlds.write(tmp_path / "in", "train", [*day, (99, [(1, T0 + 30 * DAY, C)])])
    assert worlds.prepare(monkeypatch, tmp_path) == 2
    error = capsys.readouterr().err
    assert "begins in the last 7 days" in error and "set a larger split_days" in error


ODD = {
    "as it is": GOOD,
    "blanks": GOOD.replace(":", " :\t").replace(",", " , ").replace("}", " } ") + "\r",
    "other order": f'{{"events":[{{"type":"clicks","ts":{T0},"aid":5}}],"session":1}}',
    "extra keys": GOOD.replace('"aid"', '"x":{"aid":[7]},"aid"').replace("}]", '}],"y":null'),
    "escapes": GOOD.replace("clicks", "cl\\u0069cks"),
}


@pytest.mark.parametrize("shape", ODD)
def test_other_writings_of_a_line_mean_the_same(shape):
    block = f"{GOOD}\n\n{ODD[shape]}".encode()
    table = jsonl.parse(block, 1, Path("train.jsonl"), TYPES)
    assert table.schema == jsonl.RAW
    assert table.rows() == [(1, 1, 0, 5, T0, 0), (3, 1, 0, 5, T0, 0)]


def test_the_largest_ids_are_read():
    text = GOOD.replace(":1,", f":{2**63 - 1},").replace('"aid":5', f'"aid":{2**63 - 1}')
    table = jsonl.parse(text.encode(), 1, Path("x"), TYPES)
    assert table.select("session", "aid").row(0) == (2**63 - 1, 2**63 - 1)
