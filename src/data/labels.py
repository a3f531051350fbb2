"""Read the judged items of queries: all of them, or the positives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import F32, I32
from src.data.schemas import LABELS


def scan_labels(path: Path) -> pl.LazyFrame:
    """Scan a LABELS table; raise ValueError for columns of another form, such as no grade."""
    found = pl.read_parquet_schema(path)
    if found != LABELS:
        columns = ", ".join(found)
        raise ValueError(f"{path} has columns {columns}, not {', '.join(LABELS)}; run step 1 again")
    return pl.scan_parquet(path)


def scan_positives(path: Path) -> pl.LazyFrame:
    """Scan the rows of a LABELS table with a grade above 0; errors as in `scan_labels`."""
    return scan_labels(path).filter(pl.col("grade") > 0)


def grades_of(session: I32, item: I32, truth: pl.DataFrame, unknown: float = 0.0) -> F32:
    """Look up the grade of each candidate: float32 (candidates), `unknown` for one not judged.

    truth: session, item, grade, without duplicates; sessions as those of the candidates.
    """
    rows = pl.DataFrame({"session": session, "item": item})
    judged = truth.select("session", "item", "grade")
    joined = rows.join(judged, on=["session", "item"], how="left", maintain_order="left")
    return joined["grade"].fill_null(unknown).to_numpy().astype(np.float32, copy=False)
