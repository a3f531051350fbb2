"""A LightGBM model of a file; LightGBM scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import lightgbm as lgb
import numpy as np

from src.core.arrays import F32, I64
from src.rankers.trees import TreeModel


@dataclass(frozen=True)
class LightGBMTrees(TreeModel):
    """A model whose scores do not depend on the number of threads."""

    model: lgb.Booster
    threads: int

    @classmethod
    def load(cls, path: Path, threads: int) -> LightGBMTrees:
        """Read a model of LightGBM's text format."""
        return cls(lgb.Booster(model_str=path.read_text()), threads)

    @property
    def names(self) -> list[str]:
        return [unquote(name) for name in self.model.feature_name()]

    def sum_trees(self, X: F32, columns: I64, rows: I64) -> F32:
        X = X[np.ix_(rows, columns)]
        if not len(X):
            return np.empty(0, np.float32)
        scores = self.model.predict(X, raw_score=True, num_threads=self.threads)
        return np.asarray(scores, np.float32)
