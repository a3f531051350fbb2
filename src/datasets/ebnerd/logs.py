"""Write the logs of all periods: rows shown, pages opened and left (src/data/impressions.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import polars as pl

from src.core.parquet import TableWriter
from src.data.impressions import READS, SHOWN, VISITS
from src.datasets.ebnerd import files
from src.datasets.ebnerd.files import Period

BLOCK = 200_000  # impressions written at a time
DEVICES = 3  # device_type: 1 desktop, 2 mobile, 3 tablet; 0 unknown


class Ids(NamedTuple):
    """Raw ids, ascending; a dense id is a place among them."""

    item: pl.Series
    user: pl.Series
    visit: pl.Series

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the files of `ids_files`."""
        return cls(*(pl.read_parquet(path).to_series() for path in ids_files(folder)))


def ids_files(folder: Path) -> list[Path]:
    """List the files with the ids of Ids, in its order."""
    return [folder / f"ids-{name}.parquet" for name in Ids._fields]


def ids_of(periods: Sequence[Period]) -> Ids:
    """Collect the ids of all files, those of articles shown, clicked or read."""
    items, users, visits = [], [], []
    for period in periods:
        rows, history = period.read(), period.read_history()
        items += [
            rows["view"].explode(empty_as_null=False),
            rows["article_id"],
            rows["clicked"].drop_nulls().explode(empty_as_null=False),
            history["article_id"],
        ]
        users += [rows["user_id"], history["user_id"]]
        visits.append(rows["session_id"])
    series = (pl.concat(parts).drop_nulls().unique().sort() for parts in (items, users, visits))
    return Ids(*series)


def dense(rows: pl.DataFrame, ids: Ids) -> pl.DataFrame:
    """Add dense user, visit, page and scene of impressions: -1 or scene 0 where unknown."""
    device = pl.col("device_type").fill_null(0)
    return rows.with_columns(
        user=places(ids.user, rows["user_id"]),
        visit=places(ids.visit, rows["session_id"]),
        page=places(ids.item, rows["article_id"]),
        scene=device * 2 + pl.col("article_id").is_null().cast(pl.Int32),
    ).cast({"visit": pl.Int32, "page": pl.Int32, "scene": pl.Int32})  # fmt: skip


def places(known: pl.Series, raw: pl.Series) -> pl.Series:
    """Return the place of each raw id among the known ones: Int32, -1 for null and unknown ones."""
    table = pl.DataFrame({"raw": known.cast(pl.Int64)}).with_row_index("place")
    rows = pl.DataFrame({"raw": raw.cast(pl.Int64)})
    found = rows.join(table, on="raw", how="left", maintain_order="left")["place"]
    return found.cast(pl.Int32).fill_null(-1)


def exploded(rows: pl.DataFrame, ids: Ids) -> pl.DataFrame:
    """List the articles of impressions, each once: the columns of rows, item, click.

    click is null where the clicks of an impression are hidden. read and scroll are null but for a
    click that is the only one of its impression: that page was opened next.
    """
    view = rows.with_columns(pl.col("view").list.unique(maintain_order=True).alias("raw"))
    view = view.explode("raw", empty_as_null=False)
    clicked = pl.col("raw").is_in(pl.col("clicked")).cast(pl.Int8)
    opened = pl.col("raw").is_in(pl.col("clicked")) & (pl.col("clicked").list.len() == 1)
    return view.with_columns(
        item=ids.item.search_sorted(view["raw"]).cast(pl.Int32),
        length=pl.col("view").list.len().cast(pl.Int32),
        click=pl.when(pl.col("clicked").is_null()).then(None).otherwise(clicked),
        read=pl.when(opened).then("read"),
        scroll=pl.when(opened).then("scroll"),
    )


def write_shown(periods: Sequence[Period], ids: Ids, path: Path) -> None:
    """Write SHOWN, period by period; the clicks of the test period are hidden."""
    with TableWriter(path, SHOWN) as writer:
        for period in periods:
            for rows in blocks(period.read().sort("ts", maintain_order=True)):
                if period.name == "test":
                    rows = rows.with_columns(clicked=pl.lit(None, pl.List(pl.Int64)))
                writer.add(exploded(dense(rows, ids), ids).select(SHOWN.names()))


def blocks(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield rows in blocks."""
    yield from rows.iter_slices(BLOCK)


def write_visits(periods: Sequence[Period], ids: Ids, path: Path) -> None:
    """Write VISITS: pages of impressions, and those of histories before the first impression.

    Later rows of histories would tell the training week more than there is to know of the test.
    """
    tables, first = [], periods[0].read()["ts"].min()
    for period in periods:
        pages = period.read().select("ts", "user_id", "article_id").drop_nulls()
        history = period.read_history().filter(pl.col("ts") < first)
        tables += [pages, history.select(pages.columns)]
    rows = pl.concat(tables).unique()
    rows = rows.with_columns(
        item=ids.item.search_sorted(rows["article_id"]),
        user=ids.user.search_sorted(rows["user_id"]),
    )
    rows.select(VISITS.names()).cast(VISITS).sort(VISITS.names()).write_parquet(path)


def write_reads(periods: Sequence[Period], ids: Ids, path: Path) -> None:
    """Write READS: pages of histories before the first impression, and those that a click opened.

    The test period has none: what its readers did with a page is hidden.
    """
    columns = list(files.READ)
    first = periods[0].read()["ts"].min()
    tables = [period.read_history().filter(pl.col("ts") < first) for period in periods]
    for period in periods:
        rows = period.read() if period.name != "test" else period.read().clear()
        opened = rows.filter(pl.col("clicked").list.len() == 1)
        opened = opened.with_columns(article_id=pl.col("clicked").list.first())
        tables.append(opened.select(columns))
    rows = pl.concat(tables).filter(pl.any_horizontal(pl.col("read", "scroll").is_not_null()))
    rows = rows.unique(["user_id", "article_id", "ts"], keep="first", maintain_order=True)
    rows = rows.with_columns(
        item=ids.item.search_sorted(rows["article_id"]),
        user=ids.user.search_sorted(rows["user_id"]),
    )
    rows.select(READS.names()).cast(READS).sort("ts", "item", "user").write_parquet(path)
