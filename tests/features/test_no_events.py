"""A split without any event: every kind of feature says what its columns hold.

pytest tests/features/test_no_events.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from plain_features import RECIPE, columns_of
from planted import small_split, whole

from src.candidates.pool_kernel import ABSENT
from src.data import paths
from src.data.sequence_batch import SequenceBatch
from src.data.split_data import SplitData
from src.features.base import FeatureGroup
from src.features.item_attribute_kernel import UNKNOWN
from src.matrices.neighbours import NEIGHBOURS

CANDIDATES = [0, 3]
WORDS = [100, 101, 102, 103, 104]
NOT_ZERO: dict[str, tuple[float, float]] = {
    "pool_rank": (0, 1),
    **dict.fromkeys(("rank_own", "rank_shared"), (ABSENT, ABSENT)),  # in no list
    **dict.fromkeys(("seen_first", "seen_latest"), (-1, -1)),
    **dict.fromkeys(("words_last", "words_last_age", "words_minus_last", "words_minus_mean"),
                    (UNKNOWN, UNKNOWN)),
    "words_value": (100, 103), "words_age": (-100, -103),  # the time of the query is 0
}  # fmt: skip
UNSEEN = (
    "session_seconds", "session_last_gap", "session_last_type", "session_mean_gap",
    "session_visit_seconds", *(f"session_since_{t}" for t in RECIPE.types),
    "session_item_back", "session_item_seconds", "session_item_last_type",
    "session_item_first_seconds", *(f"session_item_since_{t}" for t in RECIPE.types),
)  # fmt: skip


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> SplitData:
    """Two queries, neighbours and vectors of all five items; query vectors are 0."""
    folder = tmp_path_factory.mktemp("split")
    data = small_split(folder, [[], []], 2, known={"words": WORDS}, recipe=RECIPE)
    events = pl.read_parquet(paths.events(data.run, "valid"))
    whole(paths.events(data.run, "valid"), events.with_columns(device=pl.lit(None, dtype=pl.Int32)))
    near = [(x, y, 1.0) for x in range(5) for y in range(5) if x != y]
    whole(paths.neighbours(data.run, "valid", "near"), pl.DataFrame(near, NEIGHBOURS, orient="row"))
    for name in ("vec", "pair", "net"):
        path = paths.item_vectors(data.run, "valid", name)
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.ones((5, 4), np.float32) / 2)
    np.save(paths.query_vectors(data.run, "valid", "net"), np.zeros((3, 2, 4), np.float32))
    return data


@pytest.mark.parametrize("row", RECIPE.features, ids=lambda row: type(row).__name__)
def test_columns(split: SplitData, row: FeatureGroup) -> None:
    for name, values in columns_of(split, row, 1, CANDIDATES).items():
        if name.endswith("_rank") and name != "pool_rank":
            assert values == [0, 0], f"{name}: all are equal"
        elif name == "session_weekday" or name == "session_hour":
            assert values == [0, 0], f"{name}: that of 1970-01-01 00:00"
        else:
            wanted = (-1, -1) if name in UNSEEN else NOT_ZERO.get(name, (0, 0))
            assert tuple(values) == wanted, name


def test_sequences_are_padding(split: SplitData) -> None:
    batch = SequenceBatch.of(split.sessions, np.array([-1, -1]), 3)
    assert batch.item.tolist() == [[-1] * 3] * 2 and not batch.mask.any()
    zeros = (batch.event_type, batch.recency, batch.gap)
    assert all(column.shape == (2, 3) and not column.any() for column in zeros)
    assert batch.hour.tolist() == [0, 0]


def test_times_and_context(split: SplitData, tmp_path: Path) -> None:
    assert split.query_ts(0, 2).tolist() == [0, 0]
    assert split.context("device").size == 0
