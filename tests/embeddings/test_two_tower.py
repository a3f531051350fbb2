"""The two-tower net: windows against plain loops, planted worlds, and the search behind its lists.

pytest tests/test_sequence.py
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np
import polars as pl
import pytest
import torch
from planted import planted_events, sessions_of
from worlds import ROOT

from src.candidates.pool import Pool
from src.candidates.rows import TwoTowerRetriever
from src.candidates.rules import World, lists_of
from src.core import nearest as search
from src.core.early_stopping import best, finished
from src.data.schemas import EVENTS
from src.data.sessions import Sessions
from src.datasets import RECIPES
from src.embeddings import two_tower_trainer as sequence
from src.embeddings import vectors as embeddings
from src.embeddings.rows import TwoTowerEmbedding
from src.embeddings.two_tower_batches import (
    GAPS,
    Negatives,
    Targets,
    Windows,
    bucket,
    epoch_batches,
    split_positions,
)
from src.features.rows import TwoTowerFeature
from src.features.table import Features

RING = 30  # items of the planted world
CLICK, BUY = 0, 1
ROW = TwoTowerEmbedding("net", size=16, last=4, ahead=1, negatives=16, batch=128, epochs=12, rate=0.02,
                  patience=12)  # fmt: skip


def ring(n_sessions: int = 260, length: int = 12, seed: int = 1) -> Sessions:
    """A click goes to the next item, a buy to the one after; which of them, nobody can know."""
    rng = np.random.default_rng(seed)
    rows = []
    for session in range(n_sessions):
        state, ts = int(rng.integers(RING)), 1_660_000_000 + int(rng.integers(10**6))
        for _ in range(length):
            kind = int(rng.integers(2))
            state, ts = (state + 1 + kind) % RING, ts + int(rng.integers(100))
            rows.append((session, state, ts, kind))
    events = pl.DataFrame(rows, schema=EVENTS, orient="row")
    return Sessions.from_events(events, n_sessions, RING + 1, n_sessions - 40)


@pytest.fixture(scope="module")
def planted() -> Sessions:
    return sessions_of(planted_events(), 260)


def trained(sessions: Sessions, row: TwoTowerEmbedding, tmp_path: Path, stop_after: int = 0, seed: int = 3
            ) -> tuple[np.ndarray, np.ndarray, list]:  # fmt: skip
    """Item vectors, query vectors and log; killed, and gone on with, after some epochs."""
    file = tmp_path / "state"
    with sequence.training(sessions, row, 3, seed, "cpu") as trainer:
        while not trainer.done:
            trainer.epoch()
            if len(trainer.log) == stop_after:
                trainer.save(file)
                break
        if not stop_after:
            trainer.query_vectors([CLICK, BUY], tmp_path / "q.npy")
            return trainer.item_vectors(), np.load(tmp_path / "q.npy"), trainer.log
    with sequence.training(sessions, row, 3, seed, "cpu") as trainer:
        trainer.load(file)
        while not trainer.done:
            trainer.epoch()
        trainer.query_vectors([CLICK, BUY], tmp_path / "q.npy")
        return trainer.item_vectors(), np.load(tmp_path / "q.npy"), trainer.log


# --- windows


@pytest.mark.parametrize("last", [1, 5])
def test_windows(planted: Sessions, last: int) -> None:
    s, position = planted, np.arange(planted.item.size)[::7]
    w = Windows.of(s, position, last)
    for i, p in enumerate(position):
        begin = max(b for b in s.offsets if b <= p)
        mine = range(p, max(begin - 1, p - last), -1)  # newest first
        pad = [0] * (last - len(mine))
        assert w.item[i].tolist() == [s.item[j] for j in mine] + [-1] * len(pad)
        assert w.kind[i].tolist() == [s.type[j] for j in mine] + pad
        ago = [int(s.ts[p] - s.ts[j]) for j in mine]
        assert w.ago[i].tolist() == [min(x.bit_length(), GAPS - 1) for x in ago] + pad
        step = [0, *(b - a for a, b in pairwise(ago))]
        assert w.step[i].tolist() == [min(x.bit_length(), GAPS - 1) for x in step] + pad
        assert w.hour[i] == s.ts[p] // 3600 % 24


def test_a_window_does_not_see_what_follows(planted: Sessions) -> None:
    s = planted
    position = (s.offsets[:-1] + s.offsets[1:]) // 2  # and behind them, all is different
    later = np.arange(s.item.size) > np.repeat(position, np.diff(s.offsets))
    other = replace(s, item=s.item + 1 * later, type=s.type + 1 * later, ts=s.ts + 99 * later)
    for name in ("item", "kind", "ago", "step", "hour"):
        one, two = (getattr(Windows.of(of, position, 5), name) for of in (s, other))
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("ahead", [1, 4])
def test_targets(planted: Sessions, ahead: int) -> None:
    s = planted
    position = split_positions(s, ROW, 1)[0][::5]
    t = Targets.of(s, position, ahead)
    found = list(zip(t.position[t.row], t.type[t.row], t.item, t.weight, strict=True))
    wanted = []
    for i, p in enumerate(position):
        places = range(p + 1, min(p + 1 + ahead, min(b for b in s.offsets if b > p)))
        wanted += [(i, s.type[j], s.item[j], np.float32(1 / len(places))) for j in places]
    assert found == wanted
    assert len(set(zip(t.position, t.type, strict=True))) == t.position.size


def test_buckets() -> None:
    assert bucket(np.array([-5, 0, 1, 2, 3, 4, 2**40])).tolist() == [0, 0, 1, 2, 2, 3, GAPS - 1]


def test_positions(planted: Sessions) -> None:
    s = planted
    last = set((s.offsets[1:] - 1).tolist())
    learned, held = split_positions(s, ROW, 1)
    owner = np.repeat(np.arange(s.n_sessions), np.diff(s.offsets))
    assert not set(owner[learned]) & set(owner[held]) and len(set(owner[held])) == held.size > 5
    assert not last & {*learned.tolist(), *held.tolist()}
    rest = set(range(s.item.size)) - last - set(learned.tolist())
    assert set(owner[sorted(rest)]) == set(owner[held])
    few = split_positions(s, replace(ROW, last_days=2.0), 1)[0]
    old = s.ts[few] <= s.ts.max() - 2 * 86400
    assert (owner[few][old] >= s.first_query).all() and old.any() and not old.all()
    again = np.concatenate(epoch_batches(learned, ROW, 1, 0))
    assert sorted(again) == learned.tolist() and again.tolist() != learned.tolist()
    some = np.concatenate(epoch_batches(learned, replace(ROW, positions=100), 1, 0))
    assert 80 < np.unique(some).size == some.size <= 100


def test_negatives(planted: Sessions) -> None:
    row = replace(ROW, negatives=40, popularity=0.75)
    negatives, rng = Negatives(planted, row), np.random.default_rng(1)
    draws = [negatives.draw(rng) for _ in range(3000)]
    often = np.bincount(np.concatenate([items for items, _ in draws]), minlength=planted.n_items)
    chance = np.zeros(planted.n_items)
    for items, log_chance in draws:
        chance[items] = np.exp(log_chance)
    np.testing.assert_allclose(often / 3000, chance, atol=0.05)
    everything, certain = Negatives(planted, replace(row, negatives=200)).draw(rng)
    assert everything.tolist() == np.unique(planted.item).tolist() and not certain.any()


# --- learning


@pytest.mark.parametrize(("negatives", "hardest"), [(100, None), (12, None), (100, 5), (12, 99)])
def test_the_loss_is_a_softmax_over_the_drawn_items(negatives: int, hardest: int | None) -> None:
    """A drawn item counts for all that it stands for; a row's own targets are not its rivals."""
    s = ring(60)
    row = replace(ROW, negatives=negatives, hardest=hardest, dropout=0.0, ahead=2)
    position = split_positions(s, row, 1)[0][::9]
    t = Targets.of(s, position, row.ahead)
    with sequence.training(s, row, 3, 1, "cpu") as trainer:
        drawn, log_chance = trainer.negatives.draw(np.random.default_rng(1))
        items = trainer.item_vectors().astype(np.float64)
        session = trainer._sessions(position)[torch.from_numpy(t.position)]
        query = trainer.state.net.query(session, torch.from_numpy(t.type)).detach().double()
        score = np.exp(query.numpy() @ items.T / row.temperature)
        loss = trainer._learn(position, np.random.default_rng(1), rate=0.0)
    assert drawn.size == RING if negatives == 100 else drawn.size < 13
    stands_for = dict(zip(drawn.tolist(), np.exp(-log_chance.astype(np.float64)), strict=True))
    wanted = 0.0
    for r, y, weight in zip(t.row, t.item, t.weight, strict=True):
        rivals = set(stands_for) - set(t.item[t.row == r].tolist())
        rest = sum(sorted(stands_for[i] * score[r, i] for i in rivals)[::-1][:hardest])
        wanted -= weight * np.log(score[r, y] / (score[r, y] + rest))
    assert loss == pytest.approx(wanted / position.size, rel=1e-4)


