"""Merging lists into a pool, what the pool is worth: all against plain loops.

pytest tests/test_pool.py
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.candidates import pool, pool_kernel
from src.candidates.pool import Pool
from src.candidates.recall import CUTS, CandidateRecall
from src.candidates.recall_kernel import concatenated
from src.candidates.rows import Baseline, HistoryRetriever, Seeds
from src.data import shards
from src.data.recipe import Recipe
from src.data.schemas import LABELS, LISTS
from src.datasets import RECIPES

FIRST, END, SIZE, ITEMS = 10, 34, 25, 60
RULES = ("own", "near", "knn", "popular")
RECIPE = replace(
    RECIPES["otto"], rules=tuple(HistoryRetriever(r, Seeds()) for r in RULES), features=(), k=3,
    baselines=(Baseline("one", ("knn",)), Baseline("three", ("near", "popular", "own"))),
)  # fmt: skip
MRR = replace(RECIPE, metric="mrr")

Ranked = dict[int, dict[int, list[int]]]  # rule -> session -> items, best first


@pytest.fixture(scope="module")
def ranked() -> Ranked:
    """Lists of four rules for 24 sessions; one session has none, some are short."""
    rng = np.random.default_rng(2)
    sizes = {(r, s): int(rng.integers(16)) * (s != 20) for r in range(4) for s in range(FIRST, END)}
    items = {at: rng.permutation(ITEMS)[:n].tolist() for at, n in sizes.items()}
    return {r: {s: items[r, s] for s in range(FIRST, END)} for r in range(4)}


def table(ranked: Ranked) -> pl.DataFrame:
    rows = [
        (s, r, rank, item, 1.0 / (r + rank + 2))
        for s in range(FIRST, END) for r in ranked for rank, item in enumerate(ranked[r][s])
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=LISTS, orient="row")


@pytest.fixture(scope="module")
def labels() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    rows = rng.integers(0, [END + 5, 3, ITEMS], (500, 3))
    return pl.DataFrame(sorted(set(map(tuple, rows.tolist()))), schema=LABELS, orient="row")


def plain_pool(ranked: Ranked, session: int, size: int) -> list[tuple[int, float]]:
    votes: dict[int, float] = defaultdict(float)
    for r in ranked:
        for rank, item in enumerate(ranked[r][session]):
            votes[item] += 1 / (10 + rank)
    pairs = [(item, np.float32(vote)) for item, vote in votes.items()]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:size]


def merged(ranked: Ranked, first: int = FIRST, end: int = END, size: int = SIZE) -> Pool:
    return pool.merge(table(ranked), len(RULES), first, end, size)


def test_fused_votes_by_hand() -> None:
    rank, item = np.array([0, 1, 2, 0, 5], np.uint8), np.array([7, 8, 9, 9, 4], np.int32)
    best, vote = pool_kernel.fuse(np.array([0, 4, 4, 5]), rank, item, 2)
    assert best.tolist() == [[9, 7], [-1, -1], [4, -1]]
    wanted = [[1 / 12 + 1 / 10, 1 / 10], [0, 0], [1 / 15, 0]]
    np.testing.assert_allclose(vote, wanted, rtol=1e-6)


@pytest.mark.parametrize("size", [1, SIZE, 150])
def test_merge(ranked: Ranked, size: int) -> None:
    made = merged(ranked, size=size)
    wanted = {s: plain_pool(ranked, s, size) for s in range(FIRST, END)}
    assert np.diff(made.offsets).tolist() == [len(p) for p in wanted.values()]
    assert max(np.diff(made.offsets)) == min(size, 37) and wanted[20] == []
    rows = [(s, item, vote) for s, p in wanted.items() for item, vote in p]
    assert [*zip(made.session.tolist(), made.item.tolist(), made.vote, strict=True)] == rows
    for i, (session, item, _) in enumerate(rows):
        for r in range(4):
            items = ranked[r][session]
            at = items.index(item) if item in items else 255
            assert made.ranks[i, r] == at
            assert made.scores[i, r] == (0 if at == 255 else np.float32(1 / (r + at + 2)))


def test_block_borders_do_not_matter(ranked: Ranked, tmp_path: Path) -> None:
    rules, whole = list(RULES), merged(ranked)
    parts = [merged(ranked, *part) for part in shards.blocks(FIRST, END, 11)]
    assert shards.blocks(FIRST, END, 11) == [(10, 21), (21, 32), (32, 34)]
    assert pl.concat(p.to_frame(rules) for p in parts).equals(whole.to_frame(rules))
    whole.to_frame(rules).write_parquet(tmp_path / "pool")
    again = Pool.load(tmp_path / "pool", rules, FIRST, END)
    for name in ("offsets", "item", "vote", "ranks", "scores"):
        one, two = getattr(whole, name), getattr(again, name)
        assert one.dtype == two.dtype and one.tobytes() == two.tobytes()


# --- coverage


def coverage(recipe: Recipe, ranked: Ranked, labels: pl.DataFrame) -> CandidateRecall:
    made, lists = CandidateRecall(recipe, labels), table(ranked)
    for part in shards.blocks(FIRST, END, 11):
        block = lists.filter(pl.col("session").is_between(part[0], part[1] - 1))
        made.add(block, pool.candidates(block, *part, SIZE)[:2], *part)
    return made


def ground_truth(labels: pl.DataFrame, objective: int) -> dict[int, set[int]]:
    true: dict[int, set[int]] = defaultdict(set)
    for session, o, item in labels.iter_rows():
        if o == objective:
            true[session].add(item)
    return true


def recall(labels: pl.DataFrame, o: int, lists: dict[int, list[int]], cap: int) -> float:
    true = ground_truth(labels, o)
    hits = sum(min(cap, len(t & set(lists.get(s, [])))) for s, t in true.items())
    return float(Fraction(hits, sum(min(cap, len(t)) for t in true.values())))


@pytest.mark.parametrize(("recipe", "cap"), [(RECIPE, 3), (MRR, 1)])
def test_coverage_of_rules_and_pool(
    recipe: Recipe, cap: int, ranked: Ranked, labels: pl.DataFrame
) -> None:
    made, queries = coverage(recipe, ranked, labels), range(FIRST, END)
    rules, pools = made.rules_table(), made.pool_table()
    assert rules["rule"].to_list() == list(RULES)
    sorted_pool = {s: [a for a, _ in plain_pool(ranked, s, SIZE)] for s in queries}
    union = {s: [a for r in ranked for a in ranked[r][s]] for s in queries}
    for o, objective in enumerate(recipe.objectives):
        for r in range(4):
            lists = {
                "@3": {s: ranked[r][s][:3] for s in queries},
                "list": ranked[r],
                "only": {s: [a for a in ranked[r][s] if union[s].count(a) == 1] for s in queries},
            }
            for name, items in lists.items():
                assert rules[f"{objective.name} {name}"][r] == recall(labels, o, items, cap)
        cuts = [{s: p[:c] for s, p in sorted_pool.items()} for c in CUTS]
        wanted = [recall(labels, o, items, cap) for items in (*cuts, sorted_pool, union)]
        assert pools[objective.name].to_list() == wanted
    assert made.pool_rows == sum(map(len, sorted_pool.values()))


def test_concatenated_lists_and_baselines(ranked: Ranked, labels: pl.DataFrame) -> None:
    joined = {
        s: list(dict.fromkeys(ranked[1][s] + ranked[3][s] + ranked[0][s]))
        for s in range(FIRST, END)
    }
    session, rule, item = (table(ranked)[c].to_numpy() for c in ("session", "rule", "item"))
    offsets = np.searchsorted(session, np.arange(FIRST, END + 1))
    for row, items in zip(
        concatenated(offsets, rule, item, np.array([1, 3, 0]), 30), joined.values(), strict=True
    ):
        assert row.tolist() == [*items, *[-1] * 30][:30]
    found = coverage(RECIPE, ranked, labels).baselines_table()
    in_blocks = labels.filter(pl.col("session").is_between(FIRST, END - 1))
    for row, lists in zip(found.iter_rows(named=True), (ranked[2], joined), strict=True):
        first3 = {s: items[:3] for s, items in lists.items()}
        scores = [recall(in_blocks, o, first3, 3) for o in range(3)]
        assert [row[o.name] for o in RECIPE.objectives] == scores
        assert row["total"] == pytest.approx(np.dot(scores, [0.1, 0.3, 0.6]))
        assert row["low"] < row["total"] < row["high"]


def test_blocks_come_in_turn_and_end_with_the_first_error() -> None:
    begun: list[int] = []

    def make(part: tuple[int, int]) -> int:
        begun.append(part[0])
        time.sleep(0.02 * (part[0] == 0))  # the second is done before the first
        if part[0] == 3:
            raise ValueError("no room")
        return part[1]

    blocks = [(i, i + 1) for i in range(9)]
    assert list(shards.in_turn(make, blocks[:3])) == [1, 2, 3]
    assert list(shards.in_turn(make, [])) == []
    begun.clear()
    found = shards.in_turn(make, blocks)
    assert [next(found) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="no room"):
        next(found)
    assert sorted(begun) == [0, 1, 2, 3, 4]
