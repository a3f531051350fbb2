"""Recall of retrievers, pool and baselines against fractions by plain loops.

pytest tests/candidates/test_recall.py
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from math import log2
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE
from test_pool import END, FIRST, ITEMS, NAMES, SIZE, Ranked, listed, plain_pool
from test_pool import ranked as ranked

from src.candidates import pool
from src.candidates.base import Baseline
from src.candidates.history import HistoryRetriever
from src.candidates.recall import CUTS, HIT_CUTS, CandidateRecall
from src.candidates.recall_kernel import concatenated
from src.candidates.seeds import Seeds
from src.data import shards
from src.data.recipe import Recipe
from src.data.schemas import LABELS
from src.data.shards import Shard
from src.metrics.mrr import MRR
from src.metrics.ndcg import NDCG
from src.metrics.recall import Recall

RECIPE = replace(
    BARE, metric=Recall(3), retrievers=tuple(HistoryRetriever(r, Seeds()) for r in NAMES),
    baselines=(Baseline("one", ("knn",)), Baseline("three", ("near", "popular", "own"))),
)  # fmt: skip


@pytest.fixture(scope="module")
def labels() -> pl.DataFrame:
    """Judged items, a third of them of grade 0, which is no positive."""
    rng = np.random.default_rng(3)
    rows = rng.integers(0, [END + 5, 3, ITEMS], (500, 3))
    judged = [(*row, float(rng.integers(3))) for row in sorted(set(map(tuple, rows.tolist())))]
    return pl.DataFrame(judged, schema=LABELS, orient="row")


def measured(recipe: Recipe, ranked: Ranked, labels: pl.DataFrame, folder: Path) -> CandidateRecall:
    made = CandidateRecall(recipe, recipe.retrievers, labels)
    for number, block in enumerate(shards.batches(FIRST, END, 11)):
        shard = Shard(number, *block)
        lists = listed(ranked, folder, shard)
        made.add(lists, pool.top_candidates(lists, SIZE), shard)
    return made


def ground_truth(labels: pl.DataFrame, objective: int) -> dict[int, set[int]]:
    true: dict[int, set[int]] = defaultdict(set)
    for session, o, item, grade in labels.iter_rows():
        if o == objective and grade > 0:
            true[session].add(item)
    return true


def recall(labels: pl.DataFrame, o: int, lists: dict[int, list[int]], cap: int) -> float:
    true = ground_truth(labels, o)
    hits = sum(min(cap, len(t & set(lists.get(s, [])))) for s, t in true.items())
    return float(Fraction(hits, sum(min(cap, len(t)) for t in true.values())))


@pytest.mark.parametrize(("recipe", "cap"), [(RECIPE, 3), (replace(RECIPE, metric=MRR(3)), 1)])
def test_recall_of_retrievers_and_pool(
    recipe: Recipe, cap: int, ranked: Ranked, labels: pl.DataFrame, tmp_path: Path
) -> None:
    made, queries = measured(recipe, ranked, labels, tmp_path), range(FIRST, END)
    retrievers, pools = made.retrievers_table(), made.pool_table()
    assert retrievers["retriever"].to_list() == list(NAMES)
    sorted_pool = {s: [a for a, _ in plain_pool(ranked, s, SIZE)] for s in queries}
    union = {s: [a for r in ranked for a in ranked[r][s]] for s in queries}
    for o, objective in enumerate(recipe.objectives):
        for r in range(4):
            alone = {s: [a for a in ranked[r][s] if union[s].count(a) == 1] for s in queries}
            lists = {
                "recall_3": {s: ranked[r][s][:3] for s in queries},
                "recall": ranked[r],
                "unique_recall": alone,
            }
            for name, items in lists.items():
                found = retrievers[f"{objective.name}_{name}"][r]
                assert found == recall(labels, o, items, cap)
        cuts = [{s: p[:c] for s, p in sorted_pool.items()} for c in CUTS]
        wanted = [recall(labels, o, items, cap) for items in (*cuts, sorted_pool, union)]
        assert pools[objective.name].to_list() == wanted
    assert made.candidates == sum(map(len, sorted_pool.values()))


def test_what_is_not_listed_is_not_found_by_a_metric_of_many_items(
    ranked: Ranked, labels: pl.DataFrame, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, metric=Recall(2000))  # more than a rank can tell
    table = measured(recipe, ranked, labels, tmp_path).retrievers_table()
    assert table["clicks_recall_2000"].equals(table["clicks_recall"])
    assert table["clicks_recall"].max() < 1


def test_queries_with_a_hit_among_the_first_items(
    ranked: Ranked, labels: pl.DataFrame, tmp_path: Path
) -> None:
    rows = measured(RECIPE, ranked, labels, tmp_path).hits_table().rows(named=True)
    keys = [(r, o.name) for r in NAMES for o in RECIPE.objectives]
    assert [(row["retriever"], row["objective"]) for row in rows] == keys
    for row, (r, o) in zip(rows, [(r, o) for r in range(4) for o in range(3)], strict=True):
        true = ground_truth(labels, o)
        assert row["queries"] == len(true)
        for cut in HIT_CUTS:
            hits = sum(1 for s, items in true.items() if items & set(ranked[r].get(s, [])[:cut]))
            assert row[f"hits_{cut}"] == hits
            assert row[f"hit_rate_{cut}"] == float(Fraction(hits, len(true)))
    assert any(row["hits_5"] < row["hits_10"] < row["hits_50"] for row in rows)


def test_concatenated_lists_and_baselines(
    ranked: Ranked, labels: pl.DataFrame, tmp_path: Path
) -> None:
    joined = {
        s: list(dict.fromkeys(ranked[1][s] + ranked[3][s] + ranked[0][s]))
        for s in range(FIRST, END)
    }
    lists = listed(ranked, tmp_path)
    first = concatenated(lists.offsets, lists.retriever, lists.item, np.array([1, 3, 0]), 30)
    for row, items in zip(first, joined.values(), strict=True):
        assert row.tolist() == [*items, *[-1] * 30][:30]
    found = measured(RECIPE, ranked, labels, tmp_path).baselines_table()
    in_shards = labels.filter(pl.col("session").is_between(FIRST, END - 1))
    for row, lists_of in zip(found.iter_rows(named=True), (ranked[2], joined), strict=True):
        first3 = {s: items[:3] for s, items in lists_of.items()}
        scores = [recall(in_shards, o, first3, 3) for o in range(3)]
        assert [row[o.name] for o in RECIPE.objectives] == scores
        assert row["total"] == pytest.approx(np.dot(scores, [0.1, 0.3, 0.6]))
        assert row["low"] < row["total"] < row["high"]


def test_without_a_baseline_the_table_has_its_header(
    ranked: Ranked, labels: pl.DataFrame, tmp_path: Path
) -> None:
    none = replace(RECIPE, baselines=())
    measured(none, ranked, labels, tmp_path).baselines_table().write_csv(tmp_path / "table.csv")
    table = pl.read_csv(tmp_path / "table.csv")
    assert table.columns == ["baseline", "clicks", "carts", "orders", "total", "low", "high"]
    assert table.is_empty()


def test_baselines_are_scored_by_grades(
    ranked: Ranked, labels: pl.DataFrame, tmp_path: Path
) -> None:
    """By NDCG: a query whose judged items all have grade 0 counts 0."""
    graded = replace(RECIPE, metric=NDCG(3), baselines=RECIPE.baselines[:1])
    found = measured(graded, ranked, labels, tmp_path).baselines_table()
    in_shards = labels.filter(pl.col("session").is_between(FIRST, END - 1))
    for o, objective in enumerate(RECIPE.objectives):
        values = []
        for (session,), judged in in_shards.filter(objective=o).group_by("session"):
            grades = dict(judged.select("item", "grade").iter_rows())
            listed = [grades.get(item, 0) for item in ranked[2][session][:3]]
            best = dcg(sorted(grades.values(), reverse=True)[:3])
            values.append(dcg(listed) / best if best else 0)
        assert 0 in values and found[objective.name][0] == pytest.approx(np.mean(values))


def dcg(grades: list[float]) -> float:
    return sum((2**grade - 1) / log2(2 + rank) for rank, grade in enumerate(grades))
