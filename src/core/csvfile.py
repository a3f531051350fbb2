"""CSV files of whole numbers, checked: what is wrong is told with its line and column."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import polars as pl

SHOWN = 40  # characters of a wrong value


def read_integers(path: Path, columns: dict[str, str], small: Collection[str] = ()) -> pl.DataFrame:
    """The named columns of a CSV file as Int64, renamed; other columns are left out.

    Numbers are from 0 to 2^63 - 1; of `small` columns, to 2^31 - 1. Raises ValueError, naming
    file, line, column and cure, where something is wrong.
    """
    try:
        text = pl.read_csv(
            path, infer_schema=False, columns=_present(path, columns), quote_char=None
        )
    except pl.exceptions.PolarsError as error:
        told = _first_fault(path) or str(error).partition("\n")[0]
        raise ValueError(f"{path}: {told}; download it again") from None
    if text.is_empty():
        raise ValueError(f"{path} holds no rows; download it again")
    numbers = text.select(pl.col(c).str.strip_chars().cast(pl.Int64, strict=False) for c in columns)
    for name in columns:
        bits = 31 if name in small else 63
        right = numbers[name].is_between(0, 2**bits - 1).fill_null(False)
        if not right.all():
            row = int(right.arg_min() or 0)
            value = (text[name][row] or "")[:SHOWN]
            raise ValueError(
                f"{path}, line {row + 2}: {name} is {value!r}, not a whole number from 0 to "
                f"2^{bits} - 1; mend or drop the line"
            )
    return numbers.rename(columns)


def _present(path: Path, columns: dict[str, str]) -> list[str]:
    """The wanted columns; raises when the header lacks one."""
    with open(path, "rb") as file:
        header = file.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n")
    names = header.split(",")
    if not header:
        raise ValueError(f"{path} is empty; download it again")
    for told, wrong in (
        ("no column", [name for name in columns if name not in names]),
        ("more than one column", [name for name in columns if names.count(name) > 1]),
    ):
        if wrong:
            raise ValueError(
                f"{path}, line 1: {told} {', '.join(wrong)}; download it again, or mend the "
                f"header, which is {header[:200]!r}"
            )
    return list(columns)


def _first_fault(path: Path) -> str | None:
    """The first line that is not text, or has another number of fields than the header."""
    with open(path, "rb") as file:
        fields = None
        for number, line in enumerate(file, 1):
            try:
                found = line.decode("utf-8").count(",")
            except UnicodeDecodeError:
                return f"line {number} is not UTF-8 text"
            fields = found if fields is None else fields
            if found != fields:
                return f"line {number} has {found + 1} fields, the header {fields + 1}"
    return None