@pytest.mark.parametrize("cells", [1, 500, 2**21])
def test_ranks(monkeypatch: pytest.MonkeyPatch, planted: Sessions, cells: int) -> None:
    """How many items that occur are nearer than the true one, in blocks of whatever size."""
    monkeypatch.setattr(sequence, "CELLS", cells)
    rng = np.random.default_rng(1)
    seen = np.unique(planted.item)
    truth = rng.choice(seen, 50)
    query = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(50, 16)))).float()
    with sequence.training(planted, ROW, 3, 1, "cpu") as trainer:
        found = trainer._ranks(query, torch.from_numpy(truth).long())
        score = query.numpy() @ trainer.item_vectors().T
    nearer = score > score[range(50), truth][:, None]
    assert found.tolist() == nearer[:, seen].sum(axis=1).tolist()
    assert found.max() > seen.size / 2 and found.min() < 9


@pytest.mark.parametrize("encoder", ["pool", "gru", "lags"])
def test_the_wanted_type_decides(tmp_path: Path, encoder: str) -> None:
    s = ring()
    items, queries, log = trained(s, replace(ROW, encoder=encoder), tmp_path)
    last = s.item[s.offsets[s.first_query + 1 :] - 1]
    for kind, query in enumerate(queries):
        best = (query @ items.T).argmax(axis=1)
        assert (best == (last + 1 + kind) % RING).mean() > 0.9
    assert log[-1]["loss"] < log[0]["loss"] and log[-1]["recall@20"] == 1.0
    np.testing.assert_allclose(np.linalg.norm(queries, axis=2), 1, rtol=1e-5)
    lengths = np.linalg.norm(items, axis=1)
    np.testing.assert_allclose(lengths, [1] * RING + [0], rtol=1e-5)  # the last item never occurs


