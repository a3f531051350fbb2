"""Units of time, the type of weights, and bounds of numbers in recipe rows."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

HOUR = 3600
DAY = 24 * HOUR

Weights = tuple[float, ...]
"""One number per event type, in the order of `Recipe.types`; 0 excludes the type."""


def check_numbers(what: str, row: Any) -> None:
    """Raise ValueError where a number of a row is below its bound.

    Integers are counts, at least 1; one that is 0 by default may be 0. Other numbers, and integers
    where the default is no integer, are at least 0 and no NaN.
    """
    for field in fields(row):
        value, default = getattr(row, field.name), field.default
        if isinstance(value, float) or (type(value) is int and isinstance(default, float)):
            least = 0
        elif type(value) is int and default is not MISSING:
            least = 0 if default == 0 else 1
        else:
            continue
        if not value >= least:
            raise ValueError(f"{what}: {field.name} is at least {least}, not {value}")
