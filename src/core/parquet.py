"""Write parquet files frame by frame; count their rows."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq


class TableWriter:
    """Appends frames of one schema to a parquet file, a row group each.

    A context manager. No more than a frame has to be in memory. Numbers are encoded so that they
    take little disk. Spark's vectorised reader reads the integers, but no column of floats.
    """

    def __init__(self, path: Path, schema: pl.Schema) -> None:
        self.schema = schema
        arrow = pl.DataFrame(schema=schema).to_arrow().schema
        integers = [name for name, dtype in schema.items() if dtype.is_integer()]
        floats = [name for name, dtype in schema.items() if dtype.is_float()]
        encoding = dict.fromkeys(integers, "DELTA_BINARY_PACKED")
        encoding |= dict.fromkeys(floats, "BYTE_STREAM_SPLIT")
        self.file = pq.ParquetWriter(
            path, arrow, compression="zstd", compression_level=1,
            use_dictionary=[name for name in schema if name not in encoding],
            column_encoding=encoding,
        )  # fmt: skip

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def add(self, frame: pl.DataFrame) -> None:
        """Append a frame, unless it is empty."""
        if not frame.is_empty():
            self.file.write_table(frame.match_to_schema(self.schema).to_arrow())


def count_rows(*paths: Path) -> int:
    """Sum the rows of parquet files, from their footers."""
    return sum(int(pq.read_metadata(path).num_rows) for path in paths)
