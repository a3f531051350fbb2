"""Read whole numbers from CSV files; name the line and column of a wrong value."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import polars as pl

SHOWN = 40  # characters of a wrong value in a message
DAMAGED = "download it again, or mend the header"


def read_integers(path: Path, columns: dict[str, str], int32: Collection[str] = ()) -> pl.DataFrame:
    """Read columns of a CSV file as Int64, with numbers from 0 to 2^63 - 1.

    columns: name in the file -> new name. int32: names whose numbers end at 2^31 - 1. Raises
    ValueError with file, line, column and cure where a column or a value is wrong.
    """
    read_header(path, columns)
    try:
        text = pl.read_csv(path, infer_schema=False, columns=list(columns), quote_char=None)
    except pl.exceptions.PolarsError as error:
        fault = _first_fault(path) or str(error).partition("\n")[0]
        raise ValueError(f"{path}: {fault}; download it again") from None
    if text.is_empty():
        raise ValueError(f"{path} holds no rows; download it again")
    numbers = text.select(pl.col(c).str.strip_chars().cast(pl.Int64, strict=False) for c in columns)
    for name in columns:
        bits = 31 if name in int32 else 63
        valid = numbers[name].is_between(0, 2**bits - 1).fill_null(False)
        if not valid.all():
            row = int(valid.arg_min() or 0)
            value = (text[name][row] or "")[:SHOWN]
            raise ValueError(
                f"{path}, line {row + 2}: {name} is {value!r}, not a whole number from 0 to "
                f"2^{bits} - 1; mend or drop the line"
            )
    return numbers.rename(columns)


def read_header(
    path: Path, needed: Collection[str], optional: Collection[str] = (), cure: str = DAMAGED,
    quoted: bool = False,
) -> list[str]:  # fmt: skip
    """Read the names of the columns; quoted: they may have quotes and blanks around them.

    Raises ValueError, with the cure, unless each of the needed columns stands exactly once, and
    each of the optional ones at most once.
    """
    with open(path, "rb") as file:
        header = file.readline().decode("utf-8-sig", errors="replace").strip()
    names = header.split(",")
    names = [name.strip().strip('"') for name in names] if quoted else names
    if not header:
        raise ValueError(f"{path} is empty; download it again")
    for fault, wrong in (
        ("no column", [name for name in needed if name not in names]),
        ("more than one column", [n for n in (*needed, *optional) if names.count(n) > 1]),
    ):
        if wrong:
            raise ValueError(
                f"{path}, line 1: {fault} {', '.join(wrong[:3])}; {cure}; it is {header[:200]!r}"
            )
    return names


def _first_fault(path: Path) -> str | None:
    """Name the first line that is not UTF-8, or has more or fewer fields than the header."""
    with open(path, "rb") as file:
        header_fields = None
        for number, line in enumerate(file, 1):
            try:
                fields = line.decode("utf-8").count(",") + 1
            except UnicodeDecodeError:
                return f"line {number} is not UTF-8 text"
            header_fields = header_fields or fields
            if fields != header_fields:
                return f"line {number} has {fields} fields, the header {header_fields}"
    return None
