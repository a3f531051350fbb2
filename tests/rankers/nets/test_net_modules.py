"""What the score of a candidate depends on, for every architecture.

pytest tests/rankers/nets/test_net_modules.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from graded import graded_lists, rows_of

from src.core.engines import resolve
from src.data.sequence_batch import SequenceBatch
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.base import InputSizes, Net
from src.rankers.nets.content_gate import ContentGate, History
from src.rankers.nets.din import DIN
from src.rankers.nets.histories import no_events
from src.rankers.nets.inputs import QueryRows
from src.rankers.nets.linear import Linear
from src.rankers.nets.list_transformer import ListTransformer
from src.rankers.nets.mlp import MLP
from src.rankers.nets.model import NetModel
from src.rankers.nets.scaling import InputScaler
from src.rankers.nets.two_tower import TwoTower

CPU = resolve("cpu")
NETS: list[Net] = [
    Linear(), MLP(norm="layer"), MLP(norm="batch"), ListTransformer(), TwoTower(), DIN(max_len=3),
    ContentGate(MLP(), ("x",), (History("rank", items=True),), gate=("kind",)),
]  # fmt: skip
NAMES, CATEGORIES = ["x", "of_query", "rank"], ["kind"]
SIZES = [4, 1, 9, 0, 6, 2, 5, 3, 7, 8]  # more lists than a list transformer has groups
OFFSETS = np.cumsum([0, *SIZES])
N = int(OFFSETS[-1])


def made(net: Net) -> tuple[NetModel, QueryRows]:
    """A net with drawn parameters, and queries with numbers, a category, items and histories."""
    row = NetRanker("x", net, Softmax(), categories=("kind",), max_items=50, min_count=1, nets=2)
    rng, query = np.random.default_rng(2), np.repeat(np.arange(len(SIZES)), SIZES)
    rank = np.where(rng.random(N) < 0.3, np.nan, rng.integers(1, 20, N))
    X = np.column_stack([rng.normal(size=N), query, rank, rng.integers(0, 4, N)])
    X = X.astype(np.float32)
    item = rng.permutation(50)[:N].astype(np.int32)
    zeros = np.zeros((len(SIZES), net.max_len), np.int64)
    events = rng.integers(0, 50, zeros.shape)
    history = SequenceBatch(events, zeros, zeros, zeros, zeros.sum(1))
    history = history if net.max_len else no_events(len(SIZES))
    scaler = InputScaler.fit(row, NAMES, X, query, np.arange(50))
    rows = QueryRows.of(scaler, OFFSETS, np.zeros(N, np.float32), item, [X], history)
    return NetModel.new(row, scaler, 2, CPU, seed=3), rows


def rows_in_order(rows: QueryRows, order: np.ndarray) -> QueryRows:
    """The same queries with their candidates in another order."""
    return replace(
        rows, item=rows.item[order], numbers=rows.numbers[order], codes=rows.codes[order]
    )


@pytest.mark.parametrize("net", NETS, ids=repr)
def test_a_score_depends_on_its_query_alone(net: Net) -> None:
    """Neither on the other queries of the batch, nor on pads, nor on the order of candidates."""
    model, rows = made(net)
    score = model.score_queries(rows, np.arange(len(SIZES)))
    assert np.isfinite(score).all() and np.unique(score).size > 10
    for query in range(len(SIZES)):
        alone = model.score_queries(rows, np.array([query]))
        np.testing.assert_allclose(alone, score[OFFSETS[query] : OFFSETS[query + 1]], atol=1e-5)
    rng = np.random.default_rng(4)
    order = np.concatenate(
        [first + rng.permutation(n) for first, n in zip(OFFSETS, SIZES, strict=False)]
    )
    turned = model.score_queries(rows_in_order(rows, order), np.arange(len(SIZES)))
    np.testing.assert_allclose(turned, score[order], atol=1e-5)
    assert (model.score_queries(rows, np.arange(len(SIZES)), 2) == score).all()
    assert model.score_queries(rows, np.array([3])).size == 0, "a query without candidates"


@pytest.mark.parametrize("net", NETS, ids=repr)
def test_only_the_list_transformer_sees_the_other_candidates(net: Net) -> None:
    model, rows = made(net)
    numbers = rows.numbers.copy()
    numbers[2, 0] += 1
    queries = np.array([0])
    before = model.score_queries(rows, queries)
    after = model.score_queries(replace(rows, numbers=numbers), queries)
    changed = np.abs(after - before) > 1e-6
    everyone = isinstance(net, ListTransformer)
    assert changed.tolist() == [everyone, everyone, True, everyone]


@pytest.mark.parametrize("net", NETS, ids=repr)
def test_a_file_gives_the_same_scores(net: Net, tmp_path: Path) -> None:
    model, rows = made(net)
    model.save(tmp_path / "model.pt")
    loaded = NetModel.load(model.ranker, tmp_path / "model.pt", 2, CPU)
    queries = np.arange(len(SIZES))
    scores = [m.score_queries(rows, queries) for m in (model, loaded)]
    assert scores[0].tolist() == scores[1].tolist() and loaded.names == [*NAMES, *CATEGORIES]
    one, other = (replace_nets(model, n).score_queries(rows, queries) for n in (0, 1))
    np.testing.assert_allclose(scores[0], (one + other) / 2, atol=1e-6)
    assert (one != other).any(), "seeds of their own"


def replace_nets(model: NetModel, number: int) -> NetModel:
    return replace(model, nets=[model.nets[number]])


def test_the_score_of_two_towers_is_the_inner_product_of_vectors_apart() -> None:
    model, rows = made(TwoTower())
    tower, batch = model.nets[0].eval(), model.tensors(rows.batch(np.array([0, 2])))
    with torch.no_grad():
        queries, items = tower.query_vectors(batch), tower.item_vectors(batch)
        assert torch.equal((queries[batch["query"]] * items).sum(1), tower(batch))
        columns = model.scaler.sizes(2).item_numbers
        batch["numbers"][:, columns] += 1
        batch["item"][:] = 0
        assert torch.equal(tower.query_vectors(batch), queries), "it reads facts of the query"
        assert not torch.equal(tower.item_vectors(batch), items)
        batch["history"][:] = 0
        assert not torch.equal(tower.query_vectors(batch), queries)


def test_a_tower_without_an_input_is_refused() -> None:
    only_query = InputSizes(1, 1, (), 1, query_numbers=(0,))
    with pytest.raises(ValueError, match="the item tower has no input"):
        TwoTower().module(only_query)
    only_item = InputSizes(1, 5, (), 1)
    with pytest.raises(ValueError, match="the query tower has no input"):
        TwoTower(max_len=0).module(only_item)
    assert TwoTower(max_len=2).module(only_item)


def test_columns_of_the_query_are_found(tmp_path: Path) -> None:
    ranker = NetRanker("x", TwoTower(max_len=0), Softmax())
    scaler = rows_of(ranker, graded_lists(tmp_path), tmp_path).rows.scaler
    assert scaler.names[3] == "taste" and scaler.sizes(1).query_numbers == (3,)
    assert scaler.sizes(1).numbers == 6 and scaler.sizes(1).item_numbers == (0, 1, 2, 4, 5)


def test_a_batch_of_one_row_can_be_learned_from() -> None:
    model, rows = made(MLP(norm="batch"))
    batch = model.tensors(rows.batch(np.array([1])))
    assert torch.isfinite(model.nets[0].train()(batch)).all()


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="width 64 is no multiple of its heads"):
        ListTransformer(heads=3)