def test_an_item_alone_asks_as_a_session_of_it_does(tmp_path: Path) -> None:
    """In log-odds; and its likeliest neighbour is what comes next."""
    s = ring()
    with sequence.training(s, ROW, 3, 3, "cpu") as trainer:
        while not trainer.done:
            trainer.epoch()
        alone, items = trainer.queries_alone(CLICK), trainer.item_vectors()
    events = [(i, i, 12 * 3600 + i, CLICK) for i in range(RING)]  # a session each, at noon
    each = Sessions.from_events(
        pl.DataFrame(events, schema=EVENTS, orient="row"), RING, RING + 1, 0
    )
    with sequence.training(each, ROW, 3, 3, "cpu") as other:
        other.state = trainer.state
        other.query_vectors([CLICK], tmp_path / "q.npy")
    wanted = np.load(tmp_path / "q.npy")[0] / ROW.temperature
    np.testing.assert_allclose(alone[:RING], wanted, rtol=1e-4, atol=1e-5)
    near = embeddings.likely(alone, items, 1, np.bincount(s.item, minlength=RING + 1))
    assert (near.item == (np.arange(RING) + 1) % RING).mean() > 0.9


def test_same_seed_same_bytes_and_kills_do_not_matter(tmp_path: Path) -> None:
    s, row = ring(80), replace(ROW, epochs=4, negatives=12, ahead=3)
    one = trained(s, row, tmp_path)
    for other in (trained(s, row, tmp_path), trained(s, row, tmp_path, stop_after=2)):
        assert all(a.tobytes() == b.tobytes() for a, b in zip(one[:2], other[:2], strict=True))
        assert one[2] == other[2]
    assert trained(s, row, tmp_path, seed=4)[0].tobytes() != one[0].tobytes()


