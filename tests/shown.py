"""Small logs of impressions, and the features of their lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from given import GIVEN_RECIPE
from planted import run_in, whole

from src.candidates.pool import given_pool
from src.core.arrays import F32
from src.data import paths
from src.data.impressions import IMPRESSIONS, READS, SHOWN, VISITS
from src.data.schemas import EVENTS, GIVEN
from src.data.shards import Shard
from src.data.split_data import SplitData
from src.data.splits import Split, write_splits
from src.features.base import FeatureGroup
from src.features.table import FeatureTable

START = 1_684_000_000
TICK = 36  # seconds, .01 h
N_ITEMS = 6
NUMBERS = (100, 120, 110, 400, 90, 130)  # raw ids of the items


class Shown(NamedTuple):
    """One row of the log "shown"; tick counts from START."""

    tick: int
    user: int
    item: int
    click: int | None = 0
    scene: int = 0
    page: int = -1

    @property
    def list_of(self) -> tuple[int, int, int, int]:
        """Rows with the same values are one list."""
        return self.tick, self.user, self.scene, self.page


def seconds(tick: int) -> int:
    return START + tick * TICK


def lists_of(rows: Sequence[Shown]) -> list[tuple[int, int, int, int]]:
    """Return the lists of a log, in the order of their dense sessions."""
    return sorted({row.list_of for row in rows})


def outcome(row: Shown) -> int | None:
    """Whether a page was read; of some nothing is known."""
    return None if row.item == 4 else (row.item + row.tick) % 2


def world(
    folder: Path, lists: Sequence[Shown], log: Sequence[Shown], features: Sequence[FeatureGroup],
    until: int = 1 << 20,
) -> tuple[SplitData, pl.DataFrame]:  # fmt: skip
    """Write a split of these lists, and a log; return it with the candidates and their features.

    until: the tick from which clicks are hidden. Each row that is clicked is a visit of the item
    one tick later, and a page whose reader did what `outcome` says.
    """
    recipe = replace(GIVEN_RECIPE, given_columns=(), features=tuple(features))
    run, keys = run_in(folder, recipe, "5_features.py"), lists_of(lists)
    length = Counter(row.list_of for row in log)
    shown = [(seconds(r.tick), r.item, r.user, r.scene, 0, r.page, length[r.list_of], r.click)
             for r in log]  # fmt: skip
    visits = [(seconds(r.tick + 1), r.item, r.user) for r in log if r.click]
    reads = [(seconds(r.tick), r.item, r.user, outcome(r), 1) for r in log if r.click]
    context = [(seconds(m), u, s, 0, p, seconds(until)) for m, u, s, p in keys]
    given = sorted({(keys.index(row.list_of), row.item) for row in lists})
    tables = {
        paths.log(run, "shown"): (shown, SHOWN), paths.log(run, "visits"): (visits, VISITS),
        paths.log(run, "reads"): (reads, READS),
        paths.impressions(run, "valid"): (context, IMPRESSIONS),
        paths.given(run, "valid"): (given, GIVEN), paths.events(run, "valid"): ([], EVENTS),
        paths.sessions(run, "valid"): (
            [(n, True) for n in range(len(keys))], {"session": pl.Int64, "query": pl.Boolean}),
        paths.items(run): ([(n,) for n in NUMBERS], {"item_id": pl.Int64}),
    }  # fmt: skip
    for path, (rows, schema) in tables.items():
        whole(path, pl.DataFrame(rows, schema=schema, orient="row"))
    write_splits(run, [Split("valid", "valid", "", len(keys), len(keys))])
    data = SplitData(run, "valid")
    return data, computed(data)


def computed(data: SplitData) -> pl.DataFrame:
    """Compute the features of all lists: tick, user, scene, page, item, and the columns."""
    pool, table = given_pool(data, Shard(0, 0, data.n_queries)), FeatureTable(data.run.recipe)
    X: F32 = table.compute(data, pool)
    rows = pl.read_parquet(paths.impressions(data.run, data.split))[pool.session - pool.first]
    tick = (rows["ts"] - START) // TICK
    keys = rows.select(tick.alias("tick"), "user", "scene", "page", item=pool.item)
    return keys.hstack(pl.from_numpy(X, table.names))


def random_log(seed: int, lists: int = 25, ticks: int = 12) -> list[Shown]:
    """Draw lists of 1 to 5 items at few, repeated times; the clicks of some are hidden."""
    rng, rows = np.random.default_rng(seed), dict[tuple[int, ...], Shown]()
    for _ in range(lists):
        tick, user, scene = (int(rng.integers(n)) for n in (ticks, 3, 2))
        page, hidden = int(rng.integers(-1, N_ITEMS)), rng.random() < 0.1
        for item in rng.permutation(N_ITEMS)[: rng.integers(1, 6)].tolist():
            click = None if hidden else int(rng.random() < 0.3)
            row = Shown(tick, user, item, click, scene, page)
            rows.setdefault((*row.list_of, item), row)
    return list(rows.values())
