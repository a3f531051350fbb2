"""Tables that are written frame by frame: all values, and numbers in few bytes.

pytest tests/core/test_parquet.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from src.core.parquet import TableWriter, count_rows

SCHEMA = pl.Schema({"name": pl.String, "session": pl.Int32, "rank": pl.UInt16, "score": pl.Float32})


def test_a_table_has_all_rows_and_its_numbers_are_encoded(tmp_path: Path) -> None:
    rng, n = np.random.default_rng(0), 1000
    columns = {
        "name": rng.choice(["a", "b"], n), "session": np.sort(rng.integers(90, size=n)),
        "rank": rng.integers(65_536, size=n), "score": rng.normal(size=n),
    }  # fmt: skip
    table = pl.DataFrame(columns, SCHEMA)
    with TableWriter(tmp_path / "table.parquet", SCHEMA) as writer:
        for frame in (table[:300], table[:0], table[300:]):
            writer.add(frame)
    assert pl.read_parquet(tmp_path / "table.parquet").equals(table)
    assert count_rows(tmp_path / "table.parquet") == n
    group = pq.read_metadata(tmp_path / "table.parquet").row_group(0)
    encodings = {group.column(c).path_in_schema: group.column(c).encodings for c in range(4)}
    assert all("DELTA_BINARY_PACKED" in encodings[name] for name in ("session", "rank"))
    assert "BYTE_STREAM_SPLIT" in encodings["score"]
