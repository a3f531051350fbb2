"""OTTO's kind of submission and of published truth: written, and what the raw files ask for.

A row is `<session>_<objective>,<item> <item> ...`: every query and objective once, 1 to k items.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.core.arrays import I64
from src.core.text_blocks import blocks
from src.data.recipe import Recipe
from src.data.schemas import Lists
from src.datasets.otto.jsonl import decode, find, parse
from src.datasets.otto.jsonl_kernel import LARGEST
from src.datasets.submission_rows import TRUTH, Asked, Layout, check

if TYPE_CHECKING:
    from src.core.run import Run


HEADER = "session_type,labels"
QUERIES = 200_000  # written at a time
LINES = 8 << 20  # bytes of published truth read at a time


def otto_layout(recipe: Recipe) -> Layout:
    """How the organisers want it."""
    names = tuple(o.name for o in recipe.objectives)
    row = "<session>_<objective>,<items>"
    return Layout(HEADER, row, "session", names, between=" ", k=recipe.k, exactly=False)


def write_otto(run: Run, split: str, lists: Lists, path: Path) -> None:
    """Write a submission for the queries of a split; ValueError if it would not be accepted."""
    table = pl.read_parquet(run.output / split / "sessions.parquet")
    item_ids = pl.read_parquet(run.output / "items.parquet")["item_id"].to_numpy()
    queries = table.filter("query")["session"].to_numpy()
    write_rows(path, lists, table["session"].to_numpy(), item_ids)
    if faults := check(path, otto_layout(run.recipe), Asked(queries, item_ids)):
        raise ValueError(f"the submission would be refused: {'; '.join(faults[:3])}")


def write_rows(path: Path, lists: Lists, sessions: I64, item_ids: I64) -> None:
    """Lists as CSR rows; sessions and item_ids hold the raw id of each dense one."""
    with open(path, "wb") as file:
        file.write(f"{HEADER}\n".encode())
        for objective, (dense, items) in lists.items():
            for at in range(0, dense.size, QUERIES):
                some = items[at : at + QUERIES]
                raw = pl.from_numpy(np.where(some < 0, -1, item_ids[some]))
                texts = [pl.when(c >= 0).then(c.cast(pl.String)) for c in map(pl.col, raw.columns)]
                session = pl.Series(sessions[dense[at : at + QUERIES]])
                raw.select(
                    pl.format("{}_{}", session, pl.lit(objective)),
                    labels=pl.concat_str(texts, separator=" ", ignore_nulls=True),
                ).write_csv(file, include_header=False, quote_style="never")


def otto_asked(folder: Path, recipe: Recipe) -> Asked:
    """The sessions of the test file; the items of both files, where train is there too."""
    if find(folder, "test") is None:
        raise FileNotFoundError(
            f"{folder / 'test.jsonl'} not found (nor .gz, .zst); name the folder of the raw files "
            "with INPUT="
        )
    paths = [path for stem in ("test", "train") if (path := find(folder, stem))]
    sessions = items = pl.Series(dtype=pl.Int64)
    for path in paths:
        for line, block in blocks(path):
            table = parse(block, line, path, recipe.types)
            items = pl.concat([items, table["aid"]]).unique()
            if path is paths[0]:
                sessions = pl.concat([sessions, table["session"]]).unique()
    if sessions.is_empty():
        raise ValueError(f"{paths[0]} is empty; download it again")
    return Asked(sessions.to_numpy(), items.to_numpy() if len(paths) > 1 else None)


def otto_facts(path: Path, recipe: Recipe) -> tuple[int, int, int]:
    """Sessions of a raw file, and the ms of its first and last event."""
    tables = (parse(block, line, path, recipe.types) for line, block in blocks(path))
    facts = [(int((t["position"] == 0).sum()), t["ts"].min(), t["ts"].max()) for t in tables]
    if not facts:
        raise ValueError(f"{path} is empty; download it again")
    rows, first, last = zip(*facts, strict=True)
    return sum(rows), min(first), max(last)


def otto_truth(path: Path, recipe: Recipe) -> pl.DataFrame:
    """session, objective, item of JSON lines {"session": 1, "labels": {"clicks": 7, "carts": [8]}}.

    An objective has an item, a list of them, null, or is not there.
    """
    names = {o.name: n for n, o in enumerate(recipe.objectives)}
    tables, sessions = [], array("q")
    for first, block in blocks(path, LINES):
        columns = array("q"), array("q"), array("q")
        for line, text in enumerate(block.split(b"\n"), first):
            try:
                _labels(text, names, sessions, columns)
            except ValueError as error:
                raise ValueError(f"{path}, line {line}: {error}") from None
        tables.append(pl.DataFrame(dict(zip(TRUTH, map(np.array, columns), strict=True)), TRUTH))
    seen = pl.Series(np.array(sessions))
    for session in seen.filter(seen.is_duplicated())[:1]:
        raise ValueError(f"{path}: session {session} stands twice; keep one")
    if seen.is_empty():
        raise ValueError(f"{path} is empty; download it again")
    return pl.concat(tables).unique(maintain_order=True)


def _labels(
    text: bytes, names: dict[str, int], sessions: array[int], columns: tuple[array[int], ...]
) -> None:
    """Append what a line says; ValueError says what is wrong with it."""
    if not text.strip():
        return
    found = decode(text)
    if not isinstance(found, dict) or not isinstance(found.get("labels"), dict):
        raise ValueError('no {"session": ..., "labels": {...}}; give the released truth')
    session = _id(found.get("session"), "the session")
    sessions.append(session)
    for name, value in found["labels"].items():
        if name not in names:
            raise ValueError(f"unknown objective {name!r}; they are {', '.join(names)}")
        for item in value if isinstance(value, list) else [] if value is None else [value]:
            for column, number in zip(
                columns, (session, names[name], _id(item, name)), strict=True
            ):
                column.append(number)


def _id(value: object, what: str) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise ValueError(f"{what}: {str(value)[:40]}; give whole numbers from 0 to 2^63 - 1")
    return value
