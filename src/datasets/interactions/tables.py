"""Read tables of items and users: ids, titles, and attributes as numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

import polars as pl
import pyarrow.parquet as pq

from src.core.text_blocks import blocks
from src.datasets.interactions.columns import NAMES, WHO, plain
from src.datasets.interactions.rows import MISSING, as_text
from src.datasets.interactions.sources import Table
from src.datasets.interactions.time_columns import to_ms, unit_of

TITLES = ("title", "name", "movietitle", "itemname", "itemtitle", "productname", "headline")
CREATED = ("created", "createdat", "createdatts", "creationtime", "published", "publishedat",
           "publishdate", "publicationdate", "releasedate")  # fmt: skip
MAX_VALUES = 1000  # of a text column that is an attribute; one of more texts tells items apart
MAX_FLAGS = 32  # most frequent values of a column of lists that get a column of their own
NUMBERS = 0.95  # of the known values of an attribute that is a number; others are unknown
OLDEST = 10**8  # seconds since 1970 of times; smaller numbers are others
NUMBER, CATEGORY, FLAG = "number", "category", "flag"
"""Kinds of attributes. A category has codes from 1, a flag is 0 or 1."""


def table_ids(table: Table, role: str) -> pl.Series:
    """Read the ids of a table as texts; role: "item", "user" or "session"."""
    return read_table(table, role).to_series()


def read_table(table: Table, role: str) -> pl.DataFrame:
    """Read a table as texts, its first column the id.

    Raises ValueError, with the cure, for a table without a column of ids, or with an id twice.
    """
    names = [plain(name) for name in table.names]
    roles = (role,) if role == "item" else (role, *(who for who in WHO if who != role))
    known = [name for who in roles for name in (*NAMES[who], "id") if name in names]
    if not known:
        raise ValueError(
            f"{table.path}, line 1: no {role} column among {', '.join(table.names)[:200]}; "
            f"name the column of the ids {role}_id, or move the file out of the folder"
        )
    id_column = table.names[names.index(known[0])]
    for name in table.names:
        if table.names.count(name) > 1:
            raise ValueError(f"{table.path}, line 1: two columns {name}; rename one")
    texts = _texts(table)
    if id_column not in texts.columns:
        raise ValueError(
            f"{table.path}, line 1: {id_column} stands beside invisible characters; remove them"
        )
    texts = texts.with_columns(pl.all().replace(list(MISSING), None))
    texts = texts.drop_nulls(id_column)
    for twice in texts[id_column].filter(texts[id_column].is_duplicated())[:1]:
        raise ValueError(f"{table.path}: {role} {twice!r} has two rows; keep one")
    return texts.select(id_column, pl.exclude(id_column))


def _texts(table: Table) -> pl.DataFrame:
    """Read all columns as texts, under the names of the file."""
    if table.is_parquet:
        frame = pl.DataFrame(pl.from_arrow(pq.read_table(table.path)))
        simple = frame.select(~(pl.selectors.nested() | pl.selectors.binary()))
        return simple.select(as_text(column) for column in simple)
    content = b"".join(block for _, block in blocks(table.path)).removeprefix(b"\xef\xbb\xbf")
    separator = table.separator
    if len(separator) > 1:
        content, separator = content.replace(separator.encode(), b"\t"), "\t"
    try:
        return pl.read_csv(
            BytesIO(content), infer_schema=False, separator=separator, quote_char=table.quote
        )
    except pl.exceptions.PolarsError as error:
        fault = str(error).splitlines()[0]
        raise ValueError(f"{table.path}: {fault}; mend it or save it again as UTF-8") from None


def attributes(texts: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """Convert the columns behind the id: title, created (s), and attributes; null where unknown.

    Returns the id and these columns, and the kind of each attribute.
    """
    columns, kinds = {"id": texts.to_series().rename("id")}, dict[str, str]()
    for column in texts.iter_columns():
        name, plain_name = _name(column.name), plain(column.name)
        if column.name == texts.columns[0] or column.null_count() == column.len():
            continue
        if plain_name in TITLES and "title" not in columns:
            columns["title"] = column
        elif plain_name in CREATED and "created" not in columns and _are_times(column):
            columns["created"] = _seconds(column)
        else:
            for attribute, values, kind in _attribute(name, column):
                if attribute not in columns:
                    columns[attribute], kinds[attribute] = values, kind
    return pl.DataFrame(columns), kinds


def _name(name: str) -> str:
    return re.sub(r"\W+", "_", name.partition(":")[0].strip()) or "_"


def _are_times(column: pl.Series) -> bool:
    """Whether nearly all texts are times; numbers such as years are none."""
    seconds = _seconds(column).drop_nulls()
    usual = float(seconds.median() or 0.0)  # type: ignore[arg-type]
    return seconds.len() >= NUMBERS * column.count() and usual >= OLDEST


def _seconds(column: pl.Series) -> pl.Series:
    """Convert times to seconds, Int32; null where a text is no time."""
    known = column.drop_nulls()
    ms = to_ms([column], unit_of([known]))
    return (ms // 1000).cast(pl.Int32)


def _attribute(name: str, column: pl.Series) -> Iterator[tuple[str, pl.Series, str]]:
    """Yield name, values and kind of the attributes that a column gives."""
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False).cast(pl.Float32)
    # a token of RecBole may be a code of digits and letters
    share = 1.0 if column.name.endswith(":token") else NUMBERS
    if numbers.count() >= share * column.count():
        # one that is infinite in float32 is unknown
        yield name, numbers.set(~numbers.is_finite(), None), NUMBER
        return
    known = column.drop_nulls().n_unique()
    if known <= MAX_VALUES and (known <= column.len() / 2 or known <= MAX_FLAGS):
        ranks = column.rank("dense").cast(pl.Int32)
        yield name, ranks, CATEGORY
    lists = column.str.split(" " if column.name.endswith(":token_seq") else "|")
    words = lists.explode(empty_as_null=False).drop_nulls()
    counts = words.value_counts().sort(["count", column.name], descending=[True, False])
    if known < counts.height or lists.list.len().max() == 1 or counts.height > MAX_VALUES:
        return
    for word in counts[column.name][:MAX_FLAGS]:
        yield f"{name}_{_name(word)}", lists.list.contains(word).cast(pl.Int32), FLAG


def code_of(values: pl.Series, kind: str) -> pl.Series:
    """Convert an attribute of users to Int32; 0 where unknown.

    Numbers with fractions, and those too large, become ranks.
    """
    known = values.drop_nulls()
    is_whole = (known == known.cast(pl.Int32, strict=False)).fill_null(False)
    if kind == NUMBER and not is_whole.all():
        values = values.rank("dense")
    return values.cast(pl.Int32, strict=False).fill_null(0)
