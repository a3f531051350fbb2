"""The deep interest network: how it reads, and what only its attention can find.

pytest tests/rankers/test_din.py
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from planted import A, B, C, D, small_split
from sklearn.metrics import roc_auc_score

from src.candidates.pool import Pool
from src.core.engines import resolve
from src.data.sequence_batch import NO_ITEM, SequenceBatch
from src.metrics.mrr import MRR
from src.rankers.base import FitTask, mean_scores
from src.rankers.batches import CandidateBatch
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets import scaling
from src.rankers.nets.din import DIN
from src.rankers.nets.histories import last_events
from src.rankers.nets.inputs import FoldQueries, QueryRows
from src.rankers.nets.model import NetModel
from src.rankers.nets.scaling import InputScaler
from src.rankers.nets.trainer import fit
from src.rankers.nets.valid_metrics import valid_metrics
from src.rankers.train_set import TrainSet

ROW = NetRanker(
    "din", DIN(dim=8, max_len=3), Softmax(), MRR(100), categories=("kind",), max_items=100,
    min_count=2, batch_size=32, epochs=3, patience=1, learning_rate=0.01,
)  # fmt: skip
CPU = resolve("cpu")
QUERIES, EACH, ITEMS = 2000, 8, 15
ROOT = Path(__file__).resolve().parents[2]


def histories(item: np.ndarray) -> SequenceBatch:
    zeros = np.zeros(item.shape, np.int64)
    return SequenceBatch(item.astype(np.int64), zeros, zeros, zeros, zeros[:, 0])


def small() -> tuple[InputScaler, QueryRows]:
    X = np.array([[0, 3], [np.e - 1, 3], [0, 5], [np.e - 1, 5]], np.float32)
    item = np.array([7, 9, 9, 4], np.int32)
    history = np.array([[9, 7, NO_ITEM], [4, NO_ITEM, NO_ITEM]])
    scaler = InputScaler.fit(ROW, ["number"], X, np.array([0, 0, 0, 1]), np.append(item, history))
    offsets, label = np.array([0, 3, 4]), np.array([0, 1, 0, 1], np.float32)
    rows = QueryRows.of(scaler, offsets, label, item, [X[:1], X[1:]], histories(history))
    return scaler, rows


def test_numbers_are_standardised_and_ids_counted_by_hand() -> None:
    scaler, rows = small()
    assert rows.numbers[:, 0].tolist() == [-1, 1, -1, 1], "ln(1 + x) is 0 and 1: mean .5, std .5"
    assert rows.codes[:, 0].tolist() == [1, 1, 2, 2]
    assert scaler.items.tolist() == [4, 7, 9] and rows.item.tolist() == [2, 3, 3, 1]
    assert rows.history.tolist() == [[3, 2, 0], [1, 0, 0]]
    strange = np.array([[np.nan, 4], [1e30, -1]], np.float32)
    assert scaler.numbers(strange)[:, 0].tolist() == [-1, scaling.MAX_DEVIATION]
    assert scaler.codes(strange)[:, 0].tolist() == [0, 0], "unknown"
    assert scaling.codes_of(scaler.items, np.array([5, 10, -1])).tolist() == [0, 0, 0]


def test_rare_items_and_all_but_the_most_frequent_share_a_vector() -> None:
    item = np.array([1, 1, 1, 2, 2, 3, 4, 4, NO_ITEM, NO_ITEM])
    few = replace(ROW, categories=(), max_items=2)
    X, query = np.zeros((1, 1), np.float32), np.zeros(1)
    scaler = InputScaler.fit(few, ["number"], X, query, item)
    assert scaler.items.tolist() == [1, 2], "3 is too rare, 4 is third"
    assert scaler.sizes(event_types=5)[:4] == (1, 3, (), 5), "one more for the unknown"
    none = InputScaler.fit(replace(few, max_items=0), ["number"], X, query, item)
    assert none.sizes(1).items == 1, "items are not told apart"


def test_a_batch_holds_the_rows_of_its_queries_in_order() -> None:
    _, rows = small()
    batch = rows.batch(np.array([1, 0]))
    assert batch["query"].tolist() == [0, 1, 1, 1] and batch["position"].tolist() == [0, 0, 1, 2]
    assert batch["item"].tolist() == [1, 2, 3, 3] and batch["label"].tolist() == [1, 0, 1, 0]
    assert batch["mask"].tolist() == [[True, False, False], [True, True, False]]
    assert rows.labels(np.array([1, 0])).tolist() == batch["label"].tolist()


def planted(folder: Path) -> tuple[TrainSet, SequenceBatch]:
    """The positive is the candidate in the session: the features do not tell which one that is."""
    rng = np.random.default_rng(5)
    history = np.array([rng.choice(ITEMS, ROW.net.max_len, replace=False) for _ in range(QUERIES)])
    tables = []
    for q in range(QUERIES):
        others = rng.choice(np.setdiff1d(np.arange(ITEMS), history[q]), EACH - 1, replace=False)
        item = rng.permutation(np.append(others, rng.choice(history[q])))
        tables.append(pl.DataFrame({
            "session": pl.Series([q] * EACH, dtype=pl.Int32), "item": item.astype(np.int32),
            "fold": pl.Series([q % 4] * EACH, dtype=pl.Int8),
            "label:x": np.isin(item, history[q]).astype(np.float32),
            "number": rng.random(EACH).astype(np.float32),
            "kind": rng.integers(3, size=EACH).astype(np.float32),
        }))  # fmt: skip
    folder.mkdir(exist_ok=True)
    files = [folder / "a.parquet", folder / "b.parquet"]
    pl.concat(tables[:700]).write_parquet(files[0])
    pl.concat(tables[700:]).write_parquet(files[1])
    return TrainSet.read(files, ["x"]), histories(history)


def trained(folder: Path) -> tuple[NetModel, TrainSet, SequenceBatch]:
    train_set, history = planted(folder)
    task = FitTask(ROW, "x", 1, folder / "logs", CPU, 3)
    return fit(ROW, task, FoldQueries.read(ROW, task, train_set, history, 1)), train_set, history


def test_attention_finds_what_no_feature_tells(tmp_path: Path) -> None:
    model, train_set, history = trained(tmp_path)
    held_out = train_set.fold == 1
    X, offsets = train_set.load(held_out, model.names), np.arange(0, held_out.sum() + 1, EACH)
    label = train_set.label[held_out]
    rows = QueryRows.of(
        model.scaler, offsets, label, train_set.item[held_out], [X], histories(history.item[1::4])
    )
    queries = np.arange(QUERIES // 4)
    score = model.score_queries(rows, queries)
    best = np.argsort(-score.reshape(-1, EACH), axis=1)[:, :1]
    first = np.take_along_axis(label.reshape(-1, EACH), best, axis=1).mean()
    assert first > 0.6, "one in eight by chance"
    assert (model.score_queries(rows, queries, 2) == score).all(), "any number of threads"
    curve = pl.read_csv(tmp_path / "logs" / "curve.csv")
    assert curve.columns == ["round", "train_loss", "valid_auc", "valid_mrr_100"]
    assert curve["valid_auc"].max() == pytest.approx(roc_auc_score(label, score), abs=0.03)

    model.save(tmp_path / "model.pt")
    loaded = NetModel.load(ROW, tmp_path / "model.pt", 1, CPU)
    assert (loaded.score_queries(rows, queries) == score).all()
    assert loaded.names == model.names == ["number", "kind"]


def test_candidates_are_scored_by_the_events_of_their_sessions(tmp_path: Path) -> None:
    """A session without an event has an empty history, not that of the session before it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    sessions = [[(A, 5, 0), (B, 9, 1)], [], [(C, 20, 0)]]
    data = small_split(tmp_path / "a", sessions, queries=3)
    events = last_events(data.sessions, np.arange(3, dtype=np.int32), 2)
    assert events.item.tolist() == [[B, A], [NO_ITEM, NO_ITEM], [C, NO_ITEM]]
    assert events.mask.tolist() == [[True, True], [False, False], [True, False]]
    assert events.event_type.tolist() == [[1, 0], [0, 0], [0, 0]] and not events.hour[1]

    row = replace(ROW, categories=())
    one, known = np.zeros((1, 1), np.float32), np.repeat(np.arange(5), 2)
    scaler = InputScaler.fit(row, ["x"], one, np.zeros(1), known)
    model = NetModel.new(row, scaler, 3, CPU, seed=1)
    offsets, item = np.array([0, 1, 3, 4]), np.array([A, A, D, A], np.int32)
    ranks = np.zeros((4, 0), np.uint16)
    pool = Pool(0, offsets, item, np.zeros(4, np.float32), ranks, ranks.astype(np.float32))
    batch = CandidateBatch(data, pool, ["x"], np.zeros((4, 1), np.float32), np.arange(4))
    score = model.scores(batch)
    assert len(set(score[[0, 1, 3]].tolist())) == 3, "the same candidate beside three histories"
    others = small_split(tmp_path / "b", [[(D, 5, 0)], [], [(C, 20, 0)]], queries=3)
    changed = model.scores(replace(batch, data=others))
    assert (changed == score).tolist() == [False, True, True, True]
    assert mean_scores([model, model], batch).tolist() == score.tolist()
    one = batch.keep_queries(np.array([False, True, False]))
    np.testing.assert_allclose(model.scores(one), score[1:3], rtol=1e-5)


