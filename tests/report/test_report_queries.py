"""The sampled and browsed queries of the page, against the files of a tiny run.

pytest tests/report/test_report_queries.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from report_page import data_of
from tiny import RECIPE
from worlds import TYPES

from src.blend.blend import RANK, SOFTMAX, STACK, Blend
from src.blend.final_blend import FinalBlend
from src.blend.scored_candidates import final_list
from src.blend.search import BlendSearch
from src.data.folds import folds
from src.data.shards import shard_files
from src.report import breakdowns, browse, sample
from src.report.contents import Contents

pytestmark = pytest.mark.slow


def item_ids(out: Path) -> list[str]:
    return pl.read_parquet(out / "items.parquet")["item_id"].cast(pl.String).to_list()


def session_ids(out: Path) -> list[str]:
    """Raw ids of the dense sessions of valid, as text."""
    raw = pl.read_parquet(out / "valid" / "sessions.parquet")["session"]
    return raw.cast(pl.String).to_list()


def test_a_browsed_query_ranks_as_step_7_does(contents: Contents) -> None:
    out = contents.run.output
    items, raw = item_ids(out), session_ids(out)
    queries = {q["id"]: q for q in data_of(out)["queries"]}
    assert len(queries) == browse.QUERIES
    files = shard_files(contents.run, "valid", "scores")
    for o, (name, final) in enumerate(contents.blends.items()):
        columns = [row.score_column(name) for row in RECIPE.rankers]
        found = final_list(files, columns, final.blend, final.stack, RECIPE.k)
        sessions, lists = found.session, found.first(RECIPE.k)
        checked = 0
        for session, best in zip(sessions, lists, strict=True):
            if query := queries.get(raw[session]):
                ranked = sorted(query["rows"], key=lambda row: row[3][o])[: RECIPE.k]
                assert [row[0] for row in ranked] == [items[i] for i in best if i >= 0]
                assert [row[3][o] for row in ranked] == list(range(len(ranked)))
                checked += 1
        assert checked == len(queries)


WEIGHTS = np.array([0.5, 0.1, 0.2, 3.0, 30.0, 10.0])


@pytest.mark.parametrize(
    ("blend", "stack"),
    [
        (Blend(RANK, (5, 3, 2)), None),
        (Blend(SOFTMAX, (0, 8, 2)), None),
        (Blend(STACK, ()), WEIGHTS),
    ],
)
def test_ranks_are_those_of_every_blend(
    contents: Contents, blend: Blend, stack: np.ndarray | None
) -> None:
    files = shard_files(contents.run, "valid", "scores")
    final = FinalBlend("carts", RECIPE.rankers, blend, stack)
    found = final_list(files, final.columns, blend, stack, RECIPE.k)
    sessions, lists = found.session, found.first(RECIPE.k)
    rows = sample.with_ranks(pl.concat(map(pl.read_parquet, files)), {"carts": final})
    first = rows.filter(pl.col("final_rank_carts") < RECIPE.k).sort("session", "final_rank_carts")
    for session, items in zip(sessions, lists, strict=True):
        best = first.filter(session=session)["item"].to_list()
        assert best == [item for item in items if item >= 0]


def test_hits_are_marked_and_misses_named(contents: Contents) -> None:
    out = contents.run.output
    items, raw = item_ids(out), session_ids(out)
    wanted: dict[str, set[tuple[str, int]]] = {}
    for session, o, item, _ in pl.read_parquet(out / "valid" / "labels.parquet").iter_rows():
        wanted.setdefault(raw[session], set()).add((items[item], o))
    kinds = set()
    for query in data_of(out)["queries"]:
        assert {(item, o) for item, o, _, _ in query["positives"]} == wanted[query["id"]]
        rows = {row[0]: row for row in query["rows"]}
        marked = {(item, o) for item, row in rows.items() for o in row[5]}
        for item, o, pool_rank, rank in query["positives"]:
            assert (rank is None) == (pool_rank is None) == ((item, o) not in marked)
            if rank is not None:
                assert (rows[item][1], rows[item][3][o]) == (pool_rank, rank)
            kinds.add(None if rank is None else rank < RECIPE.k)
        assert len(marked) == sum(rank is not None for *_, rank in query["positives"])
    assert kinds == {None, True, False}, "the sample has hits, misses, and items never proposed"


def test_a_candidate_names_the_retrievers_that_proposed_it(contents: Contents) -> None:
    out = contents.run.output
    items, raw = item_ids(out), session_ids(out)
    names = [row.name for row in RECIPE.retrievers]
    wanted: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for number, name in enumerate(names):
        file = out / "valid" / "candidates" / name / "part-0000.parquet"
        lists = pl.read_parquet(file).select("session", "rank", "item")
        for session, rank, item in lists.iter_rows():
            wanted.setdefault((raw[session], items[item]), set()).add((number, rank))
    data = data_of(out)
    assert data["retrievers"] == names
    for query in data["queries"]:
        for item, _, lists_of_item, *_ in query["rows"]:
            assert {tuple(pair) for pair in lists_of_item} == wanted[query["id"], item]
            assert [rank for _, rank in lists_of_item] == sorted(r for _, r in lists_of_item)


def test_the_history_is_what_the_session_shows(contents: Contents) -> None:
    out = contents.run.output
    events, raw = pl.read_parquet(out / "valid" / "events.parquet"), session_ids(out)
    sizes = {raw[s]: n for s, n in events.group_by("session").len().iter_rows()}
    for query in data_of(out)["queries"]:
        assert len(query["history"]) == min(sizes[query["id"]], browse.HISTORY)


def test_recall_after_reranking_is_the_score_of_the_final_order(contents: Contents) -> None:
    run = contents.run
    curves = breakdowns.recall_curves(contents.sample.positives, list(TYPES), RECIPE.k, RECIPE.k)
    pool = pl.read_csv(run.output / "logs" / "pool" / "pool.csv")
    labels = pl.read_parquet(run.output / "valid" / "labels.parquet")
    files, fold = shard_files(run, "valid", "scores"), folds(run, "valid")
    for o, (name, final) in enumerate(contents.blends.items()):
        truth = labels.filter(objective=o)
        if final.stack is None:  # a stacked score is out of fold, the final order is not
            search = BlendSearch(RECIPE, files, final.columns, truth, fold)
            reranked = curves.filter(first=RECIPE.k)[f"{name}_reranked"].item()
            assert reranked == pytest.approx(search.query_scores(final.blend).score())
        for cut in (20, 50, 100, 150):
            kept = pool.filter(pool=f"first {cut}")[name].item()
            assert curves.filter(first=cut)[f"{name}_pool"].item() == pytest.approx(kept, abs=1e-6)


def test_breakdowns_count_every_positive_once(contents: Contents) -> None:
    positives, k = contents.sample.positives, RECIPE.k
    labels = pl.read_parquet(contents.run.output / "valid" / "labels.parquet")
    assert positives.height == labels.height
    assert contents.sample.queries.height == contents.sample.n_queries == 217
    for by in breakdowns.BREAKDOWNS:
        table = breakdowns.break_down(positives, by, k)
        assert table["positives"].sum() == positives.height
        hits = (table["positives"] * table[f"in_first_{k}"]).sum()
        assert hits == pytest.approx((positives["rank"] < k).sum())


@pytest.mark.parametrize(
    ("value", "bin_"),
    [
        (None, "not yet"),
        (-1, "not yet"),
        (0, "<1 h"),
        (3599, "<1 h"),
        (3600, "<1 d"),
        (7 * 86400, "7 d+"),
    ],
)
def test_bins(value: int | None, bin_: str) -> None:
    columns = {"objective": [0], "pool_rank": [3], "rank": [2], "item_age": [value]}
    positives = pl.DataFrame(columns, schema_overrides={"item_age": pl.Int32})
    table = breakdowns.break_down(positives, breakdowns.AGE, 5)
    assert table["item_age"].to_list() == [bin_]


def test_a_query_without_an_event_asks_at_the_end_of_the_split() -> None:
    events = pl.DataFrame({"session": [1, 1, 2], "item": [3, 4, 5], "ts": [10, 1000, 5000]})
    rows = {
        "session": [0, 1, 0, 1],
        "objective": 0,
        "item": [3, 3, 9, 5],
        "pool_rank": 1,
        "rank": 1,
    }
    visible = events.filter(session=1)
    found = sample.with_statistics(pl.DataFrame(rows), events.lazy(), visible)
    assert found["item_age"].to_list() == [4990, 990, None, -4000]
    assert found["session_events"].to_list() == [0, 2, 0, 2]
