"""Write a recipe as plain data, and read it back."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from importlib import import_module
from math import isfinite
from typing import Any

from src.data.recipe import Recipe

CLASS, FLOAT = "class", "float"
"""Keys of rows, and of numbers that JSON lacks: infinity."""


def as_data(value: Any) -> Any:
    """Convert rows, tuples and numbers to dicts, lists and numbers of JSON.

    A row has its class beside its fields. Raises TypeError for any other value.
    """
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        parts = {field.name: as_data(getattr(value, field.name)) for field in fields(value)}
        return {CLASS: f"{kind.__module__}:{kind.__qualname__}", **parts}
    if isinstance(value, tuple):
        return [as_data(inner) for inner in value]
    if isinstance(value, float) and not isfinite(value):
        return {FLOAT: str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"cannot write a {type(value).__name__} of a recipe as data")


def from_data(data: Any) -> Any:
    """Convert the result of `as_data` back; ValueError for a class or field that src/ lacks."""
    if isinstance(data, list):
        return tuple(from_data(inner) for inner in data)
    if not isinstance(data, dict):
        return data
    if FLOAT in data:
        return float(data[FLOAT])
    kind = _class_named(str(data.get(CLASS)))
    known = {field.name for field in fields(kind)}
    if unknown := sorted(data.keys() - known - {CLASS}):
        raise ValueError(f"{data[CLASS]} has no field {unknown[0]}: the recipe is of other code")
    return kind(**{name: from_data(value) for name, value in data.items() if name != CLASS})


def _class_named(name: str) -> Any:
    """Return a class of rows of src/: no other code can be named."""
    module, _, attribute = name.partition(":")
    try:
        kind = getattr(import_module(module), attribute) if module.startswith("src.") else None
    except (ImportError, AttributeError):
        kind = None
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise ValueError(f"no kind of row is named {name}: the recipe is of other code")
    return kind


def recipe_of(data: Any) -> Recipe:
    """Read a recipe; ValueError for any other data."""
    recipe = from_data(data)
    if not isinstance(recipe, Recipe):
        raise ValueError("the recipe of the bundle is none")
    return recipe
