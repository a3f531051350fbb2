"""Fit rows that were made for three event types to a log with any number of types."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

Row = TypeVar("Row")

WEIGHTS = ("source_weight", "target_weight", "type_weight")
"""Fields with a number per event type: of frequent, of middle and of rare types."""


def fitted(rows: tuple[Row, ...], n_types: int) -> tuple[Row, ...]:
    """Fit the weights of rows to n_types types, most frequent first.

    The rarest type gets the weight of orders, the most frequent one that of clicks, and those in
    between that of carts. A row that would count no event is left out, and one that differs from an
    earlier row in its name alone.
    """
    kept: list[Row] = []
    for row in rows:
        new = _fitted(row, n_types)
        if new is not None and not any(_same(new, other) for other in kept):
            kept.append(new)
    return tuple(kept)


def _fitted(row: Any, n_types: int) -> Any:
    """Fit a row, or seeds inside it; None where no type has a weight."""
    changes: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if field.name in WEIGHTS:
            changes[field.name] = fitted_weights(value, n_types)
            if not any(changes[field.name]):
                return None
        elif field.name == "types" and value is not None:
            kept = tuple(n for n in range(n_types) if _of_three(n, n_types) in value)
            if not kept:
                return None
            changes[field.name] = kept if len(kept) < n_types else None
        elif is_dataclass(value) and not isinstance(value, type):
            if (inner := _fitted(value, n_types)) is None:
                return None
            changes[field.name] = inner
    return replace(row, **changes)


def fitted_weights(weights: tuple[float, ...], n_types: int) -> tuple[float, ...]:
    """Return a weight per type; a single type weighs 1, if clicks have a weight."""
    if n_types == 1:
        return (float(weights[0] > 0),)
    return tuple(weights[_of_three(n, n_types)] for n in range(n_types))


def _of_three(n: int, n_types: int) -> int:
    """Return the one of three types that stands for type n."""
    return 0 if n == 0 else 2 if n == n_types - 1 else 1


def _same(row: Any, other: Any) -> bool:
    return type(row) is type(other) and row == replace(other, name=row.name)