def test_it_stops_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    s = ring(60)
    row = replace(ROW, epochs=9, patience=2, rate=1e-9)  # nothing changes, so nothing helps
    items, _, log = trained(s, row, tmp_path)
    assert [line["epoch"] for line in log] == [0, 1, 2]
    lines = [{"epoch": e, "recall@20": r} for e, r in enumerate((0.1, 0.4, 0.4, 0.3))]
    assert best(lines) is lines[2]  # the last one of the best
    assert not finished(lines[:2], row) and not finished(lines[2:], row)
    assert finished(lines, row) and finished(lines, replace(row, epochs=4, patience=9))
    learned = trained(s, replace(ROW, epochs=6, patience=9), tmp_path)
    kept = int(best(learned[2])["epoch"]) + 1
    some = trained(s, replace(ROW, epochs=6, patience=9), tmp_path, stop_after=kept)
    assert some[0].tobytes() == learned[0].tobytes() != items.tobytes()


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    events = pl.DataFrame([(0, 1, 5, 0), (1, 2, 6, 0)], schema=EVENTS, orient="row")
    items, queries, log = trained(Sessions.from_events(events, 2, 4, 1), ROW, tmp_path)
    assert log == [] and queries.shape == (2, 1, 16) and items.any(axis=1).tolist() == [0, 1, 1, 0]


def test_only_training_loads_torch() -> None:
    code = "import sys, src.features.table, src.candidates.rules, src.candidates.lists, src.rankers.score, src.embeddings.train; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# --- search, lists, features


def plain_nearest(queries: np.ndarray, items: np.ndarray, top: int) -> list[list[int]]:
    return [
        sorted(range(len(items)), key=lambda i: (-np.float32(q @ items[i]), i))[:top]
        for q in queries
    ]


@pytest.mark.parametrize(("top", "blocks"), [(1, (3, 7)), (5, (300, 8)), (40, (2, 1000))])
def test_search(monkeypatch: pytest.MonkeyPatch, top: int, blocks: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    ties = (rng.integers(0, 3, (37, 4)) - 1.0).astype(np.float32)  # exact sums, full of ties
    queries, items = ties[:11], ties[5:]
    index, score = search.nearest(queries, items, top)
    assert index[:, : len(items)].tolist() == plain_nearest(queries, items, top)
    assert (index[:, len(items) :] == -1).all() and (score[:, len(items) :] == 0).all()
    vectors = rng.normal(size=(700, 19)).astype(np.float32)
    whole = search.nearest(vectors[:50], vectors, top)
    monkeypatch.setattr(search, "QUERIES", blocks[0])
    monkeypatch.setattr(search, "ITEMS", blocks[1])
    numba.set_num_threads(1)
    parts = search.nearest(vectors[:50], vectors, top)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(whole, parts, strict=True))
    alone = [search.nearest(vectors[q : q + 1], vectors, top)[0][0].tolist() for q in range(50)]
    assert whole[0].tolist() == alone == plain_nearest(vectors[:50], vectors, top)


def test_frequent() -> None:
    assert search.frequent(np.array([2, 0, 5, 2, 5]), 3).tolist() == [0, 2, 4]
    assert search.frequent(np.array([2, 0, 5]), 9).tolist() == [0, 2]


