"""Find and read the raw files: <period>/behaviors.parquet and <period>/history.parquet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

PERIODS = ("train", "validation", "test")
VIEW, CLICKED = "article_ids_inview", "article_ids_clicked"
REQUIRED = ("impression_id", "impression_time", VIEW, "user_id")
OF_USER = ("is_sso_user", "is_subscriber", "gender", "age", "postcode")
OF_NEXT = ("next_read_time", "next_scroll_percentage")
OPTIONAL = ("article_id", "session_id", "device_type", *OF_USER, CLICKED, *OF_NEXT)
HISTORY = ("user_id", "article_id_fixed", "impression_time_fixed")
OF_PAGE = ("read_time_fixed", "scroll_percentage_fixed")
READ_S, SCROLLED = 30.0, 100.0
"""Seconds that a page is open at least, and per cent of it that are seen, to count as read."""

BEHAVIORS = pl.Schema([
    ("row", pl.Int64), ("impression_id", pl.Int64), ("ts", pl.Int32), ("view", pl.List(pl.Int64)),
    ("clicked", pl.List(pl.Int64)), ("user_id", pl.Int64), ("article_id", pl.Int64),
    ("session_id", pl.Int64), ("device_type", pl.Int32), *((name, pl.Float32) for name in OF_USER),
    ("read", pl.Int8), ("scroll", pl.Int8),
])  # fmt: skip
"""Impressions in the order of the file; row: its number in the file, from 0, which is its key.

