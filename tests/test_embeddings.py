"""Nearest neighbours: items by their vectors, sessions by what they share.

pytest tests/test_embeddings.py
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import COMMUNITIES, N_ITEMS, PER_COMMUNITY, planted_events, sessions_of
from test_rules import DAY, KNN, Scores, check, history, lists, planted_world, small_world
from worlds import ROOT

from src.candidates.rows import SessionKnnRetriever
from src.candidates.rules import World
from src.core import arrays, store
from src.core import nearest as search
from src.core.budget import Budget
from src.core.engine import resolve
from src.core.run import Run
from src.data import events_kernel
from src.data.shards import load_split
from src.datasets import RECIPES
from src.embeddings import train as learned
from src.embeddings import vectors as embeddings
from src.embeddings.rows import (
    Embedding,
    FactorizationEmbedding,
    PretrainedEmbedding,
    TwoTowerEmbedding,
    Word2VecEmbedding,
)
from src.matrices.neighbours import Neighbours

A, B, C, D = range(4)  # items
COMMUNITY = np.arange(N_ITEMS) // PER_COMMUNITY
ROW = Word2VecEmbedding("w2v", size=16, window=5, epochs=10)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return planted_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def vectors() -> tuple[np.ndarray, np.ndarray]:
    """Of items as given words, and as those around them."""
    return embeddings.word2vec(sessions_of(planted_events()), ROW, seed=3)


def write_split(folder: Path, split: str, events: pl.DataFrame) -> None:
    """A split as step 1 leaves it; its last ten sessions are the queries."""
    session = np.arange(int(events["session"].max()) + 1)  # type: ignore[operator]
    sessions = pl.DataFrame({"session": session, "query": session >= session.size - 10})
    for name, table in (("events", events), ("sessions", sessions)):
        store.build(folder / split / f"{name}.parquet", {}, table.write_parquet)


def step_4(folder: Path, row: Embedding) -> Run:
    """A run of step 4 with one row, on planted sessions."""
    write_split(folder, "valid", planted_events(60))
    store.build(
        folder / "items.parquet", {}, pl.DataFrame({"item_id": range(N_ITEMS)}).write_parquet
    )
    (folder / "splits.json").write_text('["valid"]')
    otto = RECIPES["otto"]
    recipe = replace(otto, embeddings=(row,), rules=otto.rules[:1], baselines=(), features=())
    budget, script = Budget(1 << 30, folder), ROOT / "4_embeddings.py"
    return Run(recipe, folder, folder, resolve("cpu"), budget, 1.0, script)


def plain_knn(world: World, rule: SessionKnnRetriever, query: int) -> Scores:
    sessions = [history(world, s) for s in range(world.n_sessions)]
    newest = sorted(range(len(sessions)), key=lambda s: (-sessions[s][-1][1], s))
    items = [{e[0] for e in events} for events in sessions]
    holders = {y: [s for s in newest if y in items[s]] for y in range(N_ITEMS)}
    mine = [e[0] for e in sessions[query]]
    loud: Scores = {}
    for i, x in enumerate(mine):  # the latest event of an item counts
        back = len(mine) - 1 - i
        loud[x] = math.exp(-back / rule.query_decay) if rule.query_decay else (i + 1) / len(mine)
    alike: Scores = defaultdict(float)
    for x in dict.fromkeys(reversed(mine)):
        for s in holders[x][: rule.sample]:
            alike[s] += loud[x]
    alike.pop(query, None)
    for s in alike:
        alike[s] /= math.sqrt(len(sessions[s]) * len(mine))
        if rule.recency_days:
            days = abs(sessions[query][-1][1] - sessions[s][-1][1]) / DAY
            alike[s] *= math.exp(-days / rule.recency_days)
    scores: Scores = defaultdict(float)
    for s in sorted(alike, key=lambda s: (-np.float32(alike[s]), -s))[: rule.neighbours]:
        theirs = [e[0] for e in sessions[s]]
        shared = max(range(len(theirs)), key=lambda i: (loud.get(theirs[i], 0.0), i))
        best: Scores = defaultdict(float)
        for i, y in enumerate(theirs):
            idf = math.log(len(sessions) / len(holders[y])) if rule.idf else 1.0
            near = math.exp(-abs(i - shared) / rule.item_decay) if rule.item_decay else 1.0
            best[y] = max(best[y], alike[s] * idf * (near if near >= 1e-3 else 0.0))
        for y, score in best.items():
            scores[y] += score
    return scores


@pytest.mark.parametrize("rule", KNN, ids=lambda r: r.name)
def test_knn_lists(world: World, rule: SessionKnnRetriever) -> None:
    wanted = [plain_knn(world, rule, q) for q in range(world.first_query, world.n_sessions, 2)]
    item, score = lists(world, rule)
    check((item[::2], score[::2]), wanted, rule.top)


def test_a_query_is_not_its_own_neighbour(tmp_path: Path) -> None:
    mine = [(A, 10, 0), (B, 20, 0)]
    world = small_world(tmp_path, [[(B, 0, 0), (C, 5, 0)], mine, [(D, 30, 0)]], 2)
    item, score = lists(world, SessionKnnRetriever("knn", top=3))
    # B, the query's last event, weighs 1; both sessions have two events
    assert item.tolist() == [[B, C, -1], [-1, -1, -1]]
    assert score[0].tolist() == [0.5, 0.5, 0.0]


def test_latest_sessions(tmp_path: Path) -> None:
    twice = [(A, 50, 0), (A, 50, 0)]
    world = small_world(tmp_path, [[(A, 1, 0), (B, 50, 0)], twice, [(A, 60, 1)], [(A, 1, 0)]], 1)
    s = world.sessions
    shapes = events_kernel.shapes(s.offsets, s.ts)
    starts, holders, count = events_kernel.latest_sessions(s.offsets, s.item, shapes, s.n_items, 3)
    assert count.tolist() == [4, 1, 0, 0, 0]
    assert starts.tolist() == [0, 3, 4, 4, 4, 4]
    # by last time, the earlier session first; once each
    assert holders[:, events_kernel.BEGIN].tolist() == s.offsets[[2, 0, 1, 0]].tolist()
    assert holders[:, events_kernel.SIZE].tolist() == [1, 2, 2, 2]
    assert holders[:, events_kernel.LAST].tolist() == [60, 50, 50, 50]


def plain_neighbours(
    sources: np.ndarray, targets: np.ndarray, n: int, loud: Callable[[int, float], float]
) -> dict[int, list[tuple[int, float]]]:
    """Pairs of item and score; `loud` makes it from a target and its product."""
    known = [x for x in range(len(targets)) if targets[x].any()]
    near = {}
    for x in known:
        weight = {y: loud(y, float(sources[x] @ targets[y])) for y in known if y != x}
        order = sorted(weight, key=lambda y: (-np.float32(weight[y]), y))
        near[x] = [(y, weight[y]) for y in order[:n]]
    return near


def as_lists(matrix: Neighbours) -> dict[int, list[tuple[int, float]]]:
    near = defaultdict(list)
    for x, y, weight in matrix.to_frame().iter_rows():
        near[x].append((y, weight))
    return dict(near)


@pytest.mark.parametrize("n", [1, 4, 7, 100])
@pytest.mark.parametrize("block", [3, 1024])
def test_neighbours(monkeypatch: pytest.MonkeyPatch, n: int, block: int) -> None:
    monkeypatch.setattr(search, "ITEMS", block)
    monkeypatch.setattr(embeddings, "SOURCES", block + 2)
    rng = np.random.default_rng(1)
    # halves: products are exact, and so full of ties, whatever the order of the sums
    sources, targets = (rng.integers(0, 2, (2, 30, 4)) - 0.5).astype(np.float32)
    targets[[0, 7, 29]] = 0.0
    for count in (np.ones(30, np.int64), rng.integers(1, 4, 30)):
        logs = np.log1p(count).astype(np.float32).tolist()
        more = (embeddings.POPULARITY_PRIOR * np.log(count)).tolist()
        found = as_lists(embeddings.alike(targets, n, count))
        plain = plain_neighbours(targets, targets, n, lambda y, dot, of=logs: dot * of[y])
        assert found == {x: [(y, max(w, 0.0)) for y, w in near] for x, near in plain.items()}
        found = as_lists(embeddings.likely(sources, targets, n, count))
        plain = plain_neighbours(sources, targets, n, lambda y, dot, of=more: dot + of[y])
        assert list(found) == list(plain)
        for x, near in plain.items():
            assert [y for y, _ in found[x]] == [y for y, _ in near]
            odds = [math.exp(w - near[0][1]) ** embeddings.INVERSE_TEMPERATURE for _, w in near]
            np.testing.assert_allclose([w for _, w in found[x]], odds, rtol=1e-5)


def test_only_frequent_items_are_neighbours() -> None:
    vectors, count = np.ones((5, 2), np.float32), np.array([3, 9, 1, 5, 5])
    found = as_lists(embeddings.likely(vectors, vectors, 9, count, among=2))
    assert {x: [y for y, _ in near] for x, near in found.items()} == {
        0: [1, 3], 1: [3], 2: [1, 3], 3: [1], 4: [1, 3]
    }  # fmt: skip


def test_neighbours_of_one_or_no_item() -> None:
    vectors = np.zeros((3, 2), np.float32)
    count = np.ones(3, np.int64)
    for value in (0.0, 1.0):
        vectors[1] = value
        for near in (embeddings.alike(vectors, 5, count),
                     embeddings.likely(vectors, vectors, 5, count)):  # fmt: skip
            assert near.offsets.tolist() == [0, 0, 0, 0] and near.weight.size == 0


@pytest.mark.parametrize("piece", [1, 2, 1000])
def test_piece_by_piece(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(embeddings, "SOURCES", piece)
    monkeypatch.setattr(arrays, "EVENTS", piece)
    found = embeddings.unit(np.array([[3, 4], [0, 0], [0, -2]], np.float32))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0], [0, -1]])
    item = np.array([4, 0, 4, 2, 4], np.int32)
    assert arrays.count_items(item, 6).tolist() == [1, 0, 1, 0, 3, 0]
    assert arrays.count_items(item[:0], 2).tolist() == [0, 0]


def test_word2vec_same_seed_same_vectors(vectors: tuple[np.ndarray, np.ndarray]) -> None:
    sessions, row = sessions_of(planted_events(60)), replace(ROW, epochs=1)
    one, same, other = (embeddings.word2vec(sessions, row, seed) for seed in (3, 3, 4))
    for side in range(2):
        assert one[side].tobytes() == same[side].tobytes() != other[side].tobytes()
        occurs = np.isin(np.arange(N_ITEMS), planted_events()["item"])
        assert not occurs[-1] and (vectors[side].any(axis=1) == occurs).all()


def test_all_splits_are_read_as_often_as_the_largest_may_be(tmp_path: Path) -> None:
    run = step_4(tmp_path, ROW)
    n = planted_events(60).height
    for split, sessions in (("valid", 60), ("earlier_1", 20)):
        write_split(tmp_path, split, planted_events(sessions))
    (tmp_path / "splits.json").write_text('["valid", "earlier_1"]')
    few, most = replace(ROW, epochs=9, words=3 * n - 1), replace(ROW, epochs=9, words=99 * n)
    assert [learned.epochs(run, row) for row in (few, most)] == [2, 9]
    assert learned.epochs(run, replace(few, words=1)) == 1
    learned.train(run, "earlier_1", few)
    given, _ = embeddings.word2vec(sessions_of(planted_events(20)), replace(ROW, epochs=2), 42)
    found = np.load(run.vectors("earlier_1", ROW.name))
    assert found.tobytes() == embeddings.unit(given).tobytes()


def test_word2vec_finds_the_communities(vectors: tuple[np.ndarray, np.ndarray]) -> None:
    given = embeddings.unit(vectors[0])
    cosine = given @ given.T
    same = COMMUNITY[:, None] == COMMUNITY
    np.fill_diagonal(same, False)
    for c in range(COMMUNITIES):
        mine = c == COMMUNITY
        away = mine[:, None] & (c != COMMUNITY) & (COMMUNITY < COMMUNITIES)
        assert cosine[same & mine].mean() > cosine[away].mean() + 0.2
    near = embeddings.likely(*vectors, 5, np.ones(N_ITEMS, np.int64)).to_frame()
    x, y = near["item_x"].to_numpy(), near["item_y"].to_numpy()
    assert (COMMUNITY[x] == COMMUNITY[y]).mean() > 0.9


def test_sources_are_those_of_the_row_that_has_the_name(tmp_path: Path) -> None:
    """What looks at others is learned as such; a row of one side leaves no other's sources."""
    directed = FactorizationEmbedding("w2v", size=16, epochs=2)
    one_sided = [TwoTowerEmbedding("w2v", size=16, negatives=64, epochs=1), ROW,
                 PretrainedEmbedding("w2v", "none.csv", "x")]  # fmt: skip
    for row in one_sided:
        run = step_4(tmp_path, directed)
        learned.train(run, "valid", directed)
        world = load_split(run, "valid")
        sources, vectors = world.sources("w2v"), world.vectors("w2v")
        assert (sources.any(axis=1) == vectors.any(axis=1)).all()
        assert not np.allclose(sources, vectors)
        learned.train(step_4(tmp_path, row), "valid", row)
        assert world.sources("w2v").tobytes() == world.vectors("w2v").tobytes()
        assert not list(run.sources("valid", "w2v").parent.glob("*.sources*"))


def test_content_vectors(tmp_path: Path) -> None:
    lines = ["id,e0,e1", "9,3.0,4.0", "5,1,0", "7,x,1", "8,0,2", "6,nan,1", "3,0.5"]  # cut off
    (tmp_path / "vectors.csv").write_text("\n".join(lines))
    item_ids = pl.Series([3, 5, 6, 7, 9, 11])
    found = embeddings.content(tmp_path / "vectors.csv", "id", item_ids)
    wanted = [[0, 0], [1, 0], [0, 0], [0, 0], [0.6, 0.8], [0, 0]]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    with pytest.raises(ValueError, match=r"vectors.csv, line 1: no column article_id"):
        embeddings.content(tmp_path / "vectors.csv", "article_id", item_ids)
