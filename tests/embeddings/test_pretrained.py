"""Vectors from a CSV file: what is read, what is left out, what is wrong.

pytest tests/embeddings/test_pretrained.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE, N_ITEMS, planted_events, run_in, write_split

from src.data import paths
from src.embeddings.pretrained import PretrainedEmbedding

ROW = PretrainedEmbedding("pre", "vectors.csv", "id")


def test_vectors(tmp_path: Path) -> None:
    lines = ["id,e0,e1", "9,3.0,4.0", "5,1,0", "7,x,1", "8,0,2", "6,nan,1", "3,0.5"]  # cut off
    (tmp_path / "vectors.csv").write_text("\n".join(lines))
    item_ids = pl.Series([3, 5, 6, 7, 9, 11])
    found = ROW.read(tmp_path / "vectors.csv", item_ids)
    wanted = [[0, 0], [1, 0], [0, 0], [0, 0], [0.6, 0.8], [0, 0]]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    with pytest.raises(ValueError, match=r"vectors.csv, line 1: no column article_id"):
        replace(ROW, key="article_id").read(tmp_path / "vectors.csv", item_ids)


def test_ids_that_are_texts(tmp_path: Path) -> None:
    (tmp_path / "vectors.csv").write_text("id,e0,e1\nx9,3.0,4.0\n007,1,0\n")
    found = ROW.read(tmp_path / "vectors.csv", pl.Series(["007", "7", "x9"]))
    np.testing.assert_allclose(found, [[1, 0], [0, 0], [0.6, 0.8]], rtol=1e-6)


def test_another_file_gives_other_vectors(tmp_path: Path) -> None:
    """Without the file no item has a vector; once it is there, or changes, it is read."""
    write_split(tmp_path, planted_events(30), 10)
    run = run_in(tmp_path, replace(BARE, embeddings=(ROW,)))
    assert ROW.build(run, "valid") == {
        "built": 2, "cached": 0, "items without a vector": N_ITEMS
    }  # fmt: skip
    for n_lines in (3, 5):
        rows = [f"{item},{item + 1},1" for item in range(n_lines)]
        (tmp_path / "vectors.csv").write_text("\n".join(["id,e0,e1", *rows]))
        for built in (2, 0):
            summary = ROW.build(run, "valid")
            assert (summary["built"], summary["cached"]) == (built, 2 - built)
            assert summary["items without a vector"] == N_ITEMS - n_lines
    near = pl.read_parquet(paths.neighbours(run, "valid", "pre"))
    assert set(near["item_x"]) == set(range(5)) and set(near["item_y"]) <= set(range(5))


def test_a_line_with_too_many_fields_is_named(tmp_path: Path) -> None:
    file = tmp_path / "vectors.csv"
    file.write_text("id,e0,e1\n9,3.0,4.0\n5,1,0,7\n")
    with pytest.raises(ValueError, match=r"vectors.csv, line 3: 4 fields for 3 columns; drop the"):
        ROW.read(file, pl.Series([5, 9]))
