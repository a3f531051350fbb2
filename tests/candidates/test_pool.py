"""Lists and the pool against plain loops; a retriever's files depend on its own row only.

pytest tests/candidates/test_pool.py
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE, planted_split, run_in
from stored_pools import write_stored

from src.candidates import pool, pool_kernel
from src.candidates.base import MAX_LENGTH
from src.candidates.history import HistoryRetriever
from src.candidates.lists import (
    CandidateLists,
    read_candidates,
    retrievers_of_step,
    rounded,
    shard_candidates,
    to_frame,
    write_candidates,
)
from src.candidates.pool import Pool, StoredPool, files_of_pool
from src.candidates.pool_kernel import ABSENT
from src.candidates.popular import PopularRetriever
from src.candidates.recall_kernel import ranks_in_lists
from src.candidates.seeds import Seeds
from src.data import shards
from src.data.schemas import CANDIDATES
from src.data.shards import Shard
from src.data.split_data import SplitData

FIRST, END, SIZE, ITEMS = 10, 34, 25, 60
NAMES = ("own", "near", "knn", "popular")
SHARD = Shard(0, FIRST, END)

Ranked = dict[int, dict[int, list[int]]]  # retriever -> session -> items, best first


@pytest.fixture(scope="module")
def ranked() -> Ranked:
    """Lists of four retrievers for 24 sessions; one session has none, some are short."""
    rng = np.random.default_rng(2)
    sizes = {(r, s): int(rng.integers(16)) * (s != 20) for r in range(4) for s in range(FIRST, END)}
    items = {at: rng.permutation(ITEMS)[:n].tolist() for at, n in sizes.items()}
    return {r: {s: items[r, s] for s in range(FIRST, END)} for r in range(4)}


def listed(ranked: Ranked, folder: Path, shard: Shard = SHARD) -> CandidateLists:
    """The lists, written to files as retrievers do and read again."""
    files = []
    for r, lists in ranked.items():
        rows = [
            (s, rank, item, 1.0 / (r + rank + 2))
            for s in range(shard.first, shard.end)
            for rank, item in enumerate(lists[s])
        ]
        files.append(folder / f"{r}-{shard.first}.parquet")
        pl.DataFrame(rows, schema=CANDIDATES, orient="row").write_parquet(files[-1])
    return read_candidates(files, shard)


def plain_pool(ranked: Ranked, session: int, size: int) -> list[tuple[int, float]]:
    votes: dict[int, float] = defaultdict(float)
    for r in ranked:
        for rank, item in enumerate(ranked[r][session]):
            votes[item] += 1 / (10 + rank)
    pairs = [(item, np.float32(vote)) for item, vote in votes.items()]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:size]


def test_rrf_by_hand() -> None:
    rank, item = np.array([0, 1, 2, 0, 5], np.uint16), np.array([7, 8, 9, 9, 4], np.int32)
    best, score = pool_kernel.rrf(np.array([0, 4, 4, 5]), rank, item, 2)
    assert best.tolist() == [[9, 7], [-1, -1], [4, -1]]
    wanted = [[1 / 12 + 1 / 10, 1 / 10], [0, 0], [1 / 15, 0]]
    np.testing.assert_allclose(score, wanted, rtol=1e-6)


def test_lists_are_read_query_by_query(ranked: Ranked, tmp_path: Path) -> None:
    lists = listed(ranked, tmp_path)
    session = np.repeat(np.arange(FIRST, END), np.diff(lists.offsets))
    found = [*zip(session.tolist(), lists.retriever.tolist(), lists.rank.tolist(),
                  lists.item.tolist(), strict=True)]  # fmt: skip
    wanted = [(s, r, rank, item) for s in range(FIRST, END) for r in ranked
              for rank, item in enumerate(ranked[r][s])]  # fmt: skip
    assert found == wanted
    assert lists.score.tolist() == [np.float32(1 / (r + rank + 2)) for _, r, rank, _ in wanted]
    assert read_candidates([], SHARD).offsets.tolist() == [0] * (END - FIRST + 1)


@pytest.mark.parametrize("size", [1, SIZE, 150])
def test_merge(ranked: Ranked, size: int, tmp_path: Path) -> None:
    made = pool.merge(listed(ranked, tmp_path), len(NAMES), FIRST, size)
    wanted = {s: plain_pool(ranked, s, size) for s in range(FIRST, END)}
    assert np.diff(made.offsets).tolist() == [len(p) for p in wanted.values()]
    assert max(np.diff(made.offsets)) == min(size, 37) and wanted[20] == []
    rows = [(s, item, score) for s, p in wanted.items() for item, score in p]
    assert [*zip(made.session.tolist(), made.item.tolist(), made.rrf_score, strict=True)] == rows
    for i, (session, item, _) in enumerate(rows):
        for r in range(4):
            items = ranked[r][session]
            at = items.index(item) if item in items else ABSENT
            assert made.ranks[i, r] == at
            assert made.scores[i, r] == (0 if at == ABSENT else np.float32(1 / (r + at + 2)))


def test_the_ranks_of_the_longest_list_are_kept(tmp_path: Path) -> None:
    """Written, read, merged, and found again by the recall."""
    n = MAX_LENGTH
    item = np.arange(n, dtype=np.int32)[None]
    to_frame((item, 1 / (1 + item).astype(np.float32)), 0).write_parquet(tmp_path / "long.parquet")
    lists = read_candidates([tmp_path / "long.parquet"], Shard(0, 0, 1))
    made = pool.merge(lists, 2, 0, n + 1)
    assert made.ranks.tolist() == [[rank, ABSENT] for rank in range(n)]
    found = ranks_in_lists(
        np.zeros(n + 1, np.int32), np.arange(n + 1, dtype=np.int32), lists.offsets,
        lists.retriever, lists.rank, lists.item, 2,
    )  # fmt: skip
    assert found.tolist() == [*([rank, ABSENT] for rank in range(n)), [ABSENT, ABSENT]]


def test_borders_of_shards_do_not_matter(ranked: Ranked, tmp_path: Path) -> None:
    blocks = shards.batches(FIRST, END, 11)
    assert blocks == [(10, 21), (21, 32), (32, 34)]
    one = pool.merge(listed(ranked, tmp_path), 4, FIRST, SIZE)
    parts = [Shard(n, *block) for n, block in enumerate(blocks)]
    many = [pool.merge(listed(ranked, tmp_path, s), 4, s.first, SIZE) for s in parts]
    assert pl.concat(p.to_frame() for p in many).equals(one.to_frame())
    assert np.concatenate([p.ranks for p in many]).tobytes() == one.ranks.tobytes()
    assert np.concatenate([p.scores for p in many]).tobytes() == one.scores.tobytes()


def test_a_stored_pool_has_the_ranks_of_its_lists(ranked: Ranked, tmp_path: Path) -> None:
    """Whole, and in batches of queries."""
    one = pool.merge(listed(ranked, tmp_path), 4, FIRST, SIZE)
    rows = tuple(HistoryRetriever(name, Seeds()) for name in NAMES)
    run = run_in(tmp_path, replace(BARE, retrievers=rows))
    write_stored(run, one)
    file, *_ = files_of_pool(run, "valid", SHARD)
    assert pl.read_parquet_schema(file).names() == ["session", "item", "rrf_score"]
    same(one, Pool.load(run, "valid", SHARD))
    stored = StoredPool.read(run, "valid", SHARD)
    for first, end in shards.batches(0, END - FIRST, 5):
        same(one.batch(first, end), stored.batch(first, end))


def test_a_pool_is_not_read_with_later_lists(tmp_path: Path) -> None:
    recipe = replace(BARE, retrievers=(OWN,))
    data = planted_split(tmp_path, recipe)
    step_3(data)
    StoredPool.read(data.run, "valid", shards.shards(data.run, "valid")[0])
    later = SplitData(run_in(tmp_path, replace(recipe, retrievers=(replace(OWN, top=9),))), "valid")
    write_candidates(later, later.run.recipe.retrievers[0])
    with pytest.raises(ValueError, match=r"pool/part-0000.parquet is older than .*/own/part-0000"):
        StoredPool.read(later.run, "valid", shards.shards(data.run, "valid")[0])


def test_scores_are_rounded_to_16_bits(tmp_path: Path) -> None:
    """In the files of lists, too."""
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=10_000) * 10.0 ** rng.integers(-20, 20, 10_000)
    score = np.append(wanted, [0, 1, 3, 65_535, -7]).astype(np.float32)
    found = rounded(score)
    assert found.dtype == np.float32 and found[-5:].tolist() == score[-5:].tolist()
    assert np.all(np.abs(found - score) <= np.abs(score) * 2.0**-16)
    assert not (found.view(np.uint32) & 0xFF).any()
    assert rounded(np.array([3, 2])).tolist() == [3, 2], "whatever the dtype"
    row = HistoryRetriever("own", Seeds(decay=0.9))
    data = planted_split(tmp_path, replace(BARE, retrievers=(row,)))
    write_candidates(data, row)
    file = shard_candidates(data.run, "valid", [row], shards.shards(data.run, "valid")[0])[0]
    of_file = pl.read_parquet(file)["score"].to_numpy()
    assert of_file.size and not (of_file.view(np.uint32) & 0xFF).any()


def same(one: Pool, two: Pool) -> None:
    assert one.first == two.first
    for name in ("offsets", "item", "rrf_score", "ranks", "scores"):
        a, b = getattr(one, name), getattr(two, name)
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes()


def test_batches_and_kept_queries_of_a_pool(ranked: Ranked, tmp_path: Path) -> None:
    whole = pool.merge(listed(ranked, tmp_path), 4, FIRST, SIZE)
    some = whole.batch(3, 7)
    assert some.first == FIRST + 3 and some.n_queries == 4 and some.end == FIRST + 7
    mine = (whole.session >= FIRST + 3) & (whole.session < FIRST + 7)
    assert some.item.tolist() == whole.item[mine].tolist()
    wanted = np.arange(END - FIRST) % 2 == 0
    kept = whole.keep(wanted)
    assert (np.diff(kept.offsets)[~wanted] == 0).all() and kept.first == FIRST
    assert kept.item.tolist() == whole.item[(whole.session - FIRST) % 2 == 0].tolist()


def test_top_lists_as_a_table() -> None:
    item = np.array([[4, 2, -1], [-1, -1, -1], [7, -1, -1]], np.int32)
    score = np.array([[2, 1, 0], [0, 0, 0], [3, 0, 0]], np.float32)
    table = to_frame((item, score), 5)
    assert table.schema == CANDIDATES
    assert table.rows() == [(5, 0, 4, 2.0), (5, 1, 2, 1.0), (7, 0, 7, 3.0)]


OWN = HistoryRetriever("own", Seeds(), top=20)
HOUR = PopularRetriever("hour", window_s=3600, bucket_s=300)


def step_3(data: SplitData) -> dict[str, int]:
    """Write all lists and the pool; how many files of each had to be built."""
    rows = retrievers_of_step(data.run, embeddings=False)
    built = {row.name: write_candidates(data, row)["built"] for row in rows}
    return built | {"pool": pool.write_pool(data)["built"]}


def test_a_new_retriever_costs_its_own_lists_and_what_stands_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "QUERIES_PER_SHARD", 15)
    recipe = replace(BARE, retrievers=(OWN,))
    data = planted_split(tmp_path, recipe)
    assert step_3(data) == {"own": 3, "pool": 3}
    assert step_3(data) == {"own": 0, "pool": 0}
    more = SplitData(run_in(tmp_path, replace(recipe, retrievers=(HOUR, OWN))), "valid")
    assert step_3(more) == {"hour": 3, "own": 0, "pool": 3}, "in front of the others, too"
    less = SplitData(run_in(tmp_path, recipe), "valid")
    assert step_3(less) == {"own": 0, "pool": 3}


def test_lists_do_not_depend_on_the_memory_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = HistoryRetriever("own", Seeds())
    one, two = (planted_split(tmp_path / name, replace(BARE, retrievers=(row,))) for name in "ab")
    write_candidates(one, row)
    monkeypatch.setattr("src.candidates.lists.MIN_QUERIES", 7)
    small = replace(two.run, budget=replace(two.run.budget, memory=1 << 20))
    write_candidates(SplitData(small, "valid"), row)
    (shard,) = shards.shards(one.run, "valid")
    a, b = (shard_candidates(d.run, "valid", [row], shard)[0].read_bytes() for d in (one, two))
    assert a == b
