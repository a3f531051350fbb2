"""Beam search and likelihoods of an untrained net, against exhaustive scoring.

pytest tests/generation/test_generation.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from src.data.sessions import Sessions
from src.generation.generation import Generation
from src.generation.ids import random_ids
from src.generation.net import STD, Dropout, GeneratorNet, Shape, draw_dropout_from
from src.generation.trie import Trie
from src.generation.windows import Windows

ITEMS = 40
KNOWN = np.arange(ITEMS - 1)  # the last item has no id
NONE = -1
TEXTS = np.random.default_rng(4).normal(size=(4, 6)).astype(np.float32)
HISTORIES = np.array([[3, 17, 25], [8, NONE, NONE], [NONE] * 3, [ITEMS - 1, 4, NONE]])


@pytest.fixture(
    scope="module",
    params=[((4, 3), 0, 0), ((), 0, 0), ((4, 3), KNOWN.size, 0), ((4, 3), 0, 6)],
    ids=["codes", "one code", "own vectors", "texts"],
)
def generation(request: pytest.FixtureRequest) -> Generation:
    torch.manual_seed(5)
    sizes, own, text = request.param
    ids = random_ids(ITEMS, KNOWN, sizes, 3)
    shape = Shape(ids.sizes, dim=16, layers=2, heads=2, max_len=5, dropout=0.5, own=own,
                  text=text)  # fmt: skip
    net = GeneratorNet(shape).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return Generation(net, ids, Trie.of(ids))


def text_of(generation: Generation, query: slice = slice(None)) -> np.ndarray | None:
    """The vectors of the texts of the queries, where the net reads texts."""
    return TEXTS[query] if generation.net.shape.text else None


def encoded(generation: Generation, items: np.ndarray, query: int) -> torch.Tensor:
    """The states of a history, with the text of a query."""
    text = text_of(generation, slice(query, query + 1))
    read = None if text is None else torch.from_numpy(text)
    return generation.net.encode(torch.from_numpy(generation.codes(items)), read)


def scores_of_all(generation: Generation) -> np.ndarray:
    every = np.tile(np.arange(ITEMS, dtype=np.int32), len(HISTORIES))
    offsets, text = np.arange(len(HISTORIES) + 1) * ITEMS, text_of(generation)
    return generation.log_likelihood(HISTORIES, offsets, every, text).reshape(-1, ITEMS)


def test_a_beam_as_wide_as_the_catalogue_scores_all_items(generation: Generation) -> None:
    found, score = generation.lists(HISTORIES, 60, text_of(generation))
    exact = scores_of_all(generation)
    assert np.isnan(exact[:, -1]).all() and (found[:, ITEMS - 1 :] == NONE).all()
    for q in range(len(HISTORIES)):
        best = found[q, : ITEMS - 1]
        assert sorted(best) == list(KNOWN)
        np.testing.assert_allclose(score[q, : ITEMS - 1], exact[q, best], rtol=1e-4)
        assert (np.diff(score[q, : ITEMS - 1]) <= 0).all()


def test_a_narrow_beam_has_the_likelihoods_of_its_items(generation: Generation) -> None:
    found, score = generation.lists(HISTORIES, 3, text_of(generation))
    exact = np.take_along_axis(scores_of_all(generation), found.astype(np.int64), 1)
    np.testing.assert_allclose(score, exact, rtol=1e-4)


def test_without_ids_there_are_no_lists() -> None:
    ids = random_ids(ITEMS, KNOWN[:0], (4, 3), 3)
    net = GeneratorNet(Shape(ids.sizes, dim=16, layers=1, heads=2, max_len=5))
    generation = Generation(net, ids, Trie.of(ids))
    item, score = generation.lists(HISTORIES, 3)
    assert (item == NONE).all() and item.shape == (4, 3) and not score.any()
    likelihood = generation.log_likelihood(HISTORIES, np.array([0, 1, 1, 2, 2]), item[:2, 0] + 1)
    assert np.isnan(likelihood).all()


def test_probabilities_of_all_items_add_up_to_1(generation: Generation) -> None:
    total = np.exp(scores_of_all(generation)[:, :-1].astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_the_likelihood_is_the_product_of_the_steps(generation: Generation) -> None:
    """A plain loop over codes, one candidate at a time, through the net alone."""
    net, exact = generation.net, scores_of_all(generation)
    for q, items in enumerate(HISTORIES):
        with torch.enable_grad():  # not the fast path of torch's layers
            state = encoded(generation, items[None, items != NONE], q)[:, -1]
        for item in (0, 7, 22):
            total, want = 0.0, generation.ids.codes[item]
            for depth, code in enumerate(want):
                alike = (generation.ids.codes[:, :depth] == want[:depth]).all(axis=1)
                allowed = torch.zeros(1, generation.ids.sizes[depth], dtype=torch.bool)
                allowed[0, generation.ids.codes[alike & (np.arange(ITEMS) < ITEMS - 1), depth]] = (
                    True
                )
                prefix = torch.from_numpy(want[None, :depth].astype(np.int64))
                table = net.log_probabilities(state, torch.tensor([0]), prefix, allowed)
                total += float(table[0, code].detach())
            assert exact[q, item] == pytest.approx(total, rel=1e-4)


def test_a_query_does_not_depend_on_its_batch(generation: Generation) -> None:
    together = generation.lists(HISTORIES, 5, text_of(generation))
    for q, items in enumerate(HISTORIES):
        text = text_of(generation, slice(q, q + 1))
        alone = generation.lists(items[None, items != NONE], 5, text)
        assert (together[0][q] == alone[0][0]).all()
        np.testing.assert_allclose(together[1][q], alone[1][0], rtol=1e-4)


def test_no_place_reads_a_later_event(generation: Generation) -> None:
    """All places are trained at once; each must see what a query sees that ends there."""
    items = np.array([[3, 17, 25, 9, 11]])
    whole = encoded(generation, items, 0)
    for end in range(6):
        part = encoded(generation, items[:, :end], 0)
        torch.testing.assert_close(part, whole[:, : end + 1], rtol=1e-4, atol=1e-4)


def test_what_is_written_is_read(generation: Generation, tmp_path: Path) -> None:
    generation.write(tmp_path / "net.pt")
    np.save(tmp_path / "ids.npy", generation.ids.codes)
    read = Generation.load(tmp_path / "ids.npy", tmp_path / "net.pt", "cpu")
    assert read.ids.sizes == generation.ids.sizes
    lists = (one.lists(HISTORIES, 9, text_of(generation)) for one in (generation, read))
    for ours, theirs in zip(*lists, strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_the_vector_of_an_item_is_the_sum_of_those_of_its_codes(generation: Generation) -> None:
    vectors, net = generation.item_vectors(), generation.net
    for item in (0, 11):
        codes = generation.ids.codes[item]
        total = sum(
            table.weight[code] for table, code in zip(net.codes, codes.tolist(), strict=True)
        )
        if net.shape.own:
            total = total + net.own.weight[generation.trie.item.tolist().index(item)]
        np.testing.assert_allclose(vectors[item], total.detach().numpy(), rtol=1e-5)
    assert not vectors[-1].any()


def test_codes_begin_at_the_centres_of_their_clusters() -> None:
    rng = np.random.default_rng(1)
    centres = [rng.normal(size=(count, 50)).astype(np.float32) for count in (6, 4)]
    net = GeneratorNet(Shape((6, 5, 2), dim=40, layers=1, heads=2, max_len=5))
    before = [table.weight.clone() for table in net.codes]
    net.begin_at(centres)
    after = [table.weight.detach() for table in net.codes]
    assert torch.equal(after[2], before[2]) and torch.equal(after[1][4:], before[1][4:])
    whole = np.concatenate([centres[0] - centres[0].mean(axis=0), centres[1]])
    ours = torch.cat([after[0], after[1][:4]]).numpy()
    wanted, found = (np.corrcoef(x)[np.triu_indices(10, 1)] for x in (whole, ours))
    assert np.corrcoef(wanted, found)[0, 1] > 0.6, "near before, near after"
    assert np.std(ours) / np.std(whole) == pytest.approx(STD / np.std(whole[:6]), rel=0.3)


def test_dropout_keeps_the_mean_and_is_off_in_scoring() -> None:
    drop, x = Dropout(0.25), torch.ones(1000, 50)
    draw_dropout_from(np.random.default_rng(7))
    first = drop(x)
    draw_dropout_from(np.random.default_rng(7))
    assert torch.equal(first, drop(x)) and not torch.equal(first, drop(x))
    assert float((first == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(first.mean()) == pytest.approx(1, abs=0.02) and drop.eval()(x) is x


def sessions_of(lists: list[list[int]]) -> Sessions:
    item = np.array([item for one in lists for item in one], np.int32)
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    return Sessions(offsets, item, np.zeros_like(item), np.zeros(item.size, np.int8), ITEMS, 0)


def test_windows_hold_each_event_once() -> None:
    sessions = sessions_of([[1] * 11, [2], [], [3] * 5])
    windows = Windows.of(sessions.offsets[:-1], np.diff(sessions.offsets), 5)
    index = [list(range(f, f + n)) for f, n in zip(windows.first, windows.length, strict=True)]
    assert sorted(event for one in index for event in one) == list(range(17))
    assert sorted(windows.length) == [1, 3, 4, 4, 5]
    last = Windows.last(sessions, np.arange(4), 3).items(sessions)
    assert last.tolist() == [[1, 1, 1], [2, NONE, NONE], [NONE] * 3, [3, 3, 3]]
