"""What a net gets for a missing number, and for queries without sessions.

pytest tests/rankers/nets/test_net_inputs.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from graded import graded_lists, trained

from src.core.engines import resolve
from src.data.sequence_batch import SequenceBatch
from src.rankers.base import FitTask
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.din import DIN
from src.rankers.nets.histories import no_events
from src.rankers.nets.inputs import FoldQueries, QueryRows
from src.rankers.nets.linear import Linear
from src.rankers.nets.mlp import MLP
from src.rankers.nets.scaling import InputScaler
from src.rankers.nets.trainer import fit

ROW = NetRanker("x", MLP((16,)), Softmax(), batch_size=16, epochs=2, learning_rate=0.02)
NAMES = ["whole", "partly"]


def scaler_of(X: np.ndarray) -> InputScaler:
    query = np.arange(len(X))
    return InputScaler.fit(ROW, NAMES, X, query, np.zeros(0, np.int32))


def test_a_missing_number_is_the_mean_and_a_column_tells_so() -> None:
    e = np.e - 1  # its ln(1 + x) is 1
    X = np.array([[0, 0], [e, np.nan], [0, e], [e, np.nan]], np.float32)
    scaler = scaler_of(X)
    assert scaler.missing.tolist() == [1] and scaler.sizes(1).numbers == 3
    assert np.allclose([scaler.mean[1], scaler.std[1]], [0.5, 0.5]), "of the two that are there"
    inputs = scaler.inputs(scaler.numbers(X))
    assert inputs.tolist() == [[-1, -1, 0], [1, 0, 1], [-1, 1, 0], [1, 0, 1]]
    strange = np.array([[np.nan, 1e30]], np.float32)
    assert scaler.inputs(scaler.numbers(strange)).tolist() == [[-1, 5, 0]], "0 where none was"
    sizes = scaler.sizes(1)
    assert sizes.names == ("whole", "partly", "partly") and sizes.absent == (-1, 0, 1)
    assert sizes.named(("p",)) == ([1, 2], [])


def test_a_column_without_any_number_says_nothing() -> None:
    X = np.array([[1, np.nan], [2, np.nan]], np.float32)
    scaler = scaler_of(X)
    assert scaler.inputs(scaler.numbers(X))[:, 1:].tolist() == [[0, 1], [0, 1]]
    late = scaler.inputs(scaler.numbers(np.array([[1, 3]], np.float32)))
    assert np.isfinite(late).all()


def test_a_query_without_a_session_is_scored(tmp_path: Path) -> None:
    """The arrays of events have no place at all, and nothing reads a session."""
    model = trained(ROW, graded_lists(tmp_path), tmp_path)
    X = np.array([[0, 0, 1, 1, 0], [0, 0, np.nan, 1, 0], [3, 1, 1, 1, 0]], np.float32)
    offsets, item = np.array([0, 3]), np.arange(3, dtype=np.int32)
    rows = QueryRows.of(
        model.scaler, offsets, np.zeros(3, np.float32), item, [X], no_events(1)
    )  # fmt: skip
    assert rows.history.shape == (1, 0)
    best, missing, great = model.score_queries(rows, np.array([0]))
    assert missing < best < great, "most documents without a rank are bad"


def test_a_net_that_reads_events_learns_where_there_are_none(tmp_path: Path) -> None:
    """A recipe of judged lists has no event types, and each document occurs once."""
    row = replace(ROW, net=DIN(max_len=2), max_items=100, min_count=10**6)
    folder, lists = tmp_path, graded_lists(tmp_path)
    task = FitTask(row, "x", 0, folder, resolve("cpu"), 5)
    n = lists.offsets.size - 1
    zeros = np.zeros((n, 2), np.int64)
    none = SequenceBatch(zeros - 1, zeros, zeros, zeros, zeros[:, 0])
    data = FoldQueries.read(row, task, lists, none, n_event_types=0)
    assert data.rows.scaler.sizes(0)[1] == 1, "no item is known"
    model = fit(row, task, data)
    assert np.unique(model.score_queries(data.rows, data.valid)).size > 100


def test_item_vectors_are_an_option(tmp_path: Path) -> None:
    lists = graded_lists(tmp_path)
    for max_items, known in ((0, 0), (7, 7)):
        row = NetRanker("x", Linear(), Softmax(), max_items=max_items, min_count=1, epochs=1)
        model = trained(row, lists, tmp_path)
        assert len(model.scaler.items) == known
        assert any(p.shape == (known + 1, 1) for p in model.nets[0].parameters()) == bool(known)
