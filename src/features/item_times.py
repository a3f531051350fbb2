"""Times of all events by item, from which popularity and age of an item are computed."""

from __future__ import annotations

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
