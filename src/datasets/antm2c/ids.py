"""Number users, items, scenes and categories of all files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import polars as pl

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.datasets.antm2c.columns import CATEGORIES, ENTITIES, ITEM, SCENE, TITLE, USER
from src.datasets.antm2c.files import RawFile, rows_of

BLOCK = 200_000  # rows in memory at a time
UNKNOWN = -1
"""Dense id of users and items that step 1 has not seen: no row of a log has it."""


def blocks(files: Sequence[RawFile], columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield the good rows of all files, in order, with `id`: the number of the row of all files."""
    first = 0
    for file in files:
        rows = pl.scan_parquet(file.rows).select("row", *(c for c in columns if c != "row"))
        for start in range(0, count_rows(*file.rows), BLOCK):
            yield rows.slice(start, BLOCK).collect().with_columns(id=pl.col("row") + first)
        first += file.size


@dataclass(frozen=True)
class Ids:
    """Raw ids, ascending; a dense id is a place among them. categories: values by column."""

    users: pl.Series
    items: pl.Series
    categories: dict[str, pl.Enum]  # of SCENE and CATEGORIES

    @classmethod
    def read(cls, folder: Path, items: Path) -> Self:
        """Read the ids that `build_ids` left in a folder, and items.parquet."""
        users, values = map(pl.read_parquet, ids_files(folder))
        named = {n: pl.Enum(values.filter(column=n)["value"]) for n in (SCENE, *CATEGORIES)}
        return cls(users[USER], pl.read_parquet(items, columns=["item_id"])["item_id"], named)

    def dense(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add dense user, item and scene; UNKNOWN for users and items that step 1 has not seen."""
        return rows.with_columns(
            user=places(self.users, rows[USER]), item=places(self.items, rows[ITEM]),
            scene=self.code(SCENE),
        )  # fmt: skip

    def code(self, name: str) -> pl.Expr:
        """Return the code of a category: from 1 in the order of its values, 0 without a known one.

        In step 1 all values are known.
        """
        code = pl.col(name).cast(self.categories[name], strict=False).to_physical()
        return (code.cast(pl.Int32) + 1).fill_null(0)


def places(known: pl.Series, raw: pl.Series) -> pl.Series:
    """Return the place of each raw id among the known ones, which ascend: Int32, or UNKNOWN."""
    place = known.search_sorted(raw).cast(pl.Int32)
    found = known.gather(place.clip(upper_bound=known.len() - 1)) == raw
    return place.zip_with(found, pl.Series([UNKNOWN], dtype=pl.Int32))


def ids_files(folder: Path) -> tuple[Path, Path]:
    """Return the files of the users, and of the values of categories: column, value."""
    return folder / "users.parquet", folder / "categories.parquet"


def build_ids(run: Run, files: Sequence[RawFile]) -> Ids:
    """Bring items.parquet and the lists of ids up to date; read them."""
    folder, tables = run.output / "raw", rows_of(files)
    users, values = ids_files(folder)
    run.build(users, partial(_write_users, tables), None, tables)
    run.build(values, partial(_write_values, tables), None, tables)
    run.build(paths.items(run), partial(_write_items, files), None, tables)
    return Ids.read(folder, paths.items(run))


def distinct(tables: list[Path], name: str) -> pl.Series:
    """Return the known values of a column, ascending."""
    rows = pl.scan_parquet(tables).select(name).drop_nulls().unique().sort(name)
    return rows.collect(engine="streaming").to_series()


def _write_users(tables: list[Path], path: Path) -> None:
    distinct(tables, USER).to_frame().write_parquet(path)


def _write_values(tables: list[Path], path: Path) -> None:
    """Write the values of each category: column, value."""
    values = [
        distinct(tables, name).alias("value").to_frame().with_columns(column=pl.lit(name))
        for name in (SCENE, *CATEGORIES)
    ]
    pl.concat(values).write_parquet(path)


def _write_items(files: Sequence[RawFile], path: Path) -> None:
    """Write item_id, title and entities of each item: the first known ones."""
    found: pl.DataFrame | None = None
    first = [pl.col(name).drop_nulls().first() for name in (TITLE, ENTITIES)]
    for rows in blocks(files, (ITEM, TITLE, ENTITIES)):
        part = rows.group_by(ITEM, maintain_order=True).agg(first)
        both = part if found is None else pl.concat([found, part])
        found = both.group_by(ITEM, maintain_order=True).agg(first)
    assert found is not None
    names = {ITEM: "item_id", TITLE: "title", ENTITIES: "entities"}
    found.sort(ITEM).rename({k: v for k, v in names.items() if k != v}).write_parquet(path)
