"""Simulate a shop in OTTO's raw format and shape: for the demo, and for benchmarks at full size.

    python -m src.datasets.demo.simulate --sessions 100000 --out input/demo

A session is one person, with visits days apart. A visit is about one community of items. The next
item is linked to the last one, a variant of it, an earlier item of the session, or popular on that
day. A click may lead to a cart, a cart to a complementary item and to an order. Each session has
its own random stream, so the result does not depend on the size of the batches.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from src.core.arrays import I64, offsets_of_sizes, positions
from src.core.store import replace
from src.datasets.demo.shop import START_MS, TYPES, ShopConfig, first_events, open_shop
from src.datasets.demo.simulate_kernel import LONGEST, SessionBuffer, fill
from src.datasets.demo.statistics import statistics
from src.datasets.times import DAY_MS

FILES = ("train.jsonl", "test.jsonl", "test_labels.jsonl")


class Batch(NamedTuple):
    """Events of some sessions, in order.

    Columns: session, aid, ts (ms since 1970), type (index into TYPES), hidden (after the cut).
    """

    test: bool
    events: pl.DataFrame


def simulate(config: ShopConfig, rows: int = 8192) -> Iterator[Batch]:
    """Yield the events of `rows` sessions at a time, first those of train."""
    shop, sold = open_shop(config), np.zeros(config.items, np.bool_)
    slots, times = np.empty((2, rows, LONGEST), np.int64)
    types = np.empty((rows, LONGEST), np.int8)
    length, cut = np.empty(rows, np.int64), np.empty(rows, np.int64)
    for test in (False, True):
        starts = first_events(config, test)
        end = (config.days + test * config.test_days) * DAY_MS
        for at in range(0, starts.size, rows):
            start, first = starts[at : at + rows], at + test * config.sessions
            fill(shop, SessionBuffer(slots, times, types, end), first, start, length, cut)
            row, column = _positions(length[: start.size])
            slot, ts = slots[row, column], times[row, column] + START_MS
            hidden = column >= cut[row]
            sold[slot] = True
            columns = {"session": row + first, "aid": shop.aid[slot], "ts": ts}
            columns |= {"type": types[row, column], "hidden": test & hidden}
            yield Batch(test, pl.DataFrame(columns))
        shop = shop._replace(allowed=sold)


def _positions(length: I64) -> tuple[I64, I64]:
    """Find the row and the column of every event; length: events of each row."""
    return np.repeat(np.arange(length.size), length), positions(offsets_of_sizes(length))


def _session_lines(events: pl.DataFrame) -> pl.DataFrame:
    """Group events by session; a row as ndjson is a line of the raw format."""
    names = pl.lit(pl.Series(TYPES)).gather(pl.col("type")).alias("type")
    event = pl.struct("aid", "ts", names).alias("events")
    return events.group_by("session", maintain_order=True).agg(event)


def _label_lines(hidden: pl.DataFrame) -> pl.DataFrame:
    """Turn hidden events into one JSON text per session; a type without events is absent."""
    clicks, carts, orders = (pl.col("aid").filter(pl.col("type") == t) for t in range(3))
    labels = [pl.lit('"clicks":') + clicks.first().cast(pl.String)]
    for name, aids in (("carts", carts), ("orders", orders)):
        items = aids.unique().sort().cast(pl.String).str.join(",")
        labels.append(pl.when(aids.len() > 0).then(pl.lit(f'"{name}":[') + items + "]"))
    sessions = hidden.group_by("session", maintain_order=True)
    texts = sessions.agg(label.alias(name) for name, label in zip(TYPES, labels, strict=True))
    inner = pl.concat_str(TYPES, separator=",", ignore_nulls=True)
    return texts.select(
        pl.concat_str(pl.lit('{"session":'), "session", pl.lit(',"labels":{'), inner, pl.lit("}}"))
    )


def write(config: ShopConfig, folder: Path) -> None:
    """Write train.jsonl, test.jsonl (each session cut at random) and test_labels.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [folder / f".part-{name}" for name in FILES]
    with ExitStack() as stack:
        train, truncated, labels = (stack.enter_context(open(part, "wb")) for part in parts)
        for test, events in simulate(config):
            visible = events.filter(~pl.col("hidden"))
            _session_lines(visible).write_ndjson(truncated if test else train)
            if test:
                lines = _label_lines(events.filter("hidden"))
                lines.write_csv(labels, include_header=False, quote_style="never")
    for part, name in zip(parts, FILES, strict=True):
        replace(part, folder / name)


def main() -> None:
    """Write a shop's raw files and print its statistics."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sessions", type=int, required=True, help="sessions of train")
    parser.add_argument("--items", type=int, help="default: as many per session as OTTO has")
    parser.add_argument("--out", type=Path, required=True, help="folder for the three files")
    args = parser.parse_args()
    config = ShopConfig.like_otto(args.sessions)
    if args.items:
        config = ShopConfig(args.sessions, args.items)
    write(config, args.out)
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(statistics(config, simulate(config)))


if __name__ == "__main__":
    main()
