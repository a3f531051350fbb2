"""Matrices that are rebuilt: a query reads the one from before the day of its time.

pytest tests/matrices/test_rebuilds.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import (
    BARE,
    DAY,
    N_ITEMS,
    A,
    B,
    Events,
    planted_events,
    small_split,
    span_of,
    write_split,
)

from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.seeds import Seeds
from src.core.arrays import I32
from src.data.split_data import SplitData
from src.data.splits import MIN_GROWTH, all_splits, fitted_split, rebuilt_splits
from src.embeddings.word2vec import Word2VecEmbedding
from src.features.item_item import EmbeddingFeature, MatrixFeature
from src.matrices.agreement import AgreementMatrix
from src.matrices.build import build_group, groups
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.ease import EaseMatrix
from src.matrices.neighbours import all_neighbours, count_matrix_rows, matrix_rows
from src.matrices.self_merge import self_merge
from src.matrices.swing import SwingMatrix
from src.matrices.text import TextMatrix

HOUR = 3600
QUERIES = 8
NEAR = CovisitationMatrix("near", max_steps=2, top_n=15, rebuild="1d")
ROWS = (NEAR, replace(NEAR, name="often", rebuild="6h"))


def made(folder: Path, events: pl.DataFrame, *rows: CovisitationMatrix) -> SplitData:
    """A split with matrices as `--causal` has them."""
    recipe = replace(BARE, matrices=rows, as_deployed=True)
    data = write_split(folder, events, QUERIES, recipe=recipe)
    for group in groups(data):
        assert build_group(data, group) and not build_group(data, group), "up to date"
    return data


def near_of(data: SplitData, name: str, query: int) -> dict[int, list[tuple[int, float]]]:
    """Neighbours of all items, as the query reads them."""
    items: I32 = np.arange(data.n_items, dtype=np.int32)
    rows = matrix_rows(data, name, query, np.array([0, items.size]), items)
    near = all_neighbours(data, name)
    bounds = [(near.offsets[row], near.offsets[row + 1]) for row in rows]
    found = [list(zip(near.item[a:b].tolist(), near.weight[a:b].tolist(), strict=True))
             for a, b in bounds]  # fmt: skip
    return {item: pairs for item, pairs in enumerate(found) if pairs}


def plain(events: pl.DataFrame, row: CovisitationMatrix) -> dict[int, list[tuple[int, float]]]:
    near: dict[int, list[tuple[int, float]]] = {}
    if events.height:
        for x, y, weight in self_merge(events.lazy(), row, span_of(events)).collect().rows():
            near.setdefault(x, []).append((y, weight))
    return near


def share_of_new(events: pl.DataFrame, start: int, later: int) -> float:
    """Share of the events before `later` that are not before `start`."""
    before = events.filter(pl.col("ts") < later)["ts"]
    return float((before >= start).mean() or 0.0)


@pytest.mark.parametrize(("name", "period"), [("near", DAY), ("often", 6 * HOUR)])
def test_a_query_reads_the_events_before_its_period(tmp_path: Path, name: str, period: int) -> None:
    events = planted_events()
    data = made(tmp_path, events, *ROWS)
    starts = sorted(rebuilt_splits(data.run, "valid", period).values())
    times = events.group_by("session").agg(pl.col("ts").max()).sort("session")["ts"].to_list()
    seen = set()
    for query in range(data.first_query, data.n_sessions):
        begins = times[query] // period * period
        latest = max(start for start in starts if start <= begins)
        assert latest == begins or share_of_new(events, latest, begins) < MIN_GROWTH
        assert near_of(data, name, query) == plain(events.filter(pl.col("ts") < latest), NEAR)
        seen.add(latest)
    assert len(seen) >= 5, "days differ"


def test_histories_are_of_no_step_but_the_second(tmp_path: Path) -> None:
    data = made(tmp_path, planted_events(), NEAR)
    assert all_splits(data.run) == ["valid"] and fitted_split(data.run, "valid") == "valid"
    days = len(rebuilt_splits(data.run, "valid", NEAR.rebuild_s))
    assert count_matrix_rows(data.run, "valid", "near") == (1 + days) * N_ITEMS
    allowed = replace(data.run, recipe=replace(data.run.recipe, as_deployed=False))
    assert rebuilt_splits(allowed, "valid", NEAR.rebuild_s) == {}
    assert count_matrix_rows(allowed, "valid", "near") == N_ITEMS


def test_a_day_with_few_new_events_keeps_the_matrix_of_the_day_before(tmp_path: Path) -> None:
    first, second, third = (DAY * day + 10 for day in range(1, 4))
    events = [(n % 4, 5 + n // 4, 0) for n in range(400)]  # on day 0
    sessions: list[Events] = [events, *([(A, ts, 0)] for ts in (0, first, second, third))]
    sessions += [[(B, second + n, 0) for n in range(5)]]  # on day 2
    recipe = replace(BARE, matrices=(NEAR,), as_deployed=True)
    data = small_split(tmp_path, sessions, 5, recipe=recipe)
    starts = [*rebuilt_splits(data.run, "valid", DAY).values()]
    assert starts == [DAY, 3 * DAY], "one event is new on day 2, six of 408 on day 3"
    (group,) = groups(data)
    build_group(data, group)
    assert near_of(data, "near", 1) == {}, "on day 0 nothing is known"
    days = [near_of(data, "near", query) for query in (2, 3, 4)]
    assert days[0] and days[0] == days[1] == days[2]


def test_a_log_of_one_day_has_an_empty_matrix(tmp_path: Path) -> None:
    recipe = replace(BARE, matrices=(NEAR,), as_deployed=True)
    sessions: list[Events] = [[(A, 5, 0), (B, 9, 0)], [(A, 7, 0), (B, 8, 0)]]
    data = small_split(tmp_path, sessions, 1, recipe=recipe)
    (group,) = groups(data)
    assert build_group(data, group) and not rebuilt_splits(data.run, "valid", DAY)
    assert near_of(data, "near", 1) == {}, "nothing was there before the day"


def test_every_kind_checks_its_period() -> None:
    for row in (AgreementMatrix("like"), SwingMatrix("swing"), EaseMatrix("ease")):
        with pytest.raises(ValueError, match="rebuild is a number of days or hours, 1d or 6h"):
            replace(BARE, matrices=(replace(row, rebuild="daily"),))


def test_what_reads_rebuilt_matrices_alone_stays() -> None:
    """Of a recipe whose queries have no window."""
    once = replace(NEAR, name="once", rebuild=None)
    recipe = replace(
        BARE, matrices=(NEAR, once, TextMatrix("text")), embeddings=(Word2VecEmbedding("w2v"),),
        retrievers=tuple(ItemToItemRetriever(name, name, Seeds())
                         for name in ("near", "once", "text", "w2v")),
        features=(MatrixFeature("near"), MatrixFeature("once"), MatrixFeature("text"),
                  EmbeddingFeature("w2v")),
    )  # fmt: skip
    left = recipe.causal()
    assert [row.name for row in left.matrices] == ["near", "text"] and not left.embeddings
    assert [row.name for row in left.retrievers] == ["near", "text"]
    assert [row.tables for row in left.features] == [("near",), ("text",)]


@pytest.mark.parametrize("text", ["daily", "1", "0d", "d", "1 d", "1w"])
def test_a_period_is_days_or_hours(text: str) -> None:
    with pytest.raises(ValueError, match="rebuild is a number of days or hours, 1d or 6h"):
        replace(BARE, matrices=(replace(NEAR, rebuild=text),))
    assert replace(NEAR, rebuild="36h").rebuild_s == 1.5 * DAY


def test_rebuilds_need_matrices_of_the_split_itself() -> None:
    with pytest.raises(ValueError, match="matrix near: rebuild needs a recipe that refits"):
        replace(BARE, matrices=(NEAR,), refit=False)


def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.matrices.build.MAX_ROWS", 5 * N_ITEMS)
    with pytest.raises(ValueError, match="set a longer period"):
        made(tmp_path, planted_events(), NEAR)
