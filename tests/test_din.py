"""The deep interest network: how it reads, its loss by hand, and what only its attention can find.

pytest tests/test_din.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import roc_auc_score

from src.core.engine import Engine
from src.embeddings.two_tower_batches import NO_ITEM, Windows
from src.rankers import din
from src.rankers.din import Data, Model, Reader, loss
from src.rankers.rows import DINRanker
from src.rankers.train_set import Rows
from src.rankers.xgb import Job

ROW = DINRanker("din", categories=("kind",), size=8, last=3, seen=2, batch=32, epochs=3, rate=0.01)
QUERIES, EACH, ITEMS = 2000, 8, 15


def windows(history: np.ndarray) -> Windows:
    nothing = np.zeros(history.shape, np.int64)
    return Windows(history.astype(np.int64), nothing, nothing, nothing, nothing[:, 0])


def small() -> tuple[Reader, Data]:
    X = np.array([[0, 3], [np.e - 1, 3], [0, 5], [np.e - 1, 5]], np.float32)
    item = np.array([7, 9, 9, 4], np.int32)
    history = np.array([[9, 7, NO_ITEM], [4, NO_ITEM, NO_ITEM]])
    reader = Reader.fit(ROW, ["number"], X, np.append(item, history))
    starts, label = np.array([0, 3, 4]), np.array([0, 1, 0, 1], np.int8)
    return reader, Data.of(reader, starts, label, item, iter([X[:1], X[1:]]), windows(history))


def test_numbers_are_standardised_and_ids_counted_by_hand() -> None:
    reader, data = small()
    assert data.numbers[:, 0].tolist() == [-1, 1, -1, 1], "ln(1 + x) is 0 and 1: mean .5, dev. .5"
    assert data.codes[:, 0].tolist() == [1, 1, 2, 2]
    assert reader.items.tolist() == [4, 7, 9] and data.item.tolist() == [2, 3, 3, 1]
    assert data.history.tolist() == [[3, 2, 0], [1, 0, 0]]
    strange = np.array([[np.nan, 4], [1e30, -1]], np.float32)
    assert reader.numbers(strange)[:, 0].tolist() == [-1, din.LIMIT]
    assert reader.codes(strange)[:, 0].tolist() == [0, 0], "unknown"
    assert din.place(reader.items, np.array([5, 10, -1])).tolist() == [0, 0, 0]


def test_rare_items_and_all_but_the_most_frequent_share_a_vector() -> None:
    item = np.array([1, 1, 1, 2, 2, 3, 4, 4, NO_ITEM, NO_ITEM])
    few = DINRanker("few", among=2, seen=2)
    reader = Reader.fit(few, ["number"], np.zeros((1, 1), np.float32), item)
    assert reader.items.tolist() == [1, 2], "3 is too rare, 4 is third"


def test_a_batch_holds_the_rows_of_its_queries_in_order() -> None:
    _, data = small()
    batch = data.batch(np.array([1, 0]), "cpu")
    assert batch["query"].tolist() == [0, 1, 1, 1] and batch["within"].tolist() == [0, 0, 1, 2]
    assert batch["item"].tolist() == [1, 2, 3, 3] and batch["label"].tolist() == [1, 0, 1, 0]
    assert batch["there"].tolist() == [[True, False, False], [True, True, False]]


def test_loss_by_hand() -> None:
    batch = {"query": [0, 0, 1, 1, 1], "within": [0, 1, 0, 1, 2], "label": [1, 0, 1, 1, 0]}
    score = torch.log(torch.tensor([3.0, 1.0, 2.0, 4.0, 2.0]))
    wanted = -np.log([3 / 4, 2 / 8, 4 / 8]).mean()
    made = loss(score, {name: torch.tensor(value) for name, value in batch.items()})
    assert made.item() == pytest.approx(wanted)


def planted(folder: Path) -> tuple[Rows, Windows]:
    """True is the candidate that the session has seen: its features say nothing of that."""
    rng = np.random.default_rng(5)
    history = np.array([rng.choice(ITEMS, ROW.last, replace=False) for _ in range(QUERIES)])
    tables = []
    for q in range(QUERIES):
        others = rng.choice(np.setdiff1d(np.arange(ITEMS), history[q]), EACH - 1, replace=False)
        item = rng.permutation(np.append(others, rng.choice(history[q])))
        tables.append(pl.DataFrame({
            "session": pl.Series([q] * EACH, dtype=pl.Int32), "item": item.astype(np.int32),
            "fold": pl.Series([q % 4] * EACH, dtype=pl.Int8),
            "label_x": np.isin(item, history[q]).astype(np.int8),
            "number": rng.random(EACH).astype(np.float32),
            "kind": rng.integers(3, size=EACH).astype(np.float32),
        }))  # fmt: skip
    files = [folder / "a.parquet", folder / "b.parquet"]
    pl.concat(tables[:700]).write_parquet(files[0])
    pl.concat(tables[700:]).write_parquet(files[1])
    return Rows.load(files, ["x"]), windows(history)


def trained(folder: Path) -> tuple[Model, Rows, Windows]:
    rows, history = planted(folder)
    job = Job(ROW, "x", 1, folder / "logs")
    model = din.train(job, rows, history, ["number", "kind"], 1, Engine("cpu", 2), seed=3)
    return model, rows, history


def test_attention_finds_what_no_feature_tells(tmp_path: Path) -> None:
    model, rows, history = trained(tmp_path)
    held = rows.fold == 1
    X, starts = rows.gather(held, ["kind", "number"]), np.arange(0, held.sum() + 1, EACH)
    own = windows(history.item[1::4])
    call = (X, np.arange(len(X)), ["kind", "number"], rows.item[held], starts, own)
    score, label = din.predict([model], *call, 1), rows.label[held]
    best = np.argsort(-score.reshape(-1, EACH), axis=1)[:, :1]
    first = np.take_along_axis(label.reshape(-1, EACH), best, axis=1).mean()
    assert first > 0.6, "one in eight by chance"
    assert (din.predict([model], *call, 2) == score).all(), "any number of threads"
    curve = pl.read_csv(tmp_path / "logs" / "curve.csv")
    assert curve["valid_auc"].max() == pytest.approx(roc_auc_score(label, score), abs=0.03)

    model.save(tmp_path / "model.pt")
    again = Model.load(tmp_path / "model.pt", ROW, 1, "cpu")
    assert (din.predict([again], *call, 1) == score).all()
    assert (din.predict([again, model], *call, 1) == score).all(), "the mean of two equal ones"


def test_a_category_that_is_no_feature_is_named(tmp_path: Path) -> None:
    rows, history = planted(tmp_path)
    row = DINRanker("din", categories=("kind", "colour"))
    with pytest.raises(ValueError, match=r"ranker din: categories \['colour'\] are no features"):
        din.train(Job(row, "x", 0, tmp_path), rows, history, ["number", "kind"], 1,
                  Engine("cpu", 2), seed=3)  # fmt: skip


def test_same_seed_same_model(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = trained(tmp_path / "a")[0], trained(tmp_path / "b")[0]
    for name, value in one.net.state_dict().items():
        assert torch.equal(value, other.net.state_dict()[name]), name


def test_metrics_against_a_loop() -> None:
    reader, data = small()
    model = Model.new(ROW, reader, 1, 0, "cpu")
    score = model.scores(data, np.arange(2))
    rank = 1 + (score[:3] > score[1]).sum()
    found = din._metrics(model, data, np.arange(2))
    assert found["valid_mrr"] == pytest.approx((1 / rank + 1) / 2)
    assert found["valid_auc"] == roc_auc_score(data.label, score)
