"""Merging lists into a pool, what the pool is worth, and the blend: all against plain loops.

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

from src.blend import search as blend
from src.blend.search import Option, Scored, Search, final_lists
from src.candidates import pool, pool_kernel
from src.candidates.pool import Pool
from src.candidates.recall import CUTS, CandidateRecall
from src.candidates.recall_kernel import concatenated
from src.candidates.rows import Baseline, HistoryRetriever, Seeds
from src.data import shards
from src.data.recipe import Recipe
from src.data.schemas import LABELS, LISTS
from src.datasets import RECIPES
from src.metrics import ranking_kernel
from src.metrics import scores as metrics

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


# --- blend


def scored(rng: np.random.Generator, members: int = 2, queries: int = 10) -> Scored:
    """Queries of up to 12 candidates, scores full of ties."""
    sizes = rng.integers(1, 13, queries)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    item = np.concatenate([rng.permutation(20)[:n] for n in sizes]).astype(np.int32)
    scores = [rng.integers(0, 4, item.size).astype(np.float32) for _ in range(members)]
    return Scored(np.arange(5, 5 + queries, dtype=np.int32), starts, item, scores)


def plain_order(s: Scored, q: int, score: np.ndarray) -> list[int]:
    return sorted(range(s.starts[q], s.starts[q + 1]), key=lambda r: (-score[r], s.item[r]))


def stored(folder: Path, blocks: list[Scored], names: list[str]) -> list[Path]:
    """Score files of some blocks."""
    files = [folder / f"scores-{n}.parquet" for n in range(len(blocks))]
    for s, file in zip(blocks, files, strict=True):
        session = np.repeat(s.session, np.diff(s.starts))
        columns = dict(zip(names, s.scores, strict=True))
        pl.DataFrame({"session": session, "item": s.item} | columns).write_parquet(file)
    return files


def test_blend_kernels() -> None:
    rng = np.random.default_rng(4)
    s, k = scored(rng), 5
    ranks, shares = s.votes["rank"][0], s.votes["softmax"][0]
    rows = ranking_kernel.top_rows(s.starts, s.item, s.scores[0], k)
    label = rng.random(s.item.size) < 0.3
    won = [ranking_kernel.gains(rows, label, reciprocal) for reciprocal in (False, True)]
    for q in range(10):
        order = plain_order(s, q, s.scores[0])
        assert rows[q].tolist() == (order + [-1] * k)[:k]
        assert [ranks[r] for r in order] == [np.float32(1 / (10 + i)) for i in range(len(order))]
        power = np.exp(s.scores[0][order].astype(float))
        assert shares[order] == pytest.approx(power / power.sum())
        at = [i for i, r in enumerate(order[:k]) if label[r]]
        assert won[0][q] == len(at) and won[1][q] == (1 / (1 + at[0]) if at else 0.0)


@pytest.mark.parametrize("recipe", [RECIPE, MRR])
def test_search_scores_as_the_metric_does(recipe: Recipe, tmp_path: Path) -> None:
    rng, names = np.random.default_rng(5), ["a", "b"]
    whole = scored(rng)
    cut, at = 4, whole.starts[4]  # the same in two blocks
    blocks = [
        Scored(whole.session[:cut], whole.starts[: cut + 1], whole.item[:at],
               [s[:at] for s in whole.scores]),
        Scored(whole.session[cut:], whole.starts[cut:] - at, whole.item[at:],
               [s[at:] for s in whole.scores]),
    ]  # fmt: skip
    files = stored(tmp_path, blocks, names)
    item = [1, 2, *whole.item[:3], *whole.item[30:32], 4]
    truth = pl.DataFrame({"session": [3, 5, 5, 5, 5, 9, 12, 30], "item": item})
    truth = truth.unique(maintain_order=True).cast(pl.Int32)
    search = Search(recipe, files, names, truth, np.zeros(40, np.int64))
    for option in (Option("rank", (10, 0)), Option("rank", (3, 7)), Option("softmax", (6, 4))):
        session, lists = final_lists(files, names, option, None, 3)
        votes = whole.votes[option.space]
        blended = votes[0] * option.weights[0] + votes[1] * option.weights[1]
        plain = [
            [int(whole.item[r]) for r in plain_order(whole, q, blended)[:3]] for q in range(10)
        ]
        assert [[x for x in row if x >= 0] for row in lists.tolist()] == plain
        query, rank = np.nonzero(lists >= 0)
        frame = pl.DataFrame({"session": session[query], "item": lists[query, rank], "rank": rank})
        wanted = metrics.tally(frame.lazy(), truth.lazy(), recipe.metric, 3)
        found = search.tally(option)
        assert found.session.tolist() == wanted.session.tolist()
        assert found.hits == pytest.approx(wanted.hits) and sum(found.hits) > 0
        assert found.chances.tolist() == wanted.chances.tolist()


def test_options() -> None:
    assert blend.options(1) == [Option("rank", (10,))]
    two = blend.options(2)
    assert two[0] == Option("rank", (5, 5)), "all alike, unless others are better"
    assert two[1:3] == [Option("rank", (0, 10)), Option("rank", (10, 0))]
    assert len(two) == len(set(two)) == 2 + 9 + 9 + 1 and two[-1] == Option("stack", ())
    three = blend.options(3)
    assert three[0] == Option("rank", (3, 3, 3)) and len(three) == 1 + 3 + 2 * 63 + 1


EVERY = np.arange(len(blend.options(2)))


def test_a_fold_is_scored_under_the_option_that_the_others_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the first member is right in fold 0 only, the second in fold 1 only: who looks at the own
    # fold hits everything, who looks at the other fold nothing; ties go to the smaller, wrong, item
    starts, item = np.arange(0, 9, 2), np.array([1, 2] * 4, np.int32)
    first = np.array([1, 2, 1, 2, 2, 1, 2, 1], np.float32)
    s = Scored(np.arange(4, dtype=np.int32), starts, item, [first, 3 - first])
    truth = pl.DataFrame({"session": [0, 1, 2, 3], "item": [2, 2, 2, 2]}).cast(pl.Int32)
    recipe, fold = replace(RECIPE, k=1, folds=2), np.array([0, 0, 1, 1])
    search = Search(recipe, stored(tmp_path, [s], ["a", "b"]), ["a", "b"], truth, fold)
    assert search.cross_fitted()[1] == Option("rank", (5, 5))  # nothing gains for certain
    monkeypatch.setattr(search, "best", lambda mask: search.options[search._first(EVERY, mask)])
    tally, _ = search.cross_fitted()
    assert tally.hits.tolist() == [0, 0, 0, 0] and tally.chances.tolist() == [1, 1, 1, 1]
    assert search.tally(Option("rank", (10, 0))).hits.tolist() == [1, 1, 0, 0]
    assert search.reachable == 1.0


def members(rng: np.random.Generator, n: int, noise: list[float]) -> tuple[Scored, pl.DataFrame]:
    """Queries with 6 candidates, of which one is true; what each member sees of it, with noise."""
    true = rng.integers(0, 6, n)
    seen = np.where(np.arange(6) == true[:, None], 1.0, 0.0).ravel()
    scores = [(seen + rng.normal(0, s, seen.size)).astype(np.float32) for s in noise]
    starts, item = np.arange(0, 6 * n + 1, 6), np.tile(np.arange(6, dtype=np.int32), n)
    truth = pl.DataFrame({"session": np.arange(n), "item": true}).cast(pl.Int32)
    return Scored(np.arange(n, dtype=np.int32), starts, item, scores), truth


@pytest.mark.parametrize("seed", [0, 2, 5])
def test_a_member_of_noise_is_not_kept(seed: int, tmp_path: Path) -> None:
    names, fold = ["a", "good", "b"], np.arange(1500) % 4
    s, truth = members(np.random.default_rng(seed), 1500, [9.0, 1.0, 9.0])
    search = Search(replace(RECIPE, k=1), stored(tmp_path, [s], names), names, truth, fold)
    tally, option = search.cross_fitted()
    assert option == Option("rank", (0, 10, 0))
    assert tally.hits.tolist() == search.tally(option).hits.tolist()
    assert search.hits.sum(axis=1).max() > tally.hits.sum()  # of so many ways one is lucky


def test_members_that_help_each_other_are_kept(tmp_path: Path) -> None:
    names, fold = ["a", "b", "noise"], np.arange(3000) % 4
    s, truth = members(np.random.default_rng(7), 3000, [0.6, 0.6, 9.0])
    search = Search(replace(RECIPE, k=1), stored(tmp_path, [s], names), names, truth, fold)
    tally, option = search.cross_fitted()
    assert min(option.weights[:2]) > 0 == option.weights[2]
    assert tally.score() > search.tally(Option("rank", (10, 0, 0))).score() + 0.05


def test_stacking_learns_from_the_other_folds_only(tmp_path: Path) -> None:
    # the score says who is right, in fold 1 the other way round
    rng, n = np.random.default_rng(6), 400
    good = rng.random(2 * n).astype(np.float32)
    starts, item = np.arange(0, 2 * n + 1, 2), np.tile(np.array([1, 2], np.int32), n)
    fold = np.arange(n) % 2
    right = (good[1::2] > good[::2]) ^ (fold == 1)  # is item 2 the truth
    truth = pl.DataFrame({"session": np.arange(n), "item": 1 + right}).cast(pl.Int32)
    noise = rng.random(2 * n).astype(np.float32)
    s = Scored(np.arange(n, dtype=np.int32), starts, item, [good, noise])
    recipe = replace(RECIPE, k=1, folds=2)
    search = Search(recipe, stored(tmp_path, [s], ["a", "b"]), ["a", "b"], truth, fold)
    assert search.tally(Option("stack", ())).score() < 0.1
    assert search.stack[0][0] < 0 < search.stack[1][0] and -1 in search.stack


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
