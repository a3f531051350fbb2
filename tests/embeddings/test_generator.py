"""The generator's training on planted sessions; its retriever and its feature.

pytest tests/embeddings/test_generator.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from planted import BARE, EVENTS, small_split, whole, write_split

from src.candidates.generated import GeneratedRetriever
from src.candidates.pool import Pool
from src.core.training import train_in_epochs
from src.data import paths
from src.data.sessions import Sessions
from src.embeddings.base import save
from src.embeddings.generator import GeneratorEmbedding
from src.embeddings.generator_trainer import generator_trainer, shuffled, split_events
from src.embeddings.word2vec import Word2VecEmbedding
from src.features.generator import GeneratorFeature
from src.features.table import FeatureTable
from src.generation.generation import Generation
from src.generation.ids import Ids
from src.texts.tfidf import TfidfEncoder

RING = 39  # items of the planted world; one more never occurs
ROW = GeneratorEmbedding("tiger", sizes=(4, 3), dim=32, layers=1, heads=2, max_len=5,
                         dropout=0.0, hidden=0.0, batch_size=16, epochs=12, learning_rate=0.01,
                         patience=12)  # fmt: skip
W2V = Word2VecEmbedding("w2v")
RECIPE = replace(BARE, embeddings=(W2V, ROW))


def ring(n: int) -> Sessions:
    """Sessions of six events that go round a ring of items."""
    start = np.random.default_rng(2).integers(RING, size=n)
    item = ((start[:, None] + np.arange(6)) % RING).astype(np.int32).ravel()
    zeros = np.zeros(item.size, np.int32)
    return Sessions(np.arange(n + 1) * 6, item, zeros, zeros.astype(np.int8), RING + 1, 0)


def trained(row: GeneratorEmbedding = ROW, seed: int = 42) -> Generation:
    sessions = ring(400)
    with generator_trainer(sessions, row.ids(sessions, [], seed), row, seed, "cpu") as trainer:
        train_in_epochs(trainer)
        assert trainer.log[-1]["loss"] < trainer.log[0]["loss"]
        return trainer.best_generation()


def test_it_learns_what_comes_next() -> None:
    start = np.arange(RING)
    found, score = trained().lists((start[:, None] + np.arange(3)) % RING, 3)
    assert (found[:, 0] == (start + 3) % RING).mean() > 0.9
    assert np.exp(score[:, 0]).mean() > 0.5


def test_items_that_are_read_can_have_vectors_of_their_own() -> None:
    net = trained(replace(ROW, own_vectors=True, epochs=2)).net
    assert net.own.weight.shape == (RING, 32) and net.own.weight.abs().amax(1).min() > 0.001


def test_the_text_of_a_session_decides(tmp_path: Path) -> None:
    """Items are drawn from the community that the text names; a query shows its text alone."""
    rng, n = np.random.default_rng(5), 300
    community = rng.integers(3, size=n)
    names = np.array(["rainy sunday", "gym power", "kids party"])
    events = [
        (s, int(item), 10 * s + k, 0)
        for s in range(n - 30)
        for k, item in enumerate(np.sort(rng.permutation(4)[:3]) + 4 * community[s])
    ]
    row = replace(ROW, texts=TfidfEncoder(dim=8, min_texts=1), any_order=True, sizes=(), epochs=8)
    data = write_split(tmp_path, pl.DataFrame(events, schema=EVENTS, orient="row"), 30, n_items=12,
                       n_sessions=n, recipe=replace(BARE, embeddings=(row,)))  # fmt: skip
    titles = pl.Series("text", names[community])
    titles[-1], titles[-2] = "", "?!"
    table = pl.read_parquet(paths.sessions(data.run, "valid")).with_columns(titles)
    whole(paths.sessions(data.run, "valid"), table)
    row.build(data.run, "valid")
    item, score = GeneratedRetriever("r", "tiger", top=4, beams=12).lists(data, n - 30, n)
    assert (np.sort(item[:-2]) == 4 * community[n - 30 : n - 2, None] + np.arange(4)).all()
    assert np.exp(score[:-2]).min() > 0.1, "in any order: the last items of a session too"
    assert (item[-1] == item[-2]).all() and (score[-1] == score[-2]).all(), "no known text"


def test_shuffling_keeps_the_items_of_a_row() -> None:
    items = np.array([[5, 6, 7, 8], [9, 4, -1, -1], [-1, -1, -1, -1]])
    length, rng = np.array([4, 2, 0]), np.random.default_rng(1)
    drawn = [shuffled(items, length, rng) for _ in range(200)]
    assert all((np.sort(one[:1]) == items[:1]).all() and (one[1:, 2:] == -1).all() for one in drawn)
    assert {tuple(one[1, :2]) for one in drawn} == {(9, 4), (4, 9)}
    assert len({tuple(one[0]) for one in drawn}) == 24, "every order"


def test_same_seed_same_weights() -> None:
    row = replace(ROW, epochs=2, dropout=0.2, hidden=0.2)
    first, same, other = (trained(row, seed).net.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["start"], other["start"])


def test_held_out_events_are_not_trained_on() -> None:
    sessions = ring(200)
    windows, held_out = split_events(sessions, 4, seed=1)
    index = [range(f, f + n) for f, n in zip(windows.first, windows.length, strict=True)]
    seen = [event for one in index for event in one]
    assert held_out.size == 10 and (held_out % 6 == 5).all()
    assert sorted([*seen, *held_out]) == list(range(1200))


def test_ids_are_of_frequent_items_in_an_order_of_their_own(tmp_path: Path) -> None:
    """Equal counts are not ordered by item: raw ids can tell what comes next."""
    sessions, none = ring(400), replace(ROW, sizes=())
    every, few = (row.ids(sessions, [], 1).codes for row in (none, replace(none, max_items=7)))
    count = np.bincount(sessions.item, minlength=RING + 1)
    assert (np.diff(count[np.argsort(every[:RING, 0])]) <= 0).all() and every[RING, 0] == -1
    assert (few >= 0).sum() == 7 and count[few[:, 0] >= 0].min() >= np.sort(count)[-7]
    flat = Sessions(np.array([0, 40]), np.arange(40, dtype=np.int32), *[np.zeros(40)] * 2, 40, 0)
    assert (np.diff(none.ids(flat, [], 1).codes[:, 0]) < 0).sum() > 5
    save(np.eye(40, 3, dtype=np.float32), tmp_path / "v.npy")
    assert (ROW.ids(flat, [tmp_path / "v.npy"], 1).codes[:, 0] >= 0).sum() == 3, "has a vector"


HISTORIES = [[(0, 1, 0), (1, 2, 0)], [(2, 3, 0), (0, 4, 0), (1, 5, 0)], [], [(4, 6, 0)]]


def written(folder: Path) -> tuple[Generation, object]:
    """A split of five items, of which the last has no id, and an untrained net."""
    data = small_split(folder, HISTORIES, 3, recipe=RECIPE)
    ids = Ids(np.array([[0, 0], [0, 1], [1, 0], [1, 1], [-1, -1]], np.int32), (2, 2))
    with generator_trainer(data.sessions, ids, ROW, 3, "cpu") as trainer:
        generation = trainer.best_generation()
    files = [path(data.run, "valid", "tiger") for path in (paths.semantic_ids, paths.generator)]
    files[0].parent.mkdir()
    save(ids.codes, files[0])
    generation.write(files[1])
    return generation, data


def test_lists_and_feature_are_those_of_the_net(tmp_path: Path) -> None:
    generation, data = written(tmp_path)
    items = np.array([[2, 0, 1], [-1, -1, -1], [4, -1, -1]])
    wanted = generation.lists(items, 3)
    for top in (3, 2, 5):
        found = GeneratedRetriever("r", "tiger", top, beams=3).lists(data, 1, 4)
        assert found[0].shape == found[1].shape == (3, top)
        assert found[0][:, :3].tolist() == wanted[0][:, :top].tolist()
        np.testing.assert_allclose(found[1][:, :3], wanted[1][:, :top], rtol=1e-5)
        assert (found[0][:, 3:] == -1).all()

    table = FeatureTable(replace(RECIPE, features=(GeneratorFeature("tiger"),)))
    offsets, item = np.array([0, 2, 2, 5]), np.array([3, 0, 4, 1, 2], np.int32)
    none = np.zeros((5, 1), np.uint8), np.zeros((5, 1), np.float32)
    X = table.compute(data, Pool(1, offsets, item, none[1][:, 0], *none))
    likelihood = X[:, table.names.index("tiger_log_likelihood")]
    np.testing.assert_allclose(likelihood, generation.log_likelihood(items, offsets, item))
    assert np.isnan(likelihood[2]) and np.isfinite(np.delete(likelihood, 2)).all()


@pytest.mark.parametrize(
    "change",
    [
        {"retrievers": (GeneratedRetriever("r", "w2v"),)},
        {"retrievers": (GeneratedRetriever("r", "tiger", top=5, beams=4),)},
        {"features": (GeneratorFeature("other"),)},
        {"embeddings": (replace(ROW, vectors=("w2v",)), W2V)},
    ],
)
def test_a_recipe_that_asks_for_what_is_not_there(change: dict) -> None:
    with pytest.raises(
        ValueError, match=r"no generator named|at least top|no embedding \['w2v'\] before it"
    ):
        replace(RECIPE, **change)


@pytest.mark.parametrize(
    "field", [{"sizes": (4, 0)}, {"heads": 5}, {"dropout": 1.0}, {"balance": 0.5}, {"layers": 0}]
)
def test_a_row_out_of_range_is_refused(field: dict) -> None:
    with pytest.raises(ValueError, match="embedding tiger"):
        replace(ROW, **field)
