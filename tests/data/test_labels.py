"""Labels with grades: what is refused, what is a positive, and the grades of candidates.

pytest tests/data/test_labels.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.data.labels import grades_of, scan_labels, scan_positives
from src.data.schemas import LABELS


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    rows = [(0, 0, 5, 2.0), (0, 0, 6, 0.0), (1, 0, 6, 0.5)]
    pl.DataFrame(rows, LABELS, orient="row").write_parquet(tmp_path / "labels.parquet")
    return tmp_path / "labels.parquet"


def test_a_judged_item_of_grade_0_is_no_positive(labels: Path) -> None:
    assert scan_labels(labels).collect().height == 3
    assert scan_positives(labels).collect()["grade"].to_list() == [2, 0.5]


def test_labels_without_grades_name_the_cure(labels: Path) -> None:
    pl.read_parquet(labels).drop("grade").write_parquet(labels)
    told = r"labels.parquet has columns session, objective, item, not .*grade; run step 1 again"
    with pytest.raises(ValueError, match=told):
        scan_positives(labels)


def test_the_grades_of_candidates(labels: Path) -> None:
    session, item = np.array([1, 0, 0, 0, 1]), np.array([6, 6, 5, 7, 5])
    truth = scan_labels(labels).collect()
    found = grades_of(session.astype(np.int32), item.astype(np.int32), truth)
    assert found.dtype == np.float32 and found.tolist() == [0.5, 0, 2, 0, 0]
