"""Every row of a co-visitation matrix that a recipe has, some that none has, and files of any."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import strategies as st
from planted import BARE, sessions_of, write_split
from polars.testing import assert_frame_equal

from src.data import paths
from src.data.schemas import EVENTS
from src.data.split_data import SplitData
from src.data.units import DAY, HOUR
from src.datasets import DATASETS
from src.matrices.base import ItemMatrix
from src.matrices.build import build_group, groups
from src.matrices.count import count_whole
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.event_index import index_events
from src.matrices.self_merge import self_merge
from src.matrices.span import Span

CART = 1
NOT_IN_A_RECIPE = (
    CovisitationMatrix("item_norm", last_events=30, max_gap_s=DAY, item_norm=0.5, top_n=3),
    CovisitationMatrix("session_norm", last_events=20, session_norm=True),
    CovisitationMatrix("step_decay", max_steps=10, step_decay=0.8),
    CovisitationMatrix("every_vote", last_events=30, max_gap_s=DAY, dedupe=False),
    CovisitationMatrix(
        "itemcf",
        max_steps=20,
        step_decay=0.7,
        session_norm=True,
        item_norm=0.5,
        dedupe=False,
        backward=0.7,
    ),
    CovisitationMatrix(
        "week", last_days=7.5, max_gap_s=HOUR, time_weight=2, source_weight=(1, 0, 5)
    ),
    CovisitationMatrix(
        "first_tail", last_events=5, first_only=True, half_life=600, target_weight=(0.3, 0, 2)
    ),
    CovisitationMatrix("one_type", types=(CART,), max_steps=1, backward=0.0, dedupe=False, top_n=1),
)
EVERY_ROW = {
    f"{dataset.name} {row.name}": row
    for dataset in DATASETS.values()
    for row in dataset.recipe.matrices
    if isinstance(row, CovisitationMatrix)
} | {row.name: row for row in NOT_IN_A_RECIPE}
"""By recipe and name: rows of two recipes may share a name."""

AnySessions = list[list[tuple[int, int, int]]]  # item, seconds since the event before, type

event = st.tuples(st.integers(0, 6), st.sampled_from([0, 0, 1, 50, 400]), st.integers(0, 2))
maybe = st.none().__or__
weights = st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 6.0])] * 3)
any_sessions = st.lists(st.lists(event, min_size=1, max_size=7), min_size=1, max_size=4)
any_row = st.builds(
    CovisitationMatrix,
    name=st.just("any"),
    types=maybe(st.sets(st.integers(0, 2), min_size=1).map(lambda s: tuple(sorted(s)))),
    last_days=maybe(st.sampled_from([0.001, 0.005])),
    last_events=st.integers(1, 8),
    first_only=st.booleans(),
    backward=st.sampled_from([1.0, 0.0, 0.7]),
    max_gap_s=maybe(st.integers(1, 500)),
    max_steps=maybe(st.integers(1, 4)),
    source_weight=weights,
    target_weight=weights,
    time_weight=st.sampled_from([0.0, 3.0]),
    half_life=maybe(st.sampled_from([3.0, 100.0])),
    step_decay=st.sampled_from([1.0, 0.6]),
    dedupe=st.booleans(),
    session_norm=st.booleans(),
    item_norm=st.sampled_from([0.0, 0.5]),
    top_n=st.integers(1, 4),
)


def frame_of(sessions: AnySessions) -> pl.DataFrame:
    """EVENTS of drawn sessions."""
    rows = []
    for s, events in enumerate(sessions):
        ts = np.cumsum([gap for _, gap, _ in events])
        rows += [(s, item, int(t), type_) for (item, _, type_), t in zip(events, ts, strict=True)]
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


def both(events: pl.DataFrame, row: CovisitationMatrix, span: Span) -> pl.DataFrame:
    """The matrix, which kernel and self-merge agree on."""
    view = index_events(sessions_of(events), row.types)
    frame = count_whole(view, row, span).to_frame()
    assert_frame_equal(frame, self_merge(events.lazy(), row, span).collect(), check_exact=True)
    return frame


def written(folder: Path, events: pl.DataFrame, row: ItemMatrix) -> tuple[SplitData, pl.DataFrame]:
    """Let step 2 write a matrix of a split; return the split and the NEIGHBOURS of the file."""
    folder.mkdir()
    recipe = replace(BARE, matrices=(row,))
    data = write_split(folder, events, 3, recipe=recipe, n_sessions=300)
    for group in groups(data):
        build_group(data, group)
    return data, pl.read_parquet(paths.neighbours(data.run, "valid", row.name))
