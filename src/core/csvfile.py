"""Read whole numbers from CSV files; name the line and column of a wrong value."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import polars as pl

SHOWN = 40  # characters of a wrong value in a message


def read_integers(path: Path, columns: dict[str, str], int32: Collection[str] = ()) -> pl.DataFrame:
    """Read columns of a CSV file as Int64, with numbers from 0 to 2^63 - 1.

    columns: name in the file -> new name. int32: names whose numbers end at 2^31 - 1. Raises
    ValueError with file, line, column and cure where a column or a value is wrong.
    """
    _check_header(path, columns)
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


def _check_header(path: Path, columns: dict[str, str]) -> None:
    """Raise ValueError unless the header has each of the columns exactly once."""
    with open(path, "rb") as file:
        header = file.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n")
    names = header.split(",")
    if not header:
        raise ValueError(f"{path} is empty; download it again")
    for fault, wrong in (
        ("no column", [name for name in columns if name not in names]),
        ("more than one column", [name for name in columns if names.count(name) > 1]),
    ):
        if wrong:
            raise ValueError(
                f"{path}, line 1: {fault} {', '.join(wrong)}; download it again, or mend the "
                f"header, which is {header[:200]!r}"
            )


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