@pytest.fixture
def retrieval(tmp_path: Path) -> tuple[World, np.ndarray, np.ndarray]:
    """A split with vectors of items and queries, out of the blue; item 8 never occurs."""
    rng = np.random.default_rng(5)
    events = [(s, int(rng.integers(8)), 100 * s, 0) for s in range(20) for _ in range(2)]
    (tmp_path / "valid").mkdir()
    frame = pl.DataFrame(events, schema=EVENTS, orient="row")
    frame.write_parquet(tmp_path / "valid" / "events.parquet")
    sessions = pl.DataFrame({"session": range(20), "query": [False] * 14 + [True] * 6})
    sessions.write_parquet(tmp_path / "valid" / "sessions.parquet")
    pl.DataFrame({"item_id": range(9)}).write_parquet(tmp_path / "items.parquet")
    items, queries = (rng.normal(size=s).astype(np.float32) for s in ((9, 5), (3, 6, 5)))
    np.save(tmp_path / "net.npy", items)
    np.save(tmp_path / "net.queries.npy", queries)
    return World(tmp_path, "valid", lambda name: tmp_path / f"{name}.parquet"), items, queries


@pytest.mark.parametrize(("among", "top"), [(100, 4), (5, 5), (5, 30)])
def test_lists(retrieval: tuple[World, np.ndarray, np.ndarray], among: int, top: int) -> None:
    world, items, queries = retrieval
    count = np.bincount(world.sessions.item, minlength=9)
    known = sorted(sorted(range(8), key=lambda i: (-count[i], i))[:among])
    rule = TwoTowerRetriever("r", "net", objective=2, among=among, top=top)
    item, score = lists_of(world, rule, 15, 19)
    near = plain_nearest(queries[2, 1:5], items[known], top)
    assert item[:, : len(known)].tolist() == [[known[i] for i in row] for row in near]
    assert (item[:, len(known) :] == -1).all() and item.dtype == np.int32
    wanted = [
        [q @ items[known[i]] for i in row] for q, row in zip(queries[2, 1:5], near, strict=True)
    ]
    np.testing.assert_allclose(score[:, : len(known)], wanted, rtol=1e-5)


def test_feature(retrieval: tuple[World, np.ndarray, np.ndarray]) -> None:
    world, items, queries = retrieval
    recipe = replace(
        RECIPES["otto"], rules=RECIPES["otto"].rules[:1], baselines=(),
        embeddings=(TwoTowerEmbedding("net"),), features=(TwoTowerFeature("net"),),
    )  # fmt: skip
    starts, item = np.array([0, 3, 3, 8]), np.array([1, 8, 3, 0, 1, 2, 3, 4], np.int32)
    none = np.full((8, 1), 255, np.uint8), np.zeros((8, 1), np.float32)
    made = Features(recipe)
    X = made.compute(world, Pool(15, starts, item, none[1][:, 0], *none))
    for o, name in enumerate(("net_clicks", "net_carts", "net_orders")):
        cosine = [queries[o, q - 14] @ items[y]
                  for q, y in zip([15] * 3 + [17] * 5, item, strict=True)]  # fmt: skip
        np.testing.assert_allclose(X[:, made.names.index(name)], cosine, rtol=1e-5)
        rank = [sum(v > cosine[i] for v in mine) for i, mine in
                enumerate([cosine[:3]] * 3 + [cosine[3:]] * 5)]  # fmt: skip
        assert X[:, made.names.index(f"{name}_rank")].tolist() == rank


@pytest.mark.parametrize(
    "change",
    [
        {"rules": (TwoTowerRetriever("r", "w2v", 0),)},
        {"rules": (TwoTowerRetriever("r", "net", 3),)},
        {"features": (TwoTowerFeature("other"),)},
    ],
)
def test_a_recipe_that_asks_for_what_is_not_there(change: dict) -> None:
    with pytest.raises(ValueError, match=r"no two-tower model|no objective"):
        replace(RECIPES["otto"], baselines=(), **change)


def test_rows_that_make_no_sense() -> None:
    for wrong in (
        {"encoder": "lstm"},
        {"ahead": 0},
        {"hardest": 0},
        {"temperature": 0.0},
        {"dropout": 1.0},
    ):
        with pytest.raises(ValueError, match="embedding x"):
            TwoTowerEmbedding("x", **wrong)
