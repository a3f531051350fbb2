"""Base class of calibrators, and what one has learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from src.core.arrays import F64, I64, Mask

if TYPE_CHECKING:
    from src.data.recipe import Recipe

SCENE_ROWS = 500
"""Positives, and negatives, that a scene needs for a map of its own; others share one."""
Map = dict[str, list[float]]
"""Numbers of a fitted map, as JSON has them."""


@dataclass(frozen=True)
class Calibrator(ABC):
    """Learns a map from log-odds to probabilities, on out-of-fold scores of `valid`.

    A kind is a subclass in a module of this folder; a recipe holds one row at most.
    """

    scene: str = ""  # a column of IMPRESSIONS, each value has a map of its own; "": one for all

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where unlisted candidates have no label."""
        if not recipe.given:
            raise ValueError("a calibrator needs given candidates: others have no known label")

    @abstractmethod
    def fit(self, log_odds: F64, positive: Mask) -> Map:
        """Fit a map to rows of both classes."""

    @abstractmethod
    def apply(self, fitted: Map, log_odds: F64) -> F64:
        """Return probabilities above 0 and below 1, ascending with the log-odds."""


@dataclass(frozen=True)
class Calibration:
    """The maps that a calibrator has learned for an objective."""

    row: Calibrator
    rate: float  # of the rows, smoothed: the probability where they had one class only
    whole: Map | None  # of all scenes; None where the rows had one class only
    scenes: dict[int, Map]

    @classmethod
    def fit(cls, row: Calibrator, log_odds: F64, positive: Mask, scene: I64) -> Self:
        """Learn the map of all rows, and of each scene that has SCENE_ROWS of both classes.

        scene: of each row, a whole number; not read where the row names none.
        """
        positives, n = int(positive.sum()), positive.size
        whole = row.fit(log_odds, positive) if 0 < positives < n else None
        scenes: dict[int, Map] = {}
        for number in np.unique(scene) if row.scene else ():
            rows = scene == number
            of_scene = positive[rows]
            if min(of_scene.sum(), (~of_scene).sum()) >= SCENE_ROWS:
                scenes[int(number)] = row.fit(log_odds[rows], of_scene)
        return cls(row, (positives + 0.5) / (n + 1.0), whole, scenes)

    def probabilities(self, log_odds: F64, scene: I64) -> F64:
        """Return the probability of each row: float64. A scene without a map has that of all."""
        if self.whole is None:
            return np.full(log_odds.size, self.rate)
        found = self.row.apply(self.whole, log_odds)
        for number, fitted in self.scenes.items():
            rows = scene == number
            found[rows] = self.row.apply(fitted, log_odds[rows])
        return found

    def as_data(self) -> dict[str, Any]:
        """Return the maps as JSON has them."""
        scenes = {str(number): fitted for number, fitted in self.scenes.items()}
        return {"rate": self.rate, "whole": self.whole, "scenes": scenes}

    @classmethod
    def from_data(cls, row: Calibrator, data: dict[str, Any]) -> Self:
        """Read the result of `as_data`."""
        scenes = {int(number): fitted for number, fitted in data["scenes"].items()}
        return cls(row, data["rate"], data["whole"], scenes)