def test_a_category_that_is_no_feature_is_named(tmp_path: Path) -> None:
    train_set, history = planted(tmp_path)
    row = replace(ROW, categories=("kind", "colour"))
    task = FitTask(row, "x", 0, tmp_path, CPU, 3)
    with pytest.raises(ValueError, match=r"ranker din: categories \['colour'\] are no features"):
        FoldQueries.read(row, task, train_set, history, 1)


def test_same_seed_same_model(tmp_path: Path) -> None:
    one, other = trained(tmp_path / "a")[0], trained(tmp_path / "b")[0]
    for name, value in one.nets[0].state_dict().items():
        assert torch.equal(value, other.nets[0].state_dict()[name]), name


def test_metrics_against_a_loop() -> None:
    scaler, rows = small()
    model = NetModel.new(ROW, scaler, 1, CPU, 0)
    score = model.score_queries(rows, np.arange(2))
    rank = 1 + (score[:3] > score[1]).sum()
    metrics = valid_metrics(model, rows, np.arange(2))
    assert metrics["valid_mrr_100"] == pytest.approx((1 / rank + 1) / 2)
    assert metrics["valid_auc"] == roc_auc_score(rows.label, score)


def test_only_nets_that_are_trained_or_score_load_torch() -> None:
    code = "import sys; from src.rankers import batches, net, oof, sampling, score, train, xgb; "
    code += "from src.rankers import xgb_trainer; from src.rankers.losses import softmax; "
    code += "from src.rankers.nets import din, inputs, list_transformer, scaling, two_tower; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
