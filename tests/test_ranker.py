"""The objective of our own, and what a model of it learns.

pytest tests/test_ranker.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

from src.rankers.rows import XGBoostRanker
from src.rankers.xgb import SOFTMAX, Job, by_query, most_gained, softmax_loss

SIZES = [3, 1, 5, 4]  # candidates of each query; the last one has no true one
LABEL = np.array([0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0])


def rows(X: np.ndarray, label: np.ndarray, sizes: list[int]) -> xgb.QuantileDMatrix:
    return xgb.QuantileDMatrix(X, label, qid=np.repeat(np.arange(len(sizes)), sizes))


def plain_loss(score: np.ndarray) -> float:
    """Over the queries: the mean of -ln(share) over the true candidates."""
    loss, first = 0.0, 0
    for size in SIZES:
        mine, true = score[first : first + size], LABEL[first : first + size] == 1
        share = np.exp(mine) / np.exp(mine).sum()
        loss -= np.log(share[true]).mean() if true.any() else 0.0
        first += size
    return loss


def test_the_gradient_of_softmax_is_that_of_its_loss() -> None:
    score = np.random.default_rng(3).normal(size=LABEL.size) * 3
    data = rows(np.zeros((LABEL.size, 1)), LABEL, SIZES)
    gradient, curvature = softmax_loss(score.astype(np.float32), data)
    step, wanted = 1e-5, []
    for i in range(LABEL.size):
        there, back = (score + d * np.eye(LABEL.size)[i] for d in (step, -step))
        wanted.append((plain_loss(there) - plain_loss(back)) / (2 * step))
    np.testing.assert_allclose(gradient, wanted, atol=1e-5)
    assert (curvature[:9] > 0).all() and not curvature[9:].any(), "nothing to learn from"


def test_scores_that_are_far_apart_do_not_overflow() -> None:
    data = rows(np.zeros((3, 1)), np.array([0, 1, 0]), [3])
    gradient, curvature = softmax_loss(np.array([900, -900, 0], np.float32), data)
    assert gradient.tolist() == [1, -1, 0] and np.isfinite(curvature).all()


@pytest.mark.parametrize("objective", [SOFTMAX, "rank:ndcg"])
def test_a_fact_of_the_query_alone_is_no_reason(objective: str) -> None:
    """What helps is one column; another tells whether the query has any true candidate."""
    rng = np.random.default_rng(4)
    X, label = rng.normal(size=(4000, 2)), np.zeros(4000)
    for first in range(0, 4000, 20):
        X[first : first + 20, 1] = asked = float(rng.random() < 0.5)
        label[first + np.argmax(X[first : first + 20, 0])] = asked
    row = XGBoostRanker("own", (("objective", objective), ("max_depth", 3)))
    job = Job(row, "carts", 0, Path())
    assert by_query(row)
    model = job.boost(rows(X, label, [20] * 200), 20, {"seed": 1})
    score = model.inplace_predict(X, predict_type="margin").reshape(200, 20)
    asked = label.reshape(200, 20).any(axis=1)
    hit = score.argmax(axis=1) == X[:, 0].reshape(200, 20).argmax(axis=1)
    assert hit[asked].mean() > 0.9
    gain = model.get_score(importance_type="total_gain")
    assert gain["f0"] > 20 * gain.get("f1", 0.0)


def test_columns_are_kept_where_nothing_splits() -> None:
    """A label that no column tells: one column stays, for a model needs one."""
    X, names = np.zeros((40, 3), np.float32), ["a", "b", "c"]
    assert most_gained(X, np.arange(40) % 2, names, 2, "cpu", 0) == ["a"]
    X[:, 1] = np.arange(40) % 2
    assert most_gained(X, np.arange(40) % 2, names, 2, "cpu", 0) == ["b"]
