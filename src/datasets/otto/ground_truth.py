"""Read the labels that OTTO's organisers published after the competition."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
import polars as pl

from src.core.text_blocks import blocks
from src.data.recipe import Recipe
from src.data.schemas import POSITIVE
from src.datasets.otto.jsonl import SHOWN, decode
from src.datasets.otto.jsonl_kernel import LARGEST
from src.datasets.submission_rows import TRUTH

BLOCK = 8 << 20  # bytes read at a time


def read_ground_truth(path: Path, recipe: Recipe) -> pl.DataFrame:
    """Read JSON lines {"session": 1, "labels": {"clicks": 7, "carts": [8]}} as a TRUTH table.

    An objective has an item, a list of items or null, or is absent. Raises ValueError, naming file,
    line and cure, for a fault.
    """
    objectives = {name: n for n, name in enumerate(recipe.objective_names)}
    tables, sessions = [], array("q")
    for first, block in blocks(path, BLOCK):
        columns = array("q"), array("q"), array("q")
        for line, text in enumerate(block.split(b"\n"), first):
            try:
                _parse_line(text, objectives, sessions, columns)
            except ValueError as error:
                raise ValueError(f"{path}, line {line}: {error}") from None
        rows = dict(zip(TRUTH, map(np.array, columns), strict=False))
        tables.append(pl.DataFrame(rows).with_columns(POSITIVE).cast(TRUTH))
    seen = pl.Series(np.array(sessions))
    for session in seen.filter(seen.is_duplicated())[:1]:
        raise ValueError(f"{path}: session {session} appears twice; keep one")
    if seen.is_empty():
        raise ValueError(f"{path} is empty; download it again")
    return pl.concat(tables).unique(maintain_order=True)


def _parse_line(
    text: bytes,
    objectives: dict[str, int],
    sessions: array[int],
    columns: tuple[array[int], array[int], array[int]],
) -> None:
    """Append the session and the ids of the TRUTH rows of a line; raise ValueError for a fault."""
    if not text.strip():
        return
    value = decode(text)
    if not isinstance(value, dict) or not isinstance(value.get("labels"), dict):
        raise ValueError('no {"session": ..., "labels": {...}}; give the published labels')
    session = _id(value.get("session"), "the session")
    sessions.append(session)
    for name, label in value["labels"].items():
        if name not in objectives:
            raise ValueError(f"unknown objective {name!r}; they are {', '.join(objectives)}")
        items = label if isinstance(label, list) else [] if label is None else [label]
        for item in items:
            row = session, objectives[name], _id(item, name)
            for column, number in zip(columns, row, strict=True):
                column.append(number)


def _id(value: object, name: str) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise ValueError(f"{name}: {str(value)[:SHOWN]}; give whole numbers from 0 to 2^63 - 1")
    return value
