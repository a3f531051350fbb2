"""Read the rows of one file of a log: ids as texts, times in ms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import polars as pl
import pyarrow.parquet as pq

from src.core.text_blocks import blocks
from src.datasets.interactions.columns import Columns
from src.datasets.interactions.sources import Table, first_lines
from src.datasets.interactions.time_columns import CURE, TEXTS, to_ms, unit_of

ROWS = pl.Schema(
    {"user": pl.String, "item": pl.String, "ts": pl.Int64, "type": pl.String, "rating": pl.Float32}
)
"""A row of the log; null where a value is missing, and in columns that the file does not have.

user: of the user, or of the session where lists are for sessions. ts: ms since 1970; 0 in a log
without times.
"""

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N")
PARQUET_ROWS = 1 << 20  # read at a time
BLOCK = 32 << 20  # bytes of a text file that are read at a time
SHOWN = 40  # characters of a wrong value in a message


@dataclass
class RowReader:
    """Reads a file block by block; `unit` of its times is that of its first rows."""

    table: Table
    columns: Columns
    unit: str = ""

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield ROWS; raise ValueError with file, line and cure for a value that cannot be read."""
        if self.table.is_parquet:
            for line, texts in self._parquet():
                yield self._rows(texts, line)
        else:
            for line, block in blocks(self.table.path, BLOCK):
                yield from self.block_rows(line, block)

    def block_rows(self, line: int, block: bytes) -> Iterator[pl.DataFrame]:
        """Yield ROWS of whole lines of a text file; nothing where they are blank.

        line: number of the first one. Raises ValueError as `__iter__` does.
        """
        rows = block.removeprefix(b"\xef\xbb\xbf") if line == 1 else block
        if line == 1 and self.table.has_header:
            line, rows = 2, rows.partition(b"\n")[2]
        if rows.strip():
            yield self._rows(self._parse(rows, line), line)

    def _parquet(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield the columns as texts, and the number of the first row of each batch."""
        names = [self.table.names[number] for number in self.columns.numbers]
        line, file = 1, pq.ParquetFile(self.table.path)
        for batch in file.iter_batches(PARQUET_ROWS, columns=names):
            frame = pl.DataFrame(pl.from_arrow(batch))
            named = zip(self.columns.numbers, names, strict=True)
            yield line, frame.select(self._texts(frame[name]).alias(str(n)) for n, name in named)
            line += frame.height

    def _texts(self, values: pl.Series) -> pl.Series:
        try:
            return as_text(values)
        except pl.exceptions.PolarsError:
            raise ValueError(
                f"{self.table.path}: column {values.name} holds {values.dtype}; write numbers, "
                "texts or times"
            ) from None

    def _parse(self, rows: bytes, line: int) -> pl.DataFrame:
        table, wanted = self.table, [str(number) for number in self.columns.numbers]
        separator = table.separator
        if len(separator) > 1:
            rows, separator = rows.replace(separator.encode(), b"\t"), "\t"
        quote = table.quote if b'"' in rows else None
        numbers, width = self.columns.numbers, len(table.names)
        schema = {str(number): pl.String for number in range(width + 1)}
        try:
            frame = pl.read_csv(
                BytesIO(rows), has_header=False, separator=separator, quote_char=quote,
                schema=schema, columns=[*numbers, width], truncate_ragged_lines=True,
            )  # fmt: skip
        except pl.exceptions.PolarsError as error:
            fault = _not_text(rows, line) or f"from line {line} on: {str(error).splitlines()[0]}"
            raise ValueError(f"{table.path}, {fault}; mend it or save it again") from None
        lines = rows.count(b"\n") + (not rows.endswith(b"\n"))
        if quote and frame.height != lines:
            raise ValueError(
                f"{table.path}, from line {line} on: a quoted text has a line break; remove it"
            )
        behind = numbers[-1] >= len(numbers)  # a column that is read stands behind one that is not
        for row in frame[str(width)].is_not_null().arg_true()[: int(behind)]:
            raise self._error(
                line + row, f"more than the {width} cells of the first line; quote the text"
            )
        return frame.select(wanted)

    def _rows(self, texts: pl.DataFrame, line: int) -> pl.DataFrame:
        """Convert a batch of texts to ROWS; line: number of its first row."""
        c = self.columns
        texts = texts.with_columns(pl.all().replace(list(MISSING), None))
        rows = {"user": texts[str(c.user)], "item": texts[str(c.item)]}
        rows["ts"] = self._times([texts[str(number)] for number in c.time], texts.height, line)
        if c.type is not None:
            rows["type"] = texts[str(c.type)]
        if c.rating is not None:
            rows["rating"] = self._ratings(texts[str(c.rating)], line)
        empty = pl.Series([None] * texts.height, dtype=pl.String)
        return pl.DataFrame({name: rows.get(name, empty) for name in ROWS}).cast(ROWS)

    def _times(self, values: list[pl.Series], height: int, line: int) -> pl.Series:
        """Convert times to ms; null where one is missing."""
        if not values:
            return pl.Series([0] * height, dtype=pl.Int64)
        given = pl.select(pl.all_horizontal(v.is_not_null() for v in values)).to_series()
        if not given.any():
            return pl.Series([None] * height, dtype=pl.Int64)
        if not self.unit:
            try:
                self.unit = unit_of([v.filter(given) for v in values])
            except ValueError as error:
                raise self._error(line, str(error)) from None
        ms = to_ms(values, self.unit)
        for row in (given & ms.is_null()).arg_true()[:1]:
            value = " ".join(str(v[row])[:SHOWN] for v in values)
            kind = "" if self.unit == TEXTS else f" in {self.unit}, the unit of the first rows"
            raise self._error(line + row, f"{value!r} is no time from 1970 to 2038{kind}; {CURE}")
        return ms

    def _ratings(self, values: pl.Series, line: int) -> pl.Series:
        ratings = values.str.strip_chars().cast(pl.Float32, strict=False)
        wrong = values.is_not_null() & ~ratings.is_finite().fill_null(False)
        for row in wrong.arg_true()[:1]:
            raise self._error(
                line + row,
                f"{str(values[row])[:SHOWN]!r} is no rating; write a number, "
                "or leave the column out, --columns rating=",
            )
        return ratings

    def _error(self, line: int, fault: str) -> ValueError:
        where = "row" if self.table.is_parquet else "line"
        return ValueError(f"{self.table.path}, {where} {line}: {fault}")


def as_text(values: pl.Series) -> pl.Series:
    """Convert a column of a parquet file; whole numbers that are stored as floats have no point."""
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        is_whole = (whole.cast(values.dtype) == values).fill_null(False)
        return whole.cast(pl.String).zip_with(is_whole, values.cast(pl.String))
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        return values.cast(pl.Datetime("ms")).cast(pl.Int64).cast(pl.String)
    return values.cast(pl.String)


def _not_text(rows: bytes, line: int) -> str:
    """Name the first line that is not UTF-8; "" where all are."""
    for number, text in enumerate(rows.split(b"\n"), line):
        try:
            text.decode()
        except UnicodeDecodeError:
            return f"line {number}: not UTF-8 text"
    return ""


def first_row(table: Table) -> str:
    """Return the first row of a text file, for messages."""
    return (first_lines(table.path, 1) or [""])[0]
