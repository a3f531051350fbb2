"""Negatives that were drawn more often do not look worse: every ranker corrects their chance.

pytest tests/rankers/test_corrections.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import run_in
from planted_rows import trained, write_rows

from src.candidates.pool import Pool
from src.core.engines import resolve
from src.rankers.base import FitTask, Ranker
from src.rankers.lgbm import LightGBMRanker
from src.rankers.losses.approx_ndcg import ApproxNDCG
from src.rankers.losses.base import Loss
from src.rankers.losses.hybrid import Hybrid
from src.rankers.losses.lambdas import LambdaRank
from src.rankers.losses.listmle import ListMLE
from src.rankers.losses.listnet import ListNet
from src.rankers.losses.neural_ndcg import NeuralNDCG
from src.rankers.losses.pointwise import BCE, SquaredError
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.histories import no_events
from src.rankers.nets.inputs import FoldQueries
from src.rankers.nets.mlp import MLP
from src.rankers.nets.trainer import fit
from src.rankers.sampling import HALF, Sampler
from src.rankers.train_set import TrainSet
from src.rankers.xgb import XGBoostRanker

QUERIES, SIZE, TOP = 3000, 30, 6
OFTEN, SELDOM = 0.9, 0.1  # chance to be drawn, of the first TOP candidates and of the others
DEPTH = ("max_depth", 3), ("learning_rate", 0.2)
LEAVES = ("num_leaves", 8), ("learning_rate", 0.2)


def sampled(folder: Path, known: bool) -> TrainSet:
    """One positive a query, by column x alone, and the negatives that were drawn."""
    rng = np.random.default_rng(7)
    x, top = rng.normal(size=(QUERIES, SIZE)), np.arange(SIZE) < TOP
    best = (x + rng.gumbel(size=x.shape)).argmax(axis=1)
    positive = np.arange(SIZE) == best[:, None]
    chance = np.where(top, OFTEN, SELDOM)
    kept = positive | (rng.random(x.shape) < chance)
    columns = {"x": x[kept], "top": np.broadcast_to(top, x.shape)[kept].astype(float)}
    if known:
        columns["log_chance:x"] = np.log(np.broadcast_to(chance, x.shape)[kept])
    folder.mkdir()
    return write_rows(folder, columns, positive[kept], kept.sum(axis=1).tolist())


def trees(row: type[XGBoostRanker] | type[LightGBMRanker], loss: str) -> Ranker:
    params = DEPTH if row is XGBoostRanker else LEAVES
    metric = {"binary:logistic": "logloss", "binary": "binary_logloss"}.get(loss, "ndcg@5")
    return row(loss.replace(":", "_"), (("objective", loss), *params), 80, 80, metric)


def net(loss: Loss) -> NetRanker:
    return NetRanker("net", MLP(hidden=(8,)), loss, epochs=12, patience=12, batch_size=64)


def advantage(ranker: Ranker, rows: TrainSet, folder: Path) -> float:
    """How much higher candidates of the top are scored than equal ones below."""
    X = np.array([[0.0, 1.0], [0.0, 0.0]], np.float32)
    if not isinstance(ranker, NetRanker):
        model = ranker.load(trained(ranker, rows, folder), run_in(folder))
        high, low = model.margins(X, ["x", "top"])
        return float(high - low)
    task = FitTask(ranker, "x", 1, folder / "logs", resolve("cpu"), 5)
    data = FoldQueries.read(ranker, task, rows, no_events(rows.offsets.size - 1), 1)
    fitted = fit(ranker, task, data)
    scored = replace(
        data.rows.take(np.array([0])), offsets=np.array([0, 2]), item=np.zeros(2, np.int32),
        label=np.zeros(2, np.float32), numbers=data.rows.scaler.numbers(X),
        codes=np.zeros((2, 0), np.int32), correction=np.zeros(2, np.float32),
    )  # fmt: skip
    high, low = fitted.score_queries(scored, np.array([0]))
    return float(high - low)


RANKERS = {
    "XGBoost, logistic": trees(XGBoostRanker, "binary:logistic"),
    "XGBoost, softmax": trees(XGBoostRanker, "softmax"),
    "XGBoost, ndcg": trees(XGBoostRanker, "rank:ndcg"),
    "LightGBM, binary": trees(LightGBMRanker, "binary"),
    "LightGBM, lambdas": trees(LightGBMRanker, "lambdarank"),
    "net, BCE": net(BCE()),
    "net, softmax": net(Softmax()),
    "net, lambdas": net(LambdaRank()),
}


@pytest.mark.parametrize("name", RANKERS)
def test_the_order_does_not_follow_the_draw(name: str, tmp_path: Path) -> None:
    known, unknown = (
        advantage(RANKERS[name], sampled(tmp_path / str(known), known), tmp_path)
        for known in (True, False)
    )
    assert abs(known) < 0.5, "they are equally good"
    assert unknown < -0.6, "without the chance, they look worse: ln 9 is 2.2"


@pytest.mark.parametrize("ranker", [
    XGBoostRanker("squares", (("objective", "reg:squarederror"), *DEPTH), 20, 20, "rmse"),
    LightGBMRanker("squares", (("objective", "regression"), *LEAVES), 20, 20, "l2"),
], ids=["XGBoost", "LightGBM"])  # fmt: skip
def test_a_score_that_is_no_log_odds_is_not_corrected(ranker: Ranker, tmp_path: Path) -> None:
    files = []
    for known in (True, False):
        rows = sampled(tmp_path / f"rows {known}", known)
        (tmp_path / f"model {known}").mkdir()
        files.append(trained(ranker, rows, tmp_path / f"model {known}").read_bytes())
    assert files[0] == files[1]


def test_losses_say_whether_their_scores_are_log_odds() -> None:
    squares = SquaredError()
    assert all(loss.is_of_odds for loss in (BCE(), Softmax(), LambdaRank(), ListMLE()))
    for loss in (squares, ListNet(), ApproxNDCG(), NeuralNDCG(), LambdaRank(sigma=2.0)):
        assert not loss.is_of_odds
    assert Hybrid(((1.0, Softmax()),)).is_of_odds
    assert not Hybrid(((1.0, Softmax()), (0.1, squares))).is_of_odds
    assert not Hybrid(((1.0, Softmax()),), warm_up=squares).is_of_odds
    for params in ("rank_xendcg", "regression"):
        assert not trees(LightGBMRanker, params).is_of_odds  # type: ignore[attr-defined]
    assert not trees(XGBoostRanker, "binary:hinge").is_of_odds  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("row", "losses"),
    [
        (XGBoostRanker, ("binary:logistic", "reg:squarederror")),
        (LightGBMRanker, ("lambdarank", "rank_xendcg")),
    ],
    ids=["XGBoost", "LightGBM"],
)
def test_what_is_corrected_shares_no_matrix_with_what_is_not(
    row: type[XGBoostRanker] | type[LightGBMRanker], losses: tuple[str, str]
) -> None:
    """A matrix keeps its correction: neither library takes it back."""
    assert len({trees(row, loss).group_key() for loss in losses}) == 2


def test_the_first_candidates_of_the_pool_are_drawn_most() -> None:
    """At HALF the chance is half of the first one's; their sum is what the recipe asks for."""
    size, queries = 100, 4000
    offsets, item = np.arange(queries + 1) * size, np.tile(np.arange(size, dtype=np.int32), queries)
    zeros = np.zeros((item.size, 1), np.float32)
    pool = Pool(0, offsets, item, zeros[:, 0], zeros.astype(np.uint16), zeros)
    label = np.zeros((queries, size), np.float32)
    label[np.arange(queries), np.arange(queries) % size] = 1
    sampler = Sampler(8.0, 3)
    chance = np.exp(sampler.log_chances(pool, label.ravel())).reshape(label.shape)
    assert chance[:, [0, HALF, 3 * HALF]] == pytest.approx(np.tile([1, 0.5, 0.25], (queries, 1)))
    drawn = sampler.sample(pool, label.ravel()).reshape(label.shape)
    assert drawn[label > 0].all()
    negative = label == 0
    share = (drawn & negative).sum(axis=0) / negative.sum(axis=0)
    assert share == pytest.approx(8 / chance[0].sum() * chance[0], abs=0.03)
    assert drawn[negative].sum() == pytest.approx(8 * queries, rel=0.02)
    alike = Sampler(8.0, 3, alike=True)
    assert not alike.log_chances(pool, label.ravel()).any()
    share = alike.sample(pool, label.ravel()).reshape(label.shape).mean(axis=0)
    assert share == pytest.approx(np.full(size, 0.09), abs=0.03)


