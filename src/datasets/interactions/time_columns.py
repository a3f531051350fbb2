"""Read times as people write them: numbers of any unit, dates, ISO 8601, or two columns."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from src.datasets.times import DAY_MS, NEWEST

UNITS = {"seconds": (0, 10**11), "milliseconds": (10**11, 10**14),
         "microseconds": (10**14, 10**17), "nanoseconds": (10**17, 2**63)}  # fmt: skip
"""Unit of a number -> the smallest one taken for it, and the smallest one of the next unit."""
PER_SECOND = dict(zip(UNITS, (1, 10**3, 10**6, 10**9), strict=True))
DAYS, TEXTS = "dates like 20140421", "dates and times"
FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M", "%Y-%m-%d",
           "%Y-%m-%d %H:%M%#z")  # fmt: skip
MAX_ADDED_MS = 31 * DAY_MS
OWN = 1e9  # seconds since 1970: in 2001
COARSE = 60_000  # ms: where all times are multiples, equal rows may be different events
CURE = "write times as 2014-04-21 12:30:00, or as a number since 1970"


def unit_of(values: Sequence[pl.Series]) -> str:
    """Name the unit of the first rows of one or two columns of times, by form and size.

    Two columns are a date, and a time of day or a number that is added to it. Raises ValueError,
    without the file's name, where no value is a time.
    """
    first = _unit_of_one(values[0])
    if len(values) == 1:
        return first
    return f"{first} + {_unit_of_added(values[1])}"


def _unit_of_one(values: pl.Series) -> str:
    numbers = _numbers(values).drop_nulls()
    if numbers.is_empty():
        return TEXTS
    if _days(values).drop_nulls().len() == numbers.len():
        return DAYS
    usual = float(numbers.median())  # type: ignore[arg-type]
    return next((unit for unit, (_, end) in UNITS.items() if usual < end), "nanoseconds")


def _unit_of_added(values: pl.Series) -> str:
    numbers = _numbers(values).drop_nulls()
    if numbers.is_empty():
        return "time of day"
    largest, usual = float(numbers.max()), float(numbers.median())  # type: ignore[arg-type]
    if largest > MAX_ADDED_MS or usual >= OWN:
        raise ValueError(
            f"{largest:.0f} is added to a date, and looks like a time of its own; name one column "
            "alone, --columns time=ts, or a date and the seconds or ms from it on"
        )
    return "milliseconds" if largest > DAY_MS / 1000 else "seconds"


def to_ms(values: Sequence[pl.Series], unit: str) -> pl.Series:
    """Convert texts to milliseconds since 1970, Int64; null where a text is no time of the unit.

    A number outside of the sizes of its unit, and a time before 1970 or after 2038, is null too.
    """
    first, _, added = unit.partition(" + ")
    if added == "time of day":
        return _in_range(_texts(values[0] + " " + values[1]))
    ms = _ms_of_one(values[0], first)
    if added:
        scale = 1 if added == "milliseconds" else 1000
        ms = ms + (_numbers(values[1]) * scale).cast(pl.Int64)
    return _in_range(ms)


def _ms_of_one(values: pl.Series, unit: str) -> pl.Series:
    if unit == TEXTS:
        return _texts(values)
    if unit == DAYS:
        return _days(values)
    low, end = UNITS[unit]
    whole = values.str.strip_chars().cast(pl.Int64, strict=False)
    if whole.null_count() > values.null_count():  # decimals, or exponents
        numbers = _numbers(values) * (1000 / PER_SECOND[unit])
        return numbers.round().cast(pl.Int64)
    whole = whole.set(~whole.is_between(low, end - 1), None) if low else whole
    return whole * 1000 if unit == "seconds" else whole // (PER_SECOND[unit] // 1000)


def _in_range(ms: pl.Series) -> pl.Series:
    return ms.set(~ms.is_between(0, NEWEST), None)


def _numbers(values: pl.Series) -> pl.Series:
    """Parse numbers; null for other texts, and for what is not finite."""
    numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)


def _days(values: pl.Series) -> pl.Series:
    """Parse dates of eight digits, from 1970 on."""
    days = values.str.strip_chars()
    days = days.set(~days.str.contains(r"^(19[789]|20[0123])\d{5}$"), None)
    return days.str.to_date("%Y%m%d", strict=False).cast(pl.Datetime("ms")).cast(pl.Int64)


def _texts(values: pl.Series) -> pl.Series:
    """Parse dates with or without time, fraction and offset: ISO 8601 and its usual variants."""
    texts = (
        values.str.strip_chars()
        .str.replace(r"^(\d{4})[/.](\d\d?)[/.](\d\d?)", "$1-$2-$3")
        .str.replace(r"^(\d{4}-\d\d?-\d\d?)T", "$1 ")
        .str.replace(r"\s*(Z|UTC|GMT)$", "")
        .str.replace(r"^(\S+ \d\d)$", "$1:00")
    )
    ms = pl.Series([None] * texts.len(), dtype=pl.Int64)
    for form in FORMATS:
        left = ms.is_null() & texts.is_not_null()
        if not left.any():
            break
        parsed = texts.set(~left, None).str.to_datetime(form, strict=False, time_unit="ms")
        ms = ms.fill_null(parsed.cast(pl.Int64))
    return ms
