"""The benchmark of sequences: which queries' last pair descends.

pytest tests/test_bench_sequences.py
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from planted import A, B, C, D, E, small_split, whole

from bench.sequences import descending
from src.data.schemas import LABELS

RAW = ["B9", "B0", "A7", "B5", "100"]  # of the items A to E
SHOWN = [[B, C], [A], [E, D], [C, C, B], []]
RIGHT = {1: B, 2: A, 3: D, 4: E}  # query -> item: B0 after B9 falls, B9 after B5 rises


def test_a_pair_descends_by_raw_ids_not_by_numbers(tmp_path: Path) -> None:
    sessions = [[(item, n, 0) for n, item in enumerate(items)] for items in SHOWN]
    data = small_split(tmp_path, sessions, 4)
    whole(tmp_path / "items.parquet", pl.DataFrame({"item_id": RAW}))
    rows = [(query, 0, item, 1.0) for query, item in RIGHT.items()]
    whole(tmp_path / "valid" / "labels.parquet", pl.DataFrame(rows, LABELS, orient="row"))
    assert descending(data.run, "valid") == {1}