def test_a_chance_does_not_tell_how_many_positives_a_query_has() -> None:
    """Queries of one positive and of nine have the same chances, those of none too."""
    item = np.tile(np.arange(200, dtype=np.int32), 3)
    zeros = np.zeros((600, 1), np.float32)
    pool = Pool(0, np.arange(4) * 200, item, zeros[:, 0], zeros.astype(np.uint16), zeros)
    label = np.zeros((3, 200), np.float32)
    label[0, 5], label[1, ::23] = 1, 1
    one, nine, none = Sampler(1.0, 3).log_chances(pool, label.ravel()).reshape(3, 200)
    assert one == pytest.approx(nine) and one == pytest.approx(none)
    every = Sampler(100.0, 3).log_chances(pool, label.ravel()).reshape(3, 200)
    assert every[0, -1] > one[-1] and every[1].tolist() == [0.0] * 200, "all are drawn"


def test_of_several_objectives_the_highest_chance_counts(tmp_path: Path) -> None:
    """A row is there if one of them drew it: by the same number."""
    table = pl.DataFrame({
        "session": [0, 0, 0], "item": [1, 2, 3], "fold": [0, 0, 0], "label:a": [1.0, 0.0, None],
        "log_chance:a": [-1.0, -1.5, -9.0], "label:b": [None, 0.0, 0.0],
        "log_chance:b": [-2.0, -0.5, -0.25], "x": [0.0, 1.0, 2.0],
    })  # fmt: skip
    table.write_parquet(tmp_path / "0.parquet")
    both, one = (TrainSet.read([tmp_path / "0.parquet"], names) for names in (["a", "b"], ["b"]))
    assert both.names == one.names == ["x"]
    assert both.log_chance.tolist() == [-1.0, -0.5, -0.25] and one.log_chance.tolist() == [
        -0.5,
        -0.25,
    ]
    assert both.corrections().tolist() == [[1.0, 2.0], [1.5, 0.5], [9.0, 0.25]]
    assert np.diff(both.correction(fold=1)).tolist() == pytest.approx([-0.5, -0.25])
    assert both.correction(1).mean() == pytest.approx(np.log(0.5)), "one of three is positive"
