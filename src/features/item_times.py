"""Times of all events by item: what popularity and age of an item are counted from."""

from __future__ import annotations

from src.data.events_kernel import times_by_item
from src.data.split_data import SplitData
from src.features.item_times_kernel import ItemTimes

TYPE = "type"  # the column of event types; all others are context columns


def item_times(data: SplitData, column: str = TYPE) -> ItemTimes:
    """Event times of every item and value of a column, from 0 to its highest value."""

    def make() -> ItemTimes:
        s = data.sessions
        kind = s.type if column == TYPE else data.context(column)
        n_kinds = int(kind.max(initial=0)) + 1
        offsets, ts = times_by_item(s.item, s.ts, kind, s.n_items, n_kinds)
        return ItemTimes(offsets, ts, n_kinds)

    return data.cached(("item times", column), make)
