"""Nets are trained on lists with grades: what they find, what stops them, what they depend on.

pytest tests/rankers/nets/test_net_training.py
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
import torch
from graded import FOLDS, graded_lists, ndcg, rows_of, trained
from planted import BARE
from scipy.special import expit
from sklearn.metrics import log_loss

from src.core import store
from src.metrics.mrr import MRR
from src.rankers.losses.base import Loss
from src.rankers.losses.lambdas import LambdaRank
from src.rankers.losses.listmle import ListMLE
from src.rankers.losses.pointwise import BCE, SquaredError
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.base import Net
from src.rankers.nets.content_gate import ContentGate, History
from src.rankers.nets.din import DIN
from src.rankers.nets.importance import importance
from src.rankers.nets.linear import Linear
from src.rankers.nets.list_transformer import ListTransformer
from src.rankers.nets.mlp import MLP
from src.rankers.nets.model import NetModel
from src.rankers.nets.two_tower import TwoTower
from src.rankers.train_set import TrainSet

SMALL = ListTransformer(width=16, layers=1)
NETS: list[Net] = [Linear(), MLP((32,)), SMALL, TwoTower(max_len=0)]
LOSSES: list[Loss] = [
    BCE(), SquaredError(), Softmax("exponential", over="lists"), ListMLE(ties="shuffle"),
    LambdaRank(k=10),
]  # fmt: skip
ROW = NetRanker(
    "x", MLP((16,)), Softmax(), MRR(5), batch_size=16, epochs=8, learning_rate=0.02
)  # fmt: skip


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> TrainSet:
    return graded_lists(tmp_path_factory.mktemp("lists"))


def out_of_fold(row: NetRanker, lists: TrainSet, folder: Path) -> float:
    """NDCG on the queries of fold 0."""
    model, data = trained(row, lists, folder), rows_of(row, lists, folder)
    score = model.score_queries(data.rows, data.valid)
    offsets = np.cumsum([0, *np.diff(data.rows.offsets)[data.valid]])
    return ndcg(score, data.rows.labels(data.valid), offsets)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("net", NETS, ids=repr)
def test_every_net_learns_by_every_loss(
    net: Net, loss: Loss, lists: TrainSet, tmp_path: Path
) -> None:
    row = replace(ROW, net=net, loss=loss)
    valid = lists.fold == 0
    X = np.nan_to_num(lists.load(valid, ["a", "b", "rank"]), nan=99) * [1, 1, -1]
    size = np.diff(lists.offsets)[lists.fold[lists.offsets[:-1]] == 0]
    offsets = np.cumsum([0, *size])
    best = max(ndcg(column, lists.label[valid], offsets) for column in X.T)
    assert out_of_fold(row, lists, tmp_path) > best + 0.02


def test_what_depends_on_the_query_is_found_by_nets_but_not_by_a_linear_model(
    lists: TrainSet, tmp_path: Path
) -> None:
    """Whether a high `b` is good depends on the query's taste."""
    row = replace(ROW, loss=Softmax("exponential", over="lists"), epochs=15)
    linear, *others = (
        out_of_fold(replace(row, net=net), lists, tmp_path)
        for net in (Linear(), MLP((32,)), TwoTower(max_len=0))
    )
    assert min(others) > linear + 0.02


def parameters(model: NetModel) -> list[bytes]:
    return [value.numpy().tobytes() for state in model.state() for value in state.values()]


GATED = ContentGate(MLP((16,)), ("a",), (History("rank", ("b", "taste")),), hidden_histories=0.5)


@pytest.mark.parametrize(
    "net", [MLP((16,), dropout=0.3), replace(SMALL, dropout=0.3), GATED], ids=repr
)
def test_folds_beside_each_other_are_as_folds_in_turn(
    net: Net, lists: TrainSet, tmp_path: Path
) -> None:
    """Draws of the start, of dropout and of the loss do not depend on threads."""
    row = replace(ROW, net=net, loss=ListMLE(ties="shuffle"), epochs=2, nets=2)
    fit = partial(trained, row, lists, tmp_path)
    one = [parameters(fit(fold)) for fold in range(FOLDS)]
    torch.set_num_threads(2)
    with ThreadPoolExecutor(FOLDS) as pool:
        assert [parameters(model) for model in pool.map(fit, range(FOLDS))] == one
    assert one[0] != one[1]


def test_the_best_epoch_is_kept(lists: TrainSet, tmp_path: Path) -> None:
    """A learning rate that destroys what the first epochs found."""
    row = replace(ROW, learning_rate=0.5, patience=3, nets=2)
    model, data = trained(row, lists, tmp_path), rows_of(row, lists, tmp_path)
    curve = pl.read_csv(tmp_path / "logs_0" / "curve.csv")
    facts = json.loads((tmp_path / "logs_0" / "fold.json").read_text())
    assert curve.columns == ["round", "train_loss", "valid_auc", "valid_mrr_5"]
    best = curve["valid_mrr_5"].max()
    assert facts["valid_mrr_5"] == best == curve["valid_mrr_5"][facts["best_round"]]
    assert curve["valid_mrr_5"][-1] < best, "the last epoch is worse"
    score, label = model.score_queries(data.rows, data.valid), data.rows.labels(data.valid)
    offsets, ranks = np.cumsum([0, *np.diff(data.rows.offsets)[data.valid]]), []
    for first, end in pairwise(offsets):
        positive = label[first:end][np.argsort(-score[first:end], kind="stable")] > 0
        ranks.append(1 + np.argmax(positive) if positive.any() else 99)
    assert np.mean([1 / r if r <= 5 else 0 for r in ranks]) == pytest.approx(best)


