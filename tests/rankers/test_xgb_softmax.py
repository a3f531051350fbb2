"""XGBoost's softmax over the candidates of a query, by differences; what a model learns.

pytest tests/rankers/test_xgb_softmax.py
"""

from __future__ import annotations

import numpy as np
import pytest
import xgboost as xgb

from src.rankers.xgb import SOFTMAX, XGBoostRanker
from src.rankers.xgb_softmax import softmax_gradient
from src.rankers.xgb_trainer import boost

SIZES = [3, 1, 5, 4]  # candidates of each query; the last one has no positive
LABEL = np.array([0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0])
GRADES = LABEL * np.array([1, 0.25, 1, 2, 3, 1, 1, 0.5, 1, 1, 1, 1, 1])


def rows(X: np.ndarray, label: np.ndarray, sizes: list[int]) -> xgb.QuantileDMatrix:
    return xgb.QuantileDMatrix(X, label, qid=np.repeat(np.arange(len(sizes)), sizes))


def plain_loss(score: np.ndarray, label: np.ndarray) -> float:
    """Over the queries: the mean of -ln(share) over the positives, weighted by their grades."""
    loss, first = 0.0, 0
    for size in SIZES:
        of_query = score[first : first + size]
        weight = label[first : first + size]
        share = np.exp(of_query) / np.exp(of_query).sum()
        loss -= (weight * np.log(share)).sum() / weight.sum() if weight.any() else 0.0
        first += size
    return loss


@pytest.mark.parametrize("label", [LABEL, GRADES], ids=["binary", "graded"])
def test_the_gradient_of_softmax_is_that_of_its_loss(label: np.ndarray) -> None:
    score = np.random.default_rng(3).normal(size=LABEL.size) * 3
    data = rows(np.zeros((LABEL.size, 1)), label, SIZES)
    gradient, curvature = softmax_gradient(score.astype(np.float32), data)
    step, wanted = 1e-5, []
    for i in range(LABEL.size):
        up, down = (score + d * np.eye(LABEL.size)[i] for d in (step, -step))
        wanted.append((plain_loss(up, label) - plain_loss(down, label)) / (2 * step))
    np.testing.assert_allclose(gradient, wanted, atol=1e-5)
    assert (curvature[:9] > 0).all() and not curvature[9:].any(), "nothing to learn from"


def test_scores_that_are_far_apart_do_not_overflow() -> None:
    data = rows(np.zeros((3, 1)), np.array([0, 1, 0]), [3])
    gradient, curvature = softmax_gradient(np.array([900, -900, 0], np.float32), data)
    assert gradient.tolist() == [1, -1, 0] and np.isfinite(curvature).all()


@pytest.mark.parametrize("loss", [SOFTMAX, "rank:ndcg"])
def test_a_fact_of_the_query_alone_is_no_reason(loss: str) -> None:
    """What helps is one column; another one tells whether the query has any positive."""
    rng = np.random.default_rng(4)
    X, label = rng.normal(size=(4000, 2)), np.zeros(4000)
    for first in range(0, 4000, 20):
        X[first : first + 20, 1] = has_positive = float(rng.random() < 0.5)
        label[first + np.argmax(X[first : first + 20, 0])] = has_positive
    ranker = XGBoostRanker("own", (("objective", loss), ("max_depth", 3)))
    assert ranker.is_listwise
    model = boost(ranker, rows(X, label, [20] * 200), 20, {"seed": 1})
    score = model.inplace_predict(X, predict_type="margin").reshape(200, 20)
    useful = label.reshape(200, 20).any(axis=1)
    hit = score.argmax(axis=1) == X[:, 0].reshape(200, 20).argmax(axis=1)
    assert hit[useful].mean() > 0.9
    gain = model.get_score(importance_type="total_gain")
    assert gain["f0"] > 20 * gain.get("f1", 0.0)