clicked is null where the file has no clicks; other columns are null where the file has none. read,
scroll: whether the page that was opened next was read for READ_S, and to SCROLLED.
"""

RAW_NAMES = {"view": VIEW, "clicked": CLICKED, "ts": "impression_time"}
"""Names in the files, of columns that have others here."""

READ = pl.Schema({
    "user_id": pl.Int64, "article_id": pl.Int64, "ts": pl.Int32, "read": pl.Int8,
    "scroll": pl.Int8,
})  # fmt: skip


@dataclass(frozen=True)
class Period:
    """The raw files of one period."""

    name: str  # of PERIODS
    behaviors: Path
    history: Path | None

    @property
    def stats(self) -> list[tuple[str, int, int]]:
        """Name, size and time of change of each file."""
        files = [file for file in (self.behaviors, self.history) if file]
        return [(f"{self.name}/{f.name}", f.stat().st_size, f.stat().st_mtime_ns) for f in files]

    def read(self) -> pl.DataFrame:
        """Read BEHAVIORS; raise ValueError, naming file, row or column, for what is malformed."""
        return read_behaviors(self.behaviors)

    def read_history(self) -> pl.DataFrame:
        """Read the pages that users read before the period, READ."""
        if self.history is None:
            return pl.DataFrame(schema=READ)
        rows = read_columns(self.history, HISTORY, OF_PAGE)
        first, *others = (name for name in rows.columns if name != HISTORY[0])
        for name in others:
            differ = rows[first].list.len() != rows[name].list.len()
            for row in differ.arg_true()[:1]:
                raise ValueError(
                    f"{self.history}, row {row}: {first} and {name} differ in length; "
                    "download it again"
                )
        rows = rows.explode(first, *others, empty_as_null=False)
        rows = rows.with_columns(pl.lit(None).alias(n) for n in OF_PAGE if n not in rows.columns)
        rows = rows.rename({HISTORY[1]: "article_id", HISTORY[2]: "ts"}).with_columns(
            seconds(pl.col("ts")), **outcomes(*OF_PAGE)
        )
        rows = cast(rows.select(READ.names()), READ, self.history)
        return rows.drop_nulls(["user_id", "article_id", "ts"])


def find(folder: Path) -> dict[str, Period]:
    """Return the periods of a folder by name; FileNotFoundError without a training period."""
    found = {}
    for name in PERIODS:
        behaviors, history = (folder / name / f"{t}.parquet" for t in ("behaviors", "history"))
        if behaviors.is_file():
            found[name] = Period(name, behaviors, history if history.is_file() else None)
    if "train" not in found:
        raise FileNotFoundError(
            f"no train/behaviors.parquet in {folder}; unpack EB-NeRD there, folders train, "
            "validation (may be absent) and test"
        )
    return found


def read_columns(path: Path, required: tuple[str, ...], more: tuple[str, ...] = ()) -> pl.DataFrame:
    """Read columns of a parquet file, and more where it has them; ValueError without one."""
    try:
        names = pl.read_parquet_schema(path)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{path} is no parquet file; download it again") from error
    for name in required:
        if name not in names:
            raise ValueError(f"{path} has no column {name}; give a file of EB-NeRD's form")
    return pl.read_parquet(path, columns=[*required, *(name for name in more if name in names)])


def seconds(time: pl.Expr) -> pl.Expr:
    """Convert a time to seconds since 1970; fractions are dropped."""
    return time.cast(pl.Datetime("us")).dt.epoch("s")


def cast(table: pl.DataFrame, schema: pl.Schema, path: Path) -> pl.DataFrame:
    """Convert columns to their types, NaN to null; ValueError, naming file, column and row."""
    table = table.with_columns(pl.selectors.float().fill_nan(None))
    for name, dtype in schema.items():
        try:
            table = table.with_columns(pl.col(name).cast(dtype))
        except pl.exceptions.PolarsError:
            wrong = table[name].cast(dtype, strict=False).is_null() & table[name].is_not_null()
            row = "".join(f", row {row}" for row in wrong.arg_true()[:1])
            raise ValueError(
                f"{path}, column {RAW_NAMES.get(name, name)}{row}: {table.schema[name]} that is no "
                f"{dtype}; give a file of EB-NeRD's form"
            ) from None
    return table


def outcomes(read_time: str, scroll: str) -> dict[str, pl.Expr]:
    """Say whether a page was read, and seen to its end; null where the number is missing."""
    time, share = (pl.col(name).cast(pl.Float32).fill_nan(None) for name in (read_time, scroll))
    return {"read": (time >= READ_S).cast(pl.Int8), "scroll": (share >= SCROLLED).cast(pl.Int8)}


def read_behaviors(path: Path) -> pl.DataFrame:
    """Read BEHAVIORS; raise ValueError, naming file, row or column, for what is malformed."""
    raw = read_columns(path, REQUIRED, OPTIONAL)
    for name in (VIEW, CLICKED):
        if name in raw.columns and not isinstance(raw.schema[name], pl.List):
            raise ValueError(f"{path}, column {name}: {raw.schema[name]} is no list of articles")
    if not raw.schema["impression_time"].is_temporal():
        kind = raw.schema["impression_time"]
        raise ValueError(f"{path}, column impression_time: {kind} is no time; give a datetime")
    if raw.is_empty():
        raise ValueError(f"{path} holds no impressions; download it again")
    for name in ("impression_time", "user_id"):
        for row in raw[name].is_null().arg_true()[:1]:
            raise ValueError(f"{path}, row {row}: no {name}; drop the row or fill it in")
    rows = raw.with_columns(pl.lit(None).alias(n) for n in OPTIONAL if n not in raw.columns)
    rows = cast(rows.with_row_index("row").with_columns(
        seconds(pl.col("impression_time")).alias("ts"),
        pl.col("impression_id").fill_null(0),
        pl.col(VIEW).fill_null([]).alias("view"), pl.col(CLICKED).alias("clicked"),
        **outcomes(*OF_NEXT),
    ).select(BEHAVIORS.names()), BEHAVIORS, path)  # fmt: skip
    for row in rows["view"].list.eval(pl.element().is_null().any()).list.first().arg_true()[:1]:
        raise ValueError(f"{path}, row {row}: an empty place in {VIEW}; drop the place")
    return rows
