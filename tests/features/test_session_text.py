"""Vectors of the texts of sessions, and their columns.

pytest tests/features/test_session_text.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE, small_split, whole

from src.candidates.pool import Pool
from src.data import paths
from src.data.split_data import SplitData
from src.data.splits import Split, write_splits
from src.features.session_text import SessionTextFeature
from src.features.table import FeatureTable
from src.texts.session_texts import session_vectors
from src.texts.tfidf import TfidfEncoder

TITLES = ["rainy sunday", "sunday gym", "", "gym power", "?!", "rainy gym"]
ENCODER = TfidfEncoder(dim=3, min_texts=1, ngrams=(1, 1))


def titled(folder: Path, titles: list[str] | None = None) -> SplitData:
    """Six sessions of an event each with titles; the last four are queries."""
    data = small_split(folder, [[(0, s, 0)] for s in range(6)], 4)
    file = paths.sessions(data.run, "valid")
    whole(file, pl.read_parquet(file).with_columns(pl.Series("text", titles or TITLES)))
    return SplitData(data.run, "valid")


def test_vectors_are_those_of_an_encoder_that_knows_all_texts(tmp_path: Path) -> None:
    vectors = session_vectors(titled(tmp_path), ENCODER, 1, 6)
    length = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(length, [1, 0, 1, 0, 1], rtol=1e-6)
    encode = ENCODER.fit(sorted(set(TITLES) - {""}))
    known = encode([TITLES[n] for n in (1, 3, 5)])
    np.testing.assert_allclose(
        vectors[[0, 2, 4]], known / np.linalg.norm(known, axis=1)[:, None], rtol=1e-5
    )


def test_all_candidates_of_a_query_have_its_vector(tmp_path: Path) -> None:
    data = titled(tmp_path)
    row = SessionTextFeature("title", ENCODER, columns=5)
    table = FeatureTable(replace(BARE, features=(row,)))
    offsets, item = np.array([0, 2, 2, 3]), np.array([3, 0, 4], np.int32)
    none = np.zeros((3, 1), np.uint8), np.zeros((3, 1), np.float32)
    X = table.compute(data, Pool(3, offsets, item, none[1][:, 0], *none))
    columns = [table.names.index(f"title_{number}") for number in range(5)]
    wanted = session_vectors(data, ENCODER, 3, 6)
    np.testing.assert_array_equal(X[:, columns[:3]], wanted[[0, 0, 2]])
    assert X[0, columns].any() and not X[:, columns[3:]].any(), "an encoder of three numbers"


def test_a_title_has_the_same_vector_in_every_split(tmp_path: Path) -> None:
    """The encoder learns from `valid` alone, whatever titles `test` has."""
    data = titled(tmp_path)
    others = ["gym gym power", "rainy sunday", "new words", "rainy gym", "sunday gym"]
    rows = {"session": range(5), "query": [False, True, True, True, True], "text": others}
    whole(tmp_path / "test" / "sessions.parquet", pl.DataFrame(rows))
    write_splits(data.run, [Split("valid", "valid", "", 6, 4), Split("test", "test", "", 5, 4)])
    test = SplitData(data.run, "test")
    found = session_vectors(test, ENCODER, 1, 5)
    np.testing.assert_array_equal(found[0], session_vectors(data, ENCODER, 0, 1)[0])
    np.testing.assert_array_equal(found[2:], session_vectors(data, ENCODER, 1, 6)[[4, 0]])
    files = SessionTextFeature("title", ENCODER).inputs(data.run, "test")
    assert files == [paths.sessions(data.run, name) for name in ("test", "valid")]
    memory = SessionTextFeature("title", ENCODER).memory(data.run, "valid").held
    letters = len("".join(TITLES))
    assert memory == 6 * 60 + 3 * letters + ENCODER.memory(6, letters)


def test_sessions_without_texts_are_named(tmp_path: Path) -> None:
    data = titled(tmp_path, ["", "a song", " ", "a song", "", ""])
    told = "sessions of valid have 1 different texts to learn from"
    with pytest.raises(ValueError, match=told):
        session_vectors(data, ENCODER, 0, 6)
    table = FeatureTable(replace(BARE, features=(SessionTextFeature("title", ENCODER),)))
    none = np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.float32)
    pool = Pool(3, np.array([0, 1]), np.array([3], np.int32), none[1][0], *none)
    with pytest.raises(ValueError, match=f"feature title: {told}; leave the row out"):
        table.compute(data, pool)
