"""Write the rows of a file of a log as texts, batch by batch."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from src.core.run import Run
from src.datasets.interactions.rows import RowReader


def write_texts(run: Run, reader: RowReader, stem: Path) -> int:
    """Write ROWS of a file to <stem>-000000.parquet and further files, in the order of its rows.

    Returns the number of rows. The reader's unit is that of the times afterwards.
    """
    total = 0
    for number, rows in enumerate(run.progress(reader, reader.table.path.name)):
        write_batch(rows, text_file(stem, number))
        total += rows.height
    return total


def text_file(stem: Path, number: int) -> Path:
    """Return the file of a batch; names sort as the batches do."""
    return stem.with_name(f"{stem.name}-{number:06}.parquet")


def write_batch(rows: pl.DataFrame, path: Path) -> None:
    rows.write_parquet(path, compression="lz4")
