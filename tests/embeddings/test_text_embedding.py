"""Item vectors from texts: who learns from which, items without a text, columns that are wrong.

pytest tests/embeddings/test_text_embedding.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from planted import BARE, Events, run_in, small_split, whole

from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.data.splits import Split, write_splits
from src.data.vectors import item_vectors
from src.embeddings.text import TextEmbedding
from src.texts.tfidf import TfidfEncoder
from src.texts.whitening import Whitening

WORDS = TfidfEncoder(dim=3, ngrams=(1, 1), min_texts=1)
ROW = TextEmbedding("title", ("title",), WORDS, Whitening(2))
TITLES = ["red fox", "red  hen", "blue hen", None, "green newt"]
SESSIONS: list[Events] = [[(0, 5, 0), (1, 6, 0), (2, 7, 0), (0, 8, 0)], [(3, 9, 0)]]


def run_with(folder: Path, row: TextEmbedding = ROW, **columns: Any) -> Run:
    """Two splits: `train_1` sees the first session, `valid` both; item 4 has no event."""
    recipe = replace(BARE, embeddings=(row,))
    small_split(folder, SESSIONS, 1, recipe=recipe)
    events = pl.read_parquet(folder / "valid" / "events.parquet")
    whole(folder / "train_1" / "events.parquet", events.filter(pl.col("session") == 0))
    sessions = pl.read_parquet(folder / "valid" / "sessions.parquet")
    whole(folder / "train_1" / "sessions.parquet", sessions.head(1))
    columns = columns or {"title": TITLES}
    whole(folder / "items.parquet", pl.DataFrame({"item_id": range(5), **columns}))
    run = run_in(folder, recipe)
    write_splits(run, [Split("valid", "valid", "", 2, 1), Split("train_1", "train", "", 1, 1)])
    return run


def built(run: Run, row: TextEmbedding = ROW, split: str = "valid") -> np.ndarray:
    row.build(run, split)
    return np.array(item_vectors(SplitData(run, split), row.name))


def test_an_item_without_a_text_has_the_vector_0(tmp_path: Path) -> None:
    """Whitening would give it minus the mean; so it is masked after it."""
    run = run_with(tmp_path)
    vectors = built(run)
    assert vectors.dtype == np.float32 and vectors.shape == (5, 2)
    length = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(length, [1, 1, 1, 0, 0], atol=1e-6)  # item 4: no known word
    assert ROW.build(run, "valid") == {"built": 0, "cached": 2, "items without a vector": 2}


def test_nothing_is_learned_from_items_that_are_new(tmp_path: Path) -> None:
    """Items 3 and 4 are unknown to train_1 or to both; their texts change no other vector."""
    vectors = built(run_with(tmp_path / "one"))
    titles = [*TITLES[:3], "red hen hen newt", "newt red"]
    run = run_with(tmp_path / "two", title=titles)
    others = built(run)
    assert np.array_equal(others[:3], vectors[:3]) and others[3].any() and others[4].any()
    assert np.array_equal(built(run, split="train_1"), others), "ranks of splits share columns"


def test_a_cold_item_is_a_neighbour(tmp_path: Path) -> None:
    row = replace(ROW, whitening=None)
    run = run_with(tmp_path, row, title=["red fox", "blue hen", "old cat", None, "red fox"])
    built(run, row)
    near = pl.read_parquet(paths.neighbours(run, "valid", "title"))
    first = near.filter(pl.col("item_x") == 0)
    assert first["item_y"][0] == 4 and first["weight"][0] == pytest.approx(np.log(2), rel=1e-5)
    assert near.filter((pl.col("item_x") == 3) | (pl.col("item_y") == 3)).is_empty()


def test_columns_are_joined(tmp_path: Path) -> None:
    row = replace(ROW, columns=("title", "tags"))
    tags = [["big", "old"], [], None, ["a", None], [""]]
    run = run_with(tmp_path, row, title=[" red fox ", "hen", " ", None, None], tags=tags)
    assert row.texts(run).to_list() == ["red fox; big old", "hen", "", "a", ""]


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        (["same"] * 5, "known items have the text 'same' alone; leave the row out"),
        ([" ", "", None, "red", "blue"], "known items have no text"),
        (["🎉🎉", "🎈", "?", None, "red"], "no two terms stand in 1 texts"),
        (["red", "red red", "red red red", "", ""], "no two terms"),
        (["red hen", "hen red", "red, hen", "", ""], "the texts are all alike"),
        ([1, 2, 3, 4, 5], "column title of .* holds Int64; name a column of texts"),
    ],
)
def test_columns_that_say_nothing_are_refused(tmp_path: Path, titles: list, said: str) -> None:
    run = run_with(tmp_path, title=titles)
    with pytest.raises(ValueError, match=f"embedding title.*{said}") as error:
        ROW.build(run, "valid")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "valid" / "embeddings").iterdir())


def test_an_absent_column_is_named(tmp_path: Path) -> None:
    run = run_with(tmp_path, name=TITLES)
    with pytest.raises(ValueError, match=r"no column title in .*items.parquet; it has item_id, na"):
        ROW.build(run, "valid")
    with pytest.raises(ValueError, match="embedding x: name a column"):
        TextEmbedding("x", (), WORDS)


def test_emoji_and_long_texts_are_served(tmp_path: Path) -> None:
    row = replace(ROW, encoder=TfidfEncoder(3, "char", (1, 2), 1))
    vectors = built(run_with(tmp_path, row, title=["🎉🎉", "red " * 2500, "hen", "", "🎈"]), row)
    assert np.isfinite(vectors).all() and vectors.any(axis=1).tolist() == [1, 1, 1, 0, 0]


def test_another_row_or_text_makes_other_files(tmp_path: Path) -> None:
    run = run_with(tmp_path)
    before = built(run)
    assert not np.array_equal(built(run, replace(ROW, whitening=None)), before)
    assert np.array_equal(built(run), before)
    whole(tmp_path / "train_1" / "events.parquet", pl.read_parquet(paths.events(run, "valid")))
    assert ROW.build(run, "valid")["built"] == 2, "known items depend on all splits"
