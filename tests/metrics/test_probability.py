"""Probabilities and pooled AUC: scikit-learn's values with ties and masks; intervals over users.

pytest tests/metrics/test_probability.py
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss, roc_auc_score

from src.metrics.bootstrap import bootstrap
from src.metrics.named import metric_named
from src.metrics.pooled import PooledAUC, pooled_scores
from src.metrics.probability import Predictions, aucs_by_group


def drawn(seed: int, n: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities full of ties, grades of which some are unknown, and the groups of the rows."""
    rng = np.random.default_rng(seed)
    probability = rng.integers(1, 12, n) / 13
    grade = (rng.random(n) < probability).astype(np.float32)
    grade[rng.random(n) < 0.2] = np.nan
    return probability, grade, rng.integers(0, 40, n)


@pytest.mark.parametrize("seed", [1, 2])
def test_values_are_those_of_scikit_learn(seed: int) -> None:
    p, grade, group = drawn(seed)
    rows = ~np.isnan(grade)
    found, y = Predictions.known(p, grade, group), grade[rows] > 0
    assert found.positive.size == rows.sum() < p.size and found.counts == (y.sum(), (~y).sum())
    assert found.auc == pytest.approx(roc_auc_score(y, p[rows]))
    loss = log_loss(y, p[rows])
    assert found.log_loss == pytest.approx(loss)
    assert found.normalised_entropy() == pytest.approx(
        loss / log_loss(y, np.full(y.size, y.mean()))
    )
    scenes = group[rows] % 3
    rate = np.array([y[scenes == s].mean() for s in range(3)])[scenes]
    assert found.normalised_entropy(rate) == pytest.approx(loss / log_loss(y, rate))
    assert found.calibration_ratio == pytest.approx(p[rows].sum() / y.sum())
    by_scene = [roc_auc_score(y[scenes == s], p[rows][scenes == s]) for s in range(3)]
    assert aucs_by_group(p[rows], y, scenes).tolist() == pytest.approx(by_scene)
    assert found.auc_macro(scenes) == pytest.approx(np.mean(by_scene))


def test_the_mean_of_lists_leaves_out_those_of_one_class() -> None:
    p, grade, group = drawn(3)
    found, lists = Predictions.known(p, grade, group), group[~np.isnan(grade)] // 2 * 7
    lists[:30] = np.arange(1000, 1030)  # of one row each
    aucs = [
        roc_auc_score(found.positive[lists == n], found.probability[lists == n])
        for n in np.unique(lists)
        if 0 < found.positive[lists == n].mean() < 1
    ]
    assert found.auc_macro(lists) == pytest.approx(np.mean(aucs)) and len(aucs) < 40


def test_the_calibration_error_is_that_of_bins_of_equal_size() -> None:
    rng = np.random.default_rng(4)
    p = rng.permutation(np.arange(1, 1001) / 1002)
    grade = (rng.random(1000) < p**2).astype(np.float32)
    found = Predictions.known(p, grade, np.arange(1000))
    share, mean = calibration_curve(grade, p, n_bins=10, strategy="quantile")
    assert found.calibration_error() == pytest.approx(np.abs(share - mean).mean(), abs=2e-3)
    one_value = Predictions.known(np.full(50, 0.3), np.arange(50) < 20, np.arange(50))
    assert one_value.calibration_error() == pytest.approx(0.1), "ties are one bin"


def test_rows_of_one_class_have_no_auc() -> None:
    none = Predictions.known(np.full(5, 0.2), np.zeros(5), np.arange(5))
    assert np.isnan([none.auc, none.calibration_ratio, *none.auc_interval(1)]).all()
    assert none.log_loss == pytest.approx(-np.log(0.8))
    empty = Predictions.known(np.empty(0), np.empty(0), np.empty(0))
    assert np.isnan([empty.auc, empty.log_loss, empty.calibration_error()]).all()


def test_intervals_are_those_of_drawing_users_and_computing_anew() -> None:
    """Users of 1 to 30 rows, whose rows are alike: rows drawn alone would be too sure."""
    rng = np.random.default_rng(5)
    sizes = rng.integers(1, 30, 150)
    user, level = np.repeat(np.arange(150), sizes), np.repeat(rng.normal(size=150), sizes)
    logit = level + rng.normal(size=user.size)
    grade = rng.random(user.size) < 1 / (1 + np.exp(1 - logit))
    p = 1 / (1 + np.exp(1 - logit + rng.normal(size=user.size)))
    found = Predictions.known(p, grade.astype(float), user)
    rows_of = [np.flatnonzero(user == u) for u in range(150)]
    aucs = []
    for _ in range(400):
        rows = np.concatenate([rows_of[u] for u in rng.integers(0, 150, 150)])
        aucs.append(roc_auc_score(grade[rows], p[rows]))
    low, high = found.auc_interval(1)
    assert [low, high] == pytest.approx(np.quantile(aucs, [0.025, 0.975]), abs=0.012)
    alone = Predictions.known(p, grade.astype(float), np.arange(user.size)).auc_interval(1)
    assert high - low > 1.2 * (alone[1] - alone[0])


def test_pooled_auc_as_value_and_ideal_of_queries() -> None:
    p, grade, group = drawn(6)
    rows = ~np.isnan(grade)
    p, grade, session, fold = p[rows], grade[rows], group[rows], group[rows] % 4
    whole = pooled_scores(session, p, grade, PooledAUC())
    assert whole.score() == pytest.approx(roc_auc_score(grade > 0, p))
    assert whole.ideal.sum() == p.size and whole.session.size == np.unique(session).size
    by_fold = pooled_scores(session, p, grade, PooledAUC(), fold)
    aucs = [roc_auc_score(grade[fold == f], p[fold == f]) for f in range(4)]
    for f, auc in enumerate(aucs):
        assert by_fold.score(by_fold.session % 4 == f) == pytest.approx(auc)
    assert by_fold.score() == pytest.approx(np.average(aucs, weights=np.bincount(fold)))
    grade[fold == 2] = 1
    without = pooled_scores(session, p, grade, PooledAUC(), fold)
    assert without.ideal[without.session % 4 == 2].sum() == 0, "a fold of one class is left out"
    low, high = bootstrap([by_fold], [1.0], 1)
    assert low[0] < by_fold.score() < high[0]


def test_it_is_of_all_rows() -> None:
    assert metric_named("pooled_auc") == PooledAUC() and PooledAUC().pooled
    with pytest.raises(ValueError, match="pooled_auc@5: it is of all rows; give pooled_auc"):
        metric_named("pooled_auc@5")
    with pytest.raises(ValueError, match="take a metric of lists"):
        PooledAUC().raw_values(np.ones((1, 2)))
