"""Leave the items of a query's own history out of its lists: `exclude_seen` of recipe or row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from src.candidates.base import Retriever
from src.core.arrays import I64, Mask
from src.data.schemas import TopLists
from src.data.sessions import Sessions
from src.data.split_data import SplitData

if TYPE_CHECKING:
    from src.data.recipe import Recipe


def excludes_seen(recipe: Recipe, row: Retriever) -> bool:
    """Whether the row lists no item of the query's history, by itself or by the recipe."""
    return recipe.exclude_seen or row.exclude_seen


def unseen_lists(row: Retriever, data: SplitData, first: int, end: int) -> TopLists:
    """List as `row.lists`, without the items that are in the history of their query.

    The row is asked for more items, as many as the longest history of sessions first : end has. So
    its lists have no gap where seen items were.
    """
    longer: Any = replace(row, top=row.length + longest(data.sessions, first, end))  # type: ignore[call-arg]
    item, score = longer.lists(data, first, end)
    kept = (item >= 0) & ~seen(data.sessions, item, first)
    order = np.argsort(~kept, axis=1, kind="stable")[:, : row.length]
    item, score, kept = (np.take_along_axis(x, order, axis=1) for x in (item, score, kept))
    return np.where(kept, item, np.int32(-1)), np.where(kept, score, np.float32(0))


def longest(s: Sessions, first: int, end: int) -> int:
    """Return a power of 2 that no history of sessions first : end is longer than.

    Few different numbers, as some rows keep what they compute for each.
    """
    length = int(np.diff(s.offsets[first : end + 1]).max(initial=0))
    return 1 << max(length - 1, 0).bit_length() if length else 0


def seen(s: Sessions, item: np.ndarray, first: int) -> Mask:
    """Mark the listed items (queries, top) that the session, from `first` on, has events on."""
    queries, width = item.shape
    events = slice(s.offsets[first], s.offsets[first + queries])
    query = np.repeat(np.arange(queries), np.diff(s.offsets[first : first + queries + 1]))
    of_history = np.unique(query * s.n_items + s.item[events])
    listed: I64 = np.repeat(np.arange(queries), width) * s.n_items + item.ravel()
    at = np.searchsorted(of_history, listed)
    at[at == of_history.size] = 0
    if not of_history.size:
        return np.zeros(item.shape, np.bool_)
    return (of_history[at] == listed).reshape(item.shape)
