"""Read and write dataset.json: the features of the raw files, and whether they are ranks."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from src.core.run import Run
from src.data import paths

FILE = "dataset.json"
ROWS = 100_000  # of a split, about, that say whether the features are ranks


class Description(NamedTuple):
    """What step 1 has found in the raw files."""

    columns: tuple[str, ...]  # features
    ranks: bool  # whether all of them are ranks in lists of documents, 1 for the top


def write(run: Run, split: str, columns: tuple[str, ...]) -> dict[str, object]:
    """Bring dataset.json up to date from the candidates of a split; summarise it."""
    path, given = run.output / FILE, paths.given(run, split)
    run.build(path, partial(_write, given, columns), columns, [given])
    found = read(run.output)
    assert found is not None
    kind = "ranks, 1 is the top" if found.ranks else "values"
    return {"features": len(found.columns), "kind": kind}


def _write(given: Path, columns: tuple[str, ...], path: Path) -> None:
    table = pl.scan_parquet(given).head(ROWS).collect()
    known = any(table[name].null_count() < table.height for name in columns)
    ranks = known and all(is_rank(table["session"], table[name]) for name in columns)
    path.write_text(json.dumps(Description(columns, ranks)._asdict()))


def is_rank(session: pl.Series, values: pl.Series) -> bool:
    """Whether all known values are whole numbers from 1, none of which a query has twice."""
    known = pl.DataFrame({"session": session, "value": values}).drop_nulls()
    number = known["value"].to_numpy()
    whole = bool(((number >= 1) & (number == np.round(number))).all())
    return whole and not known.is_duplicated().any()


def read(output: Path) -> Description | None:
    """Read dataset.json in the folder of the results; None before step 1."""
    path = output / FILE
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    return Description(tuple(found["columns"]), found["ranks"])
