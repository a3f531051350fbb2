"""Platt scaling: a logistic regression on the log-odds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from src.calibrators.base import Calibrator, Map
from src.core.arrays import F64, Mask

PENALTY = 1e6
"""Inverse strength of the penalty: rows that a threshold separates have a finite slope."""


@dataclass(frozen=True)
class PlattCalibrator(Calibrator):
    """Fits slope and intercept of the log-odds (Platt, 1999), so it keeps the order of rows.

    Where higher scores are less often positive, the slope is 0: an order is never turned around.
    """

    def fit(self, log_odds: F64, positive: Mask) -> Map:
        mean, scale = float(log_odds.mean()), max(float(log_odds.std()), 1e-12)
        model = LogisticRegression(C=PENALTY, tol=1e-8, max_iter=1000)
        with threadpool_limits(1):  # threads change the rounding
            model.fit(((log_odds - mean) / scale)[:, None], positive)
        slope = float(model.coef_[0, 0]) / scale
        if slope <= 0:
            slope, intercept = 0.0, float(np.log(positive.mean() / (1 - positive.mean())))
        else:
            intercept = float(model.intercept_[0]) - slope * mean
        return {"slope": [slope], "intercept": [intercept]}

    def apply(self, fitted: Map, log_odds: F64) -> F64:
        found: F64 = expit(fitted["slope"][0] * log_odds + fitted["intercept"][0])
        return found
