"""Word2Vec on planted communities: known neighbours, the same bytes, the same epochs everywhere.

pytest tests/embeddings/test_word2vec.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import (
    BARE,
    COMMUNITIES,
    N_ITEMS,
    PER_COMMUNITY,
    planted_events,
    run_in,
    sessions_of,
    whole,
    write_split,
)

from src.data import paths
from src.data.splits import Split, write_splits
from src.embeddings.base import unit
from src.embeddings.neighbours import neighbours_by_likelihood
from src.embeddings.word2vec import Word2VecEmbedding

COMMUNITY = np.arange(N_ITEMS) // PER_COMMUNITY
ROW = Word2VecEmbedding("w2v", dim=16, window=5, epochs=10)


@pytest.fixture(scope="module")
def vectors() -> tuple[np.ndarray, np.ndarray]:
    """Of items as words, and as context of a word."""
    return ROW.train(sessions_of(planted_events()), 10, seed=3)


def test_same_seed_same_vectors(vectors: tuple[np.ndarray, np.ndarray]) -> None:
    sessions = sessions_of(planted_events(60))
    one, same, other = (ROW.train(sessions, 1, seed) for seed in (3, 3, 4))
    for side in range(2):
        assert one[side].tobytes() == same[side].tobytes() != other[side].tobytes()
        occurs = np.isin(np.arange(N_ITEMS), planted_events()["item"])
        assert not occurs[-1] and (vectors[side].any(axis=1) == occurs).all()


def test_all_splits_are_read_as_often_as_the_largest_may_be(tmp_path: Path) -> None:
    n = planted_events(60).height
    few = replace(ROW, epochs=9, max_tokens=3 * n - 1)
    write_split(tmp_path, planted_events(60), 10)
    whole(tmp_path / "train_1" / "events.parquet", planted_events(20))
    run = run_in(tmp_path, replace(BARE, embeddings=(few,)))
    splits = [Split("valid", "valid", "", 60, 10), Split("train_1", "train", "", 20, 10)]
    write_splits(run, splits)
    rows = few, replace(ROW, epochs=9, max_tokens=99 * n), replace(few, max_tokens=1)
    assert [row.n_epochs(run) for row in rows] == [2, 9, 1]
    few.build(run, "train_1")
    word, _ = few.train(sessions_of(planted_events(20)), 2, run.recipe.seed)
    found = np.load(paths.item_vectors(run, "train_1", few.name))
    assert found.tobytes() == unit(word).tobytes()


def test_it_finds_the_communities(vectors: tuple[np.ndarray, np.ndarray]) -> None:
    word = unit(vectors[0])
    cosine = word @ word.T
    same = COMMUNITY[:, None] == COMMUNITY
    np.fill_diagonal(same, False)
    for c in range(COMMUNITIES):
        inside = c == COMMUNITY
        away = inside[:, None] & (c != COMMUNITY) & (COMMUNITY < COMMUNITIES)
        assert cosine[same & inside].mean() > cosine[away].mean() + 0.2
    near = neighbours_by_likelihood(*vectors, 5, np.ones(N_ITEMS, np.int64), N_ITEMS).to_frame()
    x, y = near["item_x"].to_numpy(), near["item_y"].to_numpy()
    assert (COMMUNITY[x] == COMMUNITY[y]).mean() > 0.9
