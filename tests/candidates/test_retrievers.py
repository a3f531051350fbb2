"""Retrievers against plain loops, by hand, and on any number of threads.

pytest tests/candidates/test_retrievers.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import polars as pl
import pytest
from plain_retrievers import Scores, check, lists, plain_knn, plain_lists, plain_select
from planted import BARE, A, B, C, D, E, history, planted_split, small_split, whole, write_items

from src.candidates import popular_kernel
from src.candidates.base import Retriever
from src.candidates.history import HistoryRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.new_items import NewItemRetriever
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import SCOPES, Seeds
from src.candidates.session_knn import SessionKnnRetriever
from src.candidates.transitions import TransitionRetriever
from src.data import events_kernel, paths
from src.data.split_data import SplitData
from src.data.units import DAY, HOUR
from src.matrices.neighbours import NEIGHBOURS

DAY_AGO = [(A, 30, 0), (B, 7230, 0), (A, 14431, 1), (C, 86400, 0), (B, 86430, 2)]
"""2 h apart (the same visit), then 1 s more (another visit); the first 24 h before the last."""

SELECTED = [  # by hand
    (Seeds(decay=0.5), {B: 1.125, C: 0.5, A: 0.3125}),
    (Seeds("visit", decay=0.5), {B: 1.0, C: 0.5}),
    (Seeds("visit_ends", decay=0.5), {B: 1.25, A: 0.5}),
    (Seeds("day", decay=0.5), {B: 1.125, C: 0.5, A: 0.25}),
    (Seeds(decay=1.0, type_weight=(1, 6, 3)), {B: 4.0, C: 1.0, A: 7.0}),
    (Seeds(max_items=2, decay=1.0), {B: 2.0, C: 1.0}),
    (Seeds(decay=0.5, type_weight=(0, 1, 1)), {B: 1.0, A: 0.25}),
]

SELECTS = [
    *(Seeds(scope) for scope in SCOPES),
    *(Seeds(scope, max_items=3, decay=0.5, type_weight=(0, 6, 3)) for scope in SCOPES),
]
KNN = [
    SessionKnnRetriever("vsknn", neighbours=20, idf=True),
    SessionKnnRetriever("stan", neighbours=20, query_decay=2.0, recency_days=3.0, item_decay=5.0),
    SessionKnnRetriever(
        "few", neighbours=3, sample_size=4, query_decay=0.7, item_decay=0.5, idf=True, top=7
    ),
]
KNN += [replace(row, name=f"{row.name}_before", looks_ahead=False) for row in KNN]
POPULAR = [
    PopularRetriever("week"),
    PopularRetriever("hour", window_s=HOUR, bucket_s=300, type_weight=(0.5, 6, 3), top=8),
    PopularRetriever("around", window_s=DAY, bucket_s=300, lookahead_s=DAY // 2, top=8),
    PopularRetriever("always", window_s=None, type_weight=(1, 2, 3), top=8),
]
FLOW = [
    TransitionRetriever("flow", Seeds(max_items=1), half_life=12 * HOUR, target_weight=(1, 0, 3)),
    TransitionRetriever(
        "flow_far", Seeds(), max_steps=4, max_gap_s=7200, half_life=5 * DAY, top=12
    ),
    TransitionRetriever(
        "flow_before", Seeds(max_items=2), max_steps=2, half_life=DAY, looks_ahead=False
    ),
]
LOOK_UPS = [
    ItemToItemRetriever("shared", "near", Seeds()),
    ItemToItemRetriever("cut", "near", Seeds(), neighbours=3),
    ItemToItemRetriever("rooted", "near", Seeds(), neighbours=7, power=0.25),
    ItemToItemRetriever(
        "counted", "near", Seeds("visit", decay=0.7), neighbours=4, normalize=False, top=9
    ),
]
FRESH = [
    NewItemRetriever("fresh", "created", max_age_days=4.0),
    NewItemRetriever("fresh_theme", "created", max_age_days=20.0, same="category", top=5),
    NewItemRetriever("fresh_words", "created", max_age_days=9.0, near="words", max_distance=40.0),
    NewItemRetriever("cold", "created", 9.0, "category", "words", 80.0, unseen=True, top=2),
]
OWN = [HistoryRetriever("own", Seeds()), HistoryRetriever("short", SELECTS[5], top=2)]
EVERY: list[Retriever] = [*OWN, *LOOK_UPS, *KNN, *POPULAR, *FLOW, *FRESH]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SplitData:
    return planted_split(tmp_path_factory.mktemp("split"))


@pytest.mark.parametrize(("select", "wanted"), SELECTED)
def test_selected_items_by_hand(tmp_path: Path, select: Seeds, wanted: Scores) -> None:
    data = small_split(tmp_path, [[(E, 5, 0)], DAY_AGO], 1)
    offsets, item, weight = select.select(data, 1, 2)
    assert list(zip(item.tolist(), weight.tolist(), strict=True)) == list(wanted.items())
    assert offsets.tolist() == [0, len(wanted)]


@pytest.mark.parametrize("select", SELECTS, ids=str)
def test_selected_items(data: SplitData, select: Seeds) -> None:
    offsets, item, weight = select.select(data, data.first_query, data.n_sessions)
    for q, session in enumerate(range(data.first_query, data.n_sessions)):
        wanted = plain_select(history(data, session), select)
        at = slice(offsets[q], offsets[q + 1])
        assert item[at].tolist() == list(wanted)  # latest first
        np.testing.assert_allclose(weight[at], list(wanted.values()))


@pytest.mark.parametrize("row", [*OWN, *LOOK_UPS, *POPULAR, *FLOW, *FRESH], ids=lambda r: r.name)
def test_lists(data: SplitData, row: Retriever) -> None:
    wanted = [plain_lists(data, row, q) for q in range(data.first_query, data.n_sessions, 4)]
    item, score = lists(data, row)
    check((item[::4], score[::4]), wanted, row.top)


def test_flow_by_hand(tmp_path: Path) -> None:
    half = HOUR
    sessions = [
        [(A, 99_990, 0), (B, 100_000, 1), (C, 100_060, 0)],  # B an hour before: counts half
        [(A, 107_140, 0), (D, 107_200, 1)],  # D an hour after: counts half
        [(A, 103_000, 0), (E, 104_801, 1)],  # 1,801 s later: another visit
        [(C, 90_000, 0), (A, 103_600, 0)],  # the query itself has no follower
    ]
    data = small_split(tmp_path, sessions, 1)
    row = TransitionRetriever(
        "flow", Seeds(max_items=1), half_life=half, target_weight=(0, 1, 0), top=3
    )
    item, score = row.lists(data, 3, 4)
    assert item.tolist() == [[B, D, -1]] and score.tolist() == [[0.5, 0.5, 0]]
    item, score = replace(row, looks_ahead=False).lists(data, 3, 4)
    assert item.tolist() == [[B, -1, -1]], "what comes after the query does not count"
    item, score = replace(row, max_steps=2, target_weight=(1, 1, 1)).lists(data, 3, 4)
    assert item.tolist() == [[C, B, D]], "two followers, of any type; C is nearer"


def test_flow_leaves_out_what_is_too_light(tmp_path: Path) -> None:
    """The weight of the first of 400 seeds is 0 as a float32; it once listed B several times."""
    followed = [[(A, 99_000, 0), (B, 99_010, 0)]] * 3 + [[(C, 99_000, 0), (D, 99_010, 0)]]
    query = [(A, 99_000, 0), *((C, 99_001 + n, 0) for n in range(399))]
    data = small_split(tmp_path, [*followed, query], 1)
    item, score = TransitionRetriever("flow", Seeds(decay=0.5), top=4).lists(data, 4, 5)
    assert item.tolist() == [[D, -1, -1, -1]] and score[0, 0] > 0


def test_fresh_by_hand(tmp_path: Path) -> None:
    """What came at the second of the query is the newest; a second later, it is not there yet."""
    now = 200_000
    data = small_split(tmp_path, [[(A, now, 0)]], 1)
    write_items(tmp_path, 5, {"created": [None, now, now + 1, now - DAY, now - DAY - 1]})
    item, score = NewItemRetriever("fresh", "created", max_age_days=1.0, top=3).lists(data, 0, 1)
    assert item.tolist() == [[B, D, -1]]
    np.testing.assert_allclose(score, [[1.0, 1 / 25, 0.0]], rtol=1e-6)
    write_items(tmp_path, 5, {"created": [None, -DAY, now + 1, None, None]})  # of 1969
    old = NewItemRetriever("old", "created", max_age_days=9.0, top=3)
    item, _ = old.lists(SplitData(data.run, "valid"), 0, 1)
    assert item.tolist() == [[B, -1, -1]]


def test_popular_window_borders() -> None:
    ts, item = np.array([99, 100, 150, 199, 200], np.int32), np.array([A, B, C, C, D], np.int32)
    ends, vote = np.array([200, 201]), np.array([9, 1, 2, 3, 9])
    kinds = np.arange(5, dtype=np.int8)
    rows, score = popular_kernel.popular_lists(ts, item, kinds, vote, ends, 100, 5, 3)
    assert rows.tolist() == [[C, B, -1], [D, C, -1]]
    assert score.tolist() == [[5, 1, 0], [9, 5, 0]]


def test_events_by_time() -> None:
    ts, item = np.array([5, 9, 3, 5, 4], np.int32), np.arange(5, dtype=np.int32)
    found = events_kernel.by_time(ts, item, (item * 10).astype(np.int8), 4)
    assert [column.tolist() for column in found] == [[4, 5, 5, 9], [4, 0, 3, 1], [40, 0, 30, 10]]
    assert events_kernel.by_time(ts, item, item.astype(np.int8), 10)[0].size == 0


@pytest.mark.parametrize("row", EVERY, ids=lambda r: r.name)
def test_threads_and_blocks_change_nothing(data: SplitData, row: Retriever) -> None:
    first, middle, end = data.first_query, data.first_query + 13, data.n_sessions
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = lists(data, row)
        numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
        two = lists(data, row)
    finally:
        numba.set_num_threads(threads)
    pieces = row.lists(data, first, middle), row.lists(data, middle, end)
    for a, b, *parts in zip(one, two, *pieces, strict=True):
        assert a.tobytes() == b.tobytes() == np.concatenate(parts).tobytes()


@pytest.mark.parametrize("row", KNN, ids=lambda r: r.name)
def test_knn_lists(data: SplitData, row: SessionKnnRetriever) -> None:
    wanted = [plain_knn(data, row, q) for q in range(data.first_query, data.n_sessions, 2)]
    item, score = lists(data, row)
    check((item[::2], score[::2]), wanted, row.top)


def test_a_query_is_not_its_own_neighbour(tmp_path: Path) -> None:
    mine = [(A, 10, 0), (B, 20, 0)]
    data = small_split(tmp_path, [[(B, 0, 0), (C, 5, 0)], mine, [(D, 30, 0)]], 2)
    item, score = lists(data, SessionKnnRetriever("knn", top=3))
    # B, the query's last event, weighs 1; both sessions have two events
    assert item.tolist() == [[B, C, -1], [-1, -1, -1]]
    assert score[0].tolist() == [0.5, 0.5, 0.0]


NEED_A_HISTORY = [*OWN, *LOOK_UPS, *KNN, *FLOW, *FRESH[1:]]


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row.name)
def test_a_query_without_events_does_not_see_its_neighbour(tmp_path: Path, row: Retriever) -> None:
    """The session before the empty one is full of events, and ends before the split does."""
    before = [(A, 1000, 0), (B, 1100, 1), (A, 1200, 2), (C, 1300, 0)]
    late = [(D, 90_000, 0), (E, 97_000, 1), (D, 99_000, 0)]
    known = {"created": [900] * 5, "category": [1, 1, 2, 2, 3], "words": [100, 101, 102, 103, 104]}
    data = small_split(tmp_path, [late, before, []], 3, known=known)
    near = [(x, y, 1.0) for x in range(5) for y in range(5) if x != y]
    table = pl.DataFrame(near, schema=NEIGHBOURS, orient="row")
    whole(paths.neighbours(data.run, "valid", "near"), table)
    item, score = row.lists(data, 0, 3)
    if row in NEED_A_HISTORY:
        assert (item[2] == -1).all() and (score[2] == 0).all()
    else:  # popular, new: as at the last second of the split, which is that of session 0
        assert item[2].tolist() == item[0].tolist() and (item[0] >= 0).any()


def test_what_causal_leaves() -> None:
    """Only rows that see nothing later than the query, in the form that does not."""
    left = {row.name: row.causal() for row in EVERY}
    assert left["own"] == OWN[0] and left["fresh"] == FRESH[0]
    assert all(left[row.name] == row and row.made_ahead for row in LOOK_UPS)
    assert left["vsknn"] == replace(KNN[0], looks_ahead=False) and left[FRESH[3].name] is None
    around = replace(POPULAR[2], window_s=DAY // 2, lookahead_s=0)
    assert left["around"] == around
    assert left["flow"] == replace(FLOW[0], looks_ahead=False)


def test_a_list_is_no_longer_than_a_rank_can_tell() -> None:
    with pytest.raises(ValueError, match="retriever own: top is at most 1000"):
        replace(BARE, retrievers=(HistoryRetriever("own", Seeds(), top=1001),))


def test_a_table_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="retriever i2i: no matrix or embedding named nothing"):
        replace(BARE, retrievers=(ItemToItemRetriever("i2i", "nothing", Seeds()),))
