"""Parquet files in pieces, so that no table has to be in memory whole."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq


class TableWriter:
    """Appends frames of one schema to a parquet file, a row group each; a context manager."""

    def __init__(self, path: Path, schema: pl.Schema) -> None:
        self.schema = schema
        arrow = pl.DataFrame(schema=schema).to_arrow().schema
        self.file = pq.ParquetWriter(
            path, arrow, compression="zstd", compression_level=1, use_dictionary=[arrow.names[0]]
        )

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def add(self, piece: pl.DataFrame) -> None:
        """Append a frame; nothing where it is empty."""
        if not piece.is_empty():
            self.file.write_table(piece.match_to_schema(self.schema).to_arrow())


def count_rows(*paths: Path) -> int:
    """Rows of some parquet files together, from their footers."""
    return sum(int(pq.read_metadata(path).num_rows) for path in paths)