def test_log_loss_of_a_loss_of_log_odds(lists: TrainSet, tmp_path: Path) -> None:
    row = replace(ROW, loss=BCE(threshold=1.0), epochs=2)
    model, data = trained(row, lists, tmp_path), rows_of(row, lists, tmp_path)
    curve = pl.read_csv(tmp_path / "logs_0" / "curve.csv")
    assert curve.columns[-3:] == ["valid_auc", "valid_logloss", "valid_mrr_5"]
    score, label = model.score_queries(data.rows, data.valid), data.rows.labels(data.valid)
    facts = json.loads((tmp_path / "logs_0" / "fold.json").read_text())
    assert facts["valid_logloss"] == pytest.approx(log_loss(label > 1, expit(score)), abs=1e-6)


def test_importance_is_what_shuffling_a_feature_costs(lists: TrainSet, tmp_path: Path) -> None:
    """Noise costs nothing; the same net has the same table."""
    row = replace(ROW, loss=Softmax("exponential", over="lists"))
    model, data = trained(row, lists, tmp_path), rows_of(row, lists, tmp_path)
    table = pl.read_csv(tmp_path / "logs_0" / "importance.csv")
    assert sorted(table["feature"]) == sorted(model.names) and table["drop"].is_sorted(
        descending=True
    )
    drop = dict(table.iter_rows())
    assert drop["a"] > 0.02 > abs(drop["noise"]), drop
    assert importance(model, data, 5).equals(importance(model, data, 5))
    some = data.valid[:3]
    taken = data.rows.take(some)
    assert np.array_equal(model.score_queries(taken, np.arange(3)),
                          model.score_queries(data.rows, some))  # fmt: skip


def test_training_stops_where_the_metric_does_not_improve(lists: TrainSet, tmp_path: Path) -> None:
    trained(replace(ROW, net=Linear(), learning_rate=0.0, patience=2, epochs=9), lists, tmp_path)
    assert pl.read_csv(tmp_path / "logs_0" / "curve.csv").height == 3


class Seen(Softmax):
    """A loss that notes how far the training is."""

    moments: ClassVar[list[float]] = []

    def at(self, progress: float) -> Loss:
        self.moments.append(progress)
        return self


def test_a_loss_is_told_how_far_the_training_is(lists: TrainSet, tmp_path: Path) -> None:
    """Loss and learning rate count steps: all epochs, of each net by itself."""
    Seen.moments.clear()
    trained(replace(ROW, loss=Seen(), epochs=3, nets=2), lists, tmp_path)
    batches = -(-160 // ROW.batch_size)
    steps = np.arange(3 * batches).reshape(3, batches) / (3 * batches)
    assert Seen.moments == np.tile(steps[:, None], (1, 2, 1)).ravel().tolist()


def test_weight_decay_shrinks_the_weights(lists: TrainSet, tmp_path: Path) -> None:
    free, shrunk = (
        trained(replace(ROW, net=Linear(), weight_decay=w, epochs=3), lists, tmp_path)
        for w in (0.0, 1.0)
    )
    norms = [m.nets[0].linear.weight.norm().item() for m in (free, shrunk)]
    assert norms[1] < 0.9 * norms[0]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_lists_that_say_nothing_make_no_nan(loss: Loss, lists: TrainSet, tmp_path: Path) -> None:
    equal = np.where(lists.fold != 0, lists.query % 2, lists.label).astype(np.float32)
    for number, some in enumerate(
        [replace(lists, label=equal), graded_lists(tmp_path / "short", longest=1)]
    ):
        row = replace(ROW, loss=loss, net=MLP((16,), norm="none"), epochs=1)
        model = trained(row, some, tmp_path / str(number))
        assert all(torch.isfinite(value).all() for value in model.state()[0].values())


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="ranker x: DIN reads item vectors, set max_items"):
        replace(ROW, net=DIN()).check(BARE)
    with pytest.raises(ValueError, match="ranker x: nets, batch_size and epochs are at least 1"):
        replace(ROW, nets=0).check(BARE)


def test_a_ranker_names_itself_where_a_net_refuses(lists: TrainSet, tmp_path: Path) -> None:
    columns = replace(lists, files=lists.files)
    columns.__dict__["names"] = ["a", "b"]
    with pytest.raises(ValueError, match="ranker x: TwoTower: the query tower has no input"):
        trained(replace(ROW, net=TwoTower(max_len=0)), columns, tmp_path)


def test_another_loss_is_another_row_for_manifests() -> None:
    rows = [replace(ROW, loss=loss, net=net) for loss in LOSSES for net in NETS]
    assert len({store.digest(row) for row in rows}) == len(rows)
    same_fields = [store.digest(replace(ROW, loss=loss)) for loss in (Twin(), Softmax())]
    assert same_fields[0] != same_fields[1]


class Twin(Softmax):
    """Another kind with the same fields."""
