"""MovieLens-100K, where it is at hand: its counts, and lists without a model on its protocols.

MOVIELENS_100K=folder/ml-100k.inter pytest tests/datasets/test_interactions_movielens.py
"""

from __future__ import annotations

import shutil
from pathlib import Path

import interactions as log
import numpy as np
import polars as pl
import pytest
from interactions import prepare
from needs import needs_file
from numpy.typing import NDArray


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the log, and with the tables of films and users beside it."""
    file = needs_file("MOVIELENS_100K", "ml-100k.inter of RecBole's wheel")
    (tmp_path / "in").mkdir()
    for path in file.parent.glob("ml-100k.*"):
        shutil.copy(path, tmp_path / "in")
    return tmp_path


def test_counts(folder: Path, capsys) -> None:
    assert prepare(folder, "--split", "last:1") == 0
    printed, found = capsys.readouterr().out, log.found(folder / "out")
    assert "rows 100,000" in printed and "doubled (counted once) 0" in printed
    assert (found["events"], found["users"], found["items"]) == (100_000, 943, 1_682)
    assert (found["first"], found["last"]) == (874_724_710, 893_286_638)
    assert found["unit"] == "seconds" and found["types"] == ["rating"] and not found["cold_items"]
    events = pl.read_parquet(folder / "out" / "test" / "events.parquet")
    counts = dict(events["rating"].value_counts().iter_rows())
    assert counts == {1: 6_110, 2: 11_370, 3: 27_145, 4: 34_174, 5: 21_201}
    length = events["session"].value_counts()["count"]
    assert (length.min(), length.median(), length.max()) == (20, 65, 737)
    assert (events["item"].value_counts()["count"] == 1).sum() == 141
    assert events.columns[-3:] == ["age", "gender", "occupation"]
    items = pl.read_parquet(folder / "out" / "items.parquet")
    assert items["title"][0] == "Toy Story" and items["class_Comedy"].sum() == 505


def test_users_with_a_relevant_film(folder: Path) -> None:
    flags = ("--split", "last:0.2", "--candidates", "unseen", "--relevant", "4")
    assert prepare(folder, *flags) == 0
    assert len(log.queries(folder / "out", "valid")) == 943
    assert abs(len(log.labels(folder / "out")) - 907) <= 3, "ties of time are drawn by the file"


@pytest.mark.parametrize(
    ("split", "popular", "neighbours"), [("last:0.2", 0.118, 0.186), ("random:0.25", 0.254, 0.379)]
)
def test_lists_without_a_model(folder: Path, split: str, popular: float, neighbours: float) -> None:
    """NDCG@10 among unseen films; another draw of the hidden ratings moves it by about .01."""
    assert prepare(folder, "--split", split, "--candidates", "unseen") == 0
    events = pl.read_parquet(folder / "out" / "valid" / "events.parquet")
    labels = pl.read_parquet(folder / "out" / "valid" / "labels.parquet")
    has, positive = np.zeros((2, 943, 1_682))
    has[events["session"].to_numpy(), events["item"].to_numpy()] = 1
    positive[labels["session"].to_numpy(), labels["item"].to_numpy()] = 1
    count = has.sum(axis=0)
    assert ndcg_at_10(np.tile(count, (943, 1)), has, positive) == pytest.approx(popular, abs=0.016)
    cosine = has.T @ has / np.sqrt(np.outer(count, count).clip(1))
    np.fill_diagonal(cosine, 0)
    cosine[cosine < np.sort(cosine, axis=1)[:, [-50]]] = 0
    found = ndcg_at_10(has @ cosine, has, positive)
    assert found == pytest.approx(neighbours, abs=0.016)


def ndcg_at_10(score: NDArray, has: NDArray, positive: NDArray) -> float:
    best = np.argsort(-np.where(has > 0, -np.inf, score), axis=1, kind="stable")[:, :10]
    discount = 1 / np.log2(np.arange(2, 12))
    hits = np.take_along_axis(positive, best, axis=1) @ discount
    ideal = np.cumsum(discount)[np.minimum(positive.sum(axis=1), 10).astype(int) - 1]
    return float((hits / ideal).mean())
