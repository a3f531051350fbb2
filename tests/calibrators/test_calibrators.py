"""Calibrators: ratios by scene, orders, scenes without a map, one class; the same bits from JSON.

pytest tests/calibrators/test_calibrators.py
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from src.calibrators.base import Calibration, Calibrator
from src.calibrators.isotonic import IsotonicCalibrator
from src.calibrators.platt import PlattCalibrator

KINDS = (PlattCalibrator, IsotonicCalibrator)


def planted(seed: int, n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-odds that are twice too large and shifted by scene; who is positive; scenes 0, 1, 2, 9.

    Scene 9 has few rows.
    """
    rng = np.random.default_rng(seed)
    scene = np.where(rng.random(n) < 0.005, 9, rng.integers(0, 3, n))
    truth = rng.normal(-1, 1, n)
    return 2 * truth + scene * 0.7, rng.random(n) < expit(truth), scene


@pytest.mark.parametrize("kind", KINDS)
def test_the_ratio_is_right_in_every_scene(kind: type[Calibrator]) -> None:
    log_odds, positive, scene = planted(1)
    fitted = Calibration.fit(kind("scene"), log_odds, positive, scene)
    assert sorted(fitted.scenes) == [0, 1, 2], "scene 9 has too few rows"
    p = fitted.probabilities(log_odds, scene)
    for s in range(3):
        rows = scene == s
        assert p[rows].sum() / positive[rows].sum() == pytest.approx(1, abs=0.02)
    other, came_true, other_scene = planted(2)
    p = fitted.probabilities(other, other_scene)
    assert p.sum() / came_true.sum() == pytest.approx(1, abs=0.03), "rows it was not fitted to"
    whole = Calibration.fit(kind(), log_odds, positive, scene)
    assert not whole.scenes
    new = fitted.probabilities(other, np.full(other.size, 77))
    assert new.tolist() == whole.probabilities(other, other_scene).tolist(), "a scene only in test"


def test_maps_are_those_of_scikit_learn() -> None:
    log_odds, positive, scene = planted(3, 3000)
    platt = Calibration.fit(PlattCalibrator(), log_odds, positive, scene)
    model = LogisticRegression(C=1e6, tol=1e-8).fit(log_odds[:, None], positive)
    found = platt.probabilities(log_odds, scene)
    assert found == pytest.approx(model.predict_proba(log_odds[:, None])[:, 1], abs=1e-5)
    isotonic = Calibration.fit(IsotonicCalibrator(), log_odds, positive, scene)
    curve = IsotonicRegression(out_of_bounds="clip").fit(log_odds, positive)
    assert isotonic.probabilities(log_odds, scene) == pytest.approx(
        curve.predict(log_odds), abs=2e-4
    )


def test_platt_keeps_the_order_of_a_pooled_table() -> None:
    log_odds, positive, scene = planted(4)
    p = Calibration.fit(PlattCalibrator(), log_odds, positive, scene).probabilities(log_odds, scene)
    assert np.argsort(p, kind="stable").tolist() == np.argsort(log_odds, kind="stable").tolist()
    assert p.min() > 0 and p.max() < 1
    wrong = Calibration.fit(PlattCalibrator(), -log_odds, positive, scene)
    assert np.unique(wrong.probabilities(-log_odds, scene)) == pytest.approx(positive.mean())


@pytest.mark.parametrize("kind", KINDS)
def test_no_certainty_from_rows_that_a_threshold_separates(kind: type[Calibrator]) -> None:
    log_odds = np.array([-2.0, -1.0, 1.0, 2.0])
    fitted = Calibration.fit(kind(), log_odds, log_odds > 0, np.zeros(4, np.int64))
    p = fitted.probabilities(np.array([-50.0, 50.0]), np.zeros(2, np.int64))
    assert 0 <= p[0] < 0.5 < p[1] <= 1 and np.isfinite(p).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 9])
def test_rows_of_one_class_give_a_smoothed_rate(kind: type[Calibrator], n: int) -> None:
    zeros = np.zeros(n, np.int64)
    fitted = Calibration.fit(kind("scene"), zeros * 1.0, zeros > 0, zeros)
    assert fitted.probabilities(np.ones(3), np.arange(3)).tolist() == [0.5 / (n + 1)] * 3
    again = Calibration.from_data(kind("scene"), json.loads(json.dumps(fitted.as_data())))
    assert again == fitted


@pytest.mark.parametrize("kind", KINDS)
def test_maps_of_a_file_give_the_same_bits(kind: type[Calibrator]) -> None:
    log_odds, positive, scene = planted(5)
    fitted = Calibration.fit(kind("scene"), log_odds, positive, scene)
    again = Calibration.from_data(kind("scene"), json.loads(json.dumps(fitted.as_data())))
    wanted = fitted.probabilities(log_odds, scene)
    assert np.array_equal(again.probabilities(log_odds, scene), wanted)
    assert np.unique(wanted).size > 20


def test_log_odds_far_from_0() -> None:
    """A mean of many deviations is no reason for a slope of 0."""
    log_odds, positive, scene = planted(6, 3000)
    near = Calibration.fit(PlattCalibrator(), log_odds, positive, scene)
    far = Calibration.fit(PlattCalibrator(), log_odds + 1e5, positive, scene)
    found = far.probabilities(log_odds + 1e5, scene)
    assert found == pytest.approx(near.probabilities(log_odds, scene), abs=1e-4)
