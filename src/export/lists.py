"""Raw lists that a bundle scores: feature rows, items and events of sessions, as tables."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import polars as pl

from src.candidates.pool import Pool
from src.core.arrays import I32, I64
from src.core.engines import CpuEngine
from src.core.engines.base import Engine
from src.core.run import Run
from src.data.schemas import EVENTS
from src.data.sessions import Sessions
from src.data.split_data import SplitData

ITEM, LIST = "item", "list"
UNKNOWN = -1
"""Dense id of an item that the items of the run lack."""


class RawLists(NamedTuple):
    """Impressions of a raw file, as a dataset reads them for a bundle."""

    impressions: pl.DataFrame  # a row per list: the columns of IMPRESSIONS, and of its context
    offsets: I64  # CSR of the candidates
    item: I32  # dense id of each candidate, ascending in each list
    keys: pl.DataFrame  # raw ids of each candidate, which name its row in the output
    given: pl.DataFrame | None = None  # the given columns of each candidate, where there are some


class ListData(SplitData):
    """Sessions of lists at hand, where a model expects those of a split."""

    has_visits = False

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions


class Logs(NamedTuple):
    """A folder with items.parquet and logs, where features expect a run."""

    output: Path
    engine: Engine = CpuEngine()


class ImpressionData(SplitData):
    """Impressions at hand and the logs of a bundle, where features expect a split.

    What is derived from the logs is cached for all impressions.
    """

    def __init__(self, folder: Path, cache: dict[Hashable, object]) -> None:
        self.run, self.split = cast(Run, Logs(folder)), ""
        self.first_query, self._cache, self._used = 0, cache, set()

    def take(
        self, impressions: pl.DataFrame, sessions: Sessions, pool: Pool, given: pl.DataFrame | None
    ) -> None:
        """Take the impressions whose features are computed next, and their empty sessions.

        given: columns of each candidate of the pool.
        """
        self.n_sessions, self.sessions = impressions.height, sessions
        self._cache[("impressions",)] = impressions
        if given is not None:
            rows = given.with_columns(session=pl.Series(pool.session), item=pl.Series(pool.item))
            self._cache[("given",)] = rows.lazy()
            self._cache[("given offsets",)] = pool.offsets


@dataclass(frozen=True)
class ItemIds:
    """Raw ids of the items; the dense id of an item is its row."""

    raw: pl.Series

    def dense(self, raw: pl.Series) -> I32:
        """Return dense ids, UNKNOWN for ids that are not there: int32 (rows)."""
        known = pl.DataFrame({ITEM: self.raw}).with_row_index("dense")
        if raw.dtype.is_float() and self.raw.dtype.is_integer():
            raw = raw.set(raw != raw.round(), None)  # a cast would cut it to another id
        rows = pl.DataFrame({ITEM: raw.cast(self.raw.dtype, strict=False)})
        dense = rows.join(known, on=ITEM, how="left", maintain_order="left")["dense"]
        return dense.cast(pl.Int32).fill_null(UNKNOWN).to_numpy().astype(np.int32)


def sessions_of(
    events: pl.DataFrame | None, lists: int, ids: ItemIds, types: tuple[str, ...]
) -> Sessions:
    """Convert events to sessions: that of list n is session n.

    events: list, item (raw id), ts (seconds), type (its name, if there are types), in time order;
    None: there are none. Raises ValueError for a list or a type that is not there.
    """
    if events is None:
        return Sessions.from_events(pl.DataFrame(schema=EVENTS), lists, len(ids.raw), 0)
    for list_ in events[LIST].filter(~events[LIST].is_between(0, lists - 1).fill_null(False))[:1]:
        raise ValueError(f"events of list {list_}; lists are counted from 0 to {lists - 1}")
    columns = {"session": events[LIST], "item": ids.dense(events[ITEM]), "ts": events["ts"]}
    number = {name: n for n, name in enumerate(types)}
    if types:
        for name in events["type"].filter(~events["type"].is_in(types).fill_null(False))[:1]:
            raise ValueError(f"unknown event type {name!r}; they are {', '.join(types)}")
        columns["type"] = events["type"].replace_strict(number, return_dtype=pl.Int8)
    else:
        columns["type"] = pl.repeat(0, events.height, dtype=pl.Int8, eager=True)
    table = pl.DataFrame(columns).cast(EVENTS).sort("session", maintain_order=True)
    return Sessions.from_events(table, lists, len(ids.raw), 0)
