"""Times of all events by item, from which popularity and age of an item are computed."""

from __future__ import annotations

import polars as pl

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.events_kernel import times_by_item
from src.data.split_data import SplitData
from src.features.item_times_kernel import ItemTimes

TYPE = "type"  # the column of event types; all other columns are context


def item_times(data: SplitData, column: str = TYPE) -> ItemTimes:
    """Index the event times by item and by the value of a column; values are 0, 1, ..."""

    def make() -> ItemTimes:
        s = data.sessions
        value = s.type if column == TYPE else data.context(column)
        n_values = int(value.max(initial=0)) + 1
        offsets, ts = times_by_item(s.item, s.ts, value, s.n_items, n_values)
        return ItemTimes(offsets, ts, n_values)

    return data.cached(("item times", column), make)


def item_times_memory(run: Run, split: str, column: str = TYPE) -> float:
    """Count the bytes of an index while it is made: its offsets twice, the values, the times."""
    events = paths.events(run, split)
    highest = pl.scan_parquet(events).select(pl.col(column).max()).collect().item() or 0
    return 16.0 * count_rows(paths.items(run)) * (max(highest, 0) + 1) + 8.0 * count_rows(events)
