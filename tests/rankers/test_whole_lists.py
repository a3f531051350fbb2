"""Judged lists: all candidates of all queries are learned from, with their grades.

pytest tests/rankers/test_whole_lists.py
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import polars as pl
from planted import BARE, planted_events, run_in, whole, write_split
from polars.testing import assert_frame_equal
from stored_pools import write_stored

from src.candidates.pool import Pool
from src.features.pool import PoolFeature
from src.rankers.train_set import TrainSet
from src.rankers.train_table import (
    build_train_table,
    count_positives,
    count_rows_and_positives,
    train_files,
    trainable_objectives,
)

QUERIES, CANDIDATES = 40, 10
RECIPE = replace(
    BARE, objectives=BARE.objectives[:1], features=(PoolFeature(),), negatives_per_positive=inf,
    folds=2,
)  # fmt: skip
LABELS = {"session": pl.Int32, "objective": pl.Int8, "item": pl.Int32, "grade": pl.Float32}


def judged(folder: Path, grades: np.ndarray) -> pl.DataFrame:
    """A split whose candidates are items 0, 1, ... with these grades (queries, candidates)."""
    data = write_split(folder, planted_events(), QUERIES, recipe=RECIPE)
    n, first = QUERIES * CANDIDATES, data.sessions.first_query
    item, ranks = np.tile(np.arange(CANDIDATES, dtype=np.int32), QUERIES), np.zeros((n, 0))
    pool = Pool(
        first, np.arange(0, n + 1, CANDIDATES), item, np.zeros(n, np.float32), ranks, ranks
    )  # fmt: skip
    write_stored(data.run, pool)
    table = {"session": pool.session, "objective": 0, "item": item, "grade": grades.ravel()}
    labels = pl.DataFrame(table, schema_overrides=LABELS)
    whole(folder / "valid" / "labels.parquet", labels)
    return labels


def test_every_candidate_of_every_query_has_its_grade(tmp_path: Path) -> None:
    grades = np.arange(CANDIDATES) % 3 * (np.arange(QUERIES) % 4 > 0)[:, None]
    labels, run = judged(tmp_path, grades), run_in(tmp_path, RECIPE)
    count_positives(run)
    build_train_table(run, "valid")
    table = pl.read_parquet(train_files(run))
    found = table.select("session", "item", grade="label:clicks")
    wanted = labels.select("session", "item", "grade")
    assert_frame_equal(found, wanted, check_row_order=False)
    positives = (grades > 0).sum()
    assert count_rows_and_positives(run, "valid") == {"rows": 400, "clicks": positives}
    train_set = TrainSet.read(train_files(run), ["clicks"])
    assert train_set.counts(9)["train_positives"] == positives
    assert trainable_objectives(run) == ["clicks"]


def test_grades_that_are_all_equal_give_nothing_to_learn(tmp_path: Path) -> None:
    judged(tmp_path, np.full((QUERIES, CANDIDATES), 2.0))
    run = run_in(tmp_path, RECIPE)
    count_positives(run)
    build_train_table(run, "valid")
    assert trainable_objectives(run) == []
