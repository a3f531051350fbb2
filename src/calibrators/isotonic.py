"""Isotonic regression: an ascending function of the log-odds, without a formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from src.calibrators.base import Calibrator, Map
from src.core.arrays import F64, Mask


@dataclass(frozen=True)
class IsotonicCalibrator(Calibrator):
    """Fits an ascending function by pooling adjacent violators (Zadrozny and Elkan, 2002).

    Rows of different scores may get one probability. Between the rows that it was fitted to, it
    is linear; beyond them, constant.
    """

    def fit(self, log_odds: F64, positive: Mask) -> Map:
        least = 0.5 / (positive.size + 1.0)  # a certainty that fails once costs without bound
        model = IsotonicRegression(y_min=least, y_max=1.0 - least, out_of_bounds="clip")
        model.fit(log_odds, positive.astype(np.float64))
        return {"log_odds": model.X_thresholds_.tolist(), "value": model.y_thresholds_.tolist()}

    def apply(self, fitted: Map, log_odds: F64) -> F64:
        found: F64 = np.interp(log_odds, fitted["log_odds"], fitted["value"])
        return found
