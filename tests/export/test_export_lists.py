"""Raw lists of a bundle: ids, and events that fit the lists.

pytest tests/export/test_export_lists.py
"""

from __future__ import annotations

import polars as pl
import pytest

from src.export.lists import ItemIds, sessions_of

IDS, TYPES = ItemIds(pl.Series([7, 8, 9])), ("clicks", "carts")


def events(lists: list[int | None], names: list[str | None]) -> pl.DataFrame:
    columns = {"list": lists, "item": [7.0, 8.0], "ts": [1, 2], "type": names}
    return pl.DataFrame(columns, schema_overrides={"list": pl.Int64, "type": pl.String})


def test_a_fraction_is_no_id() -> None:
    assert IDS.dense(pl.Series([7.9, 8.0, None, float("nan")])).tolist() == [-1, 1, -1, -1]


def test_events_are_of_lists_and_types_that_are_there() -> None:
    found = sessions_of(events([0, 1], ["clicks", "carts"]), 3, IDS, TYPES)
    assert found.offsets.tolist() == [0, 1, 2, 2] and found.type.tolist() == [0, 1]
    for lists in ([0, 3], [-1, 0], [0, None]):
        with pytest.raises(ValueError, match=r"events of list .*; lists are counted from 0 to 2"):
            sessions_of(events(lists, ["clicks", "carts"]), 3, IDS, TYPES)
    for name in ("views", None):
        with pytest.raises(ValueError, match=f"unknown event type {name!r}; they are clicks, cart"):
            sessions_of(events([0, 1], ["clicks", name]), 3, IDS, TYPES)
