"""Make the lists of a recipe that wants only items that the query has not had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numba import get_num_threads

from src.candidates import unseen_kernel
from src.candidates.base import Retriever
from src.data.schemas import TopLists
from src.data.split_data import SplitData


def seen_items(data: SplitData) -> int:
    """Return how many seen items a list can hold: 0 unless the recipe wants unseen items only."""
    if not data.run.recipe.unseen or not data.n_queries:
        return 0
    return int(np.diff(data.sessions.offsets)[data.first_query :].max())


def unseen_lists(data: SplitData, row: Retriever, first: int, end: int) -> TopLists:
    """List items and scores as Retriever.lists does, without items of the query's history.

    The retriever makes lists that are longer by the events of the longest query. So each list has
    its full length where the retriever finds enough unseen items.
    """
    extra = seen_items(data)
    if not extra:
        return row.lists(data, first, end)
    s, wide = data.sessions, replace(row, top=row.length + extra)  # type: ignore[call-arg]
    return unseen_kernel.without_seen(
        s.offsets, s.item, s.n_items, first, *wide.lists(data, first, end), row.length,
        get_num_threads(),
    )  # fmt: skip
