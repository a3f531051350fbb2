"""The models of a run, or of its pre-ranker, and the scores that they give one query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.candidates.pool import Pool
from src.core.arrays import F32
from src.core.run import Run
from src.data.split_data import SplitData
from src.features.table import FeatureTable
from src.rankers.base import RankerModel, mean_scores, out_of_fold_scores
from src.rankers.batches import CandidateBatch
from src.rankers.train import load_models, targets
from src.rankers.train_table import table_files, trainable_objectives


@dataclass(frozen=True)
class Scorer:
    """Models of each score column, one per fold, and the features that they read."""

    features: FeatureTable
    models: dict[str, list[RankerModel]]
    names: frozenset[str]  # of the features that some model reads

    @classmethod
    def load(cls, run: Run) -> Scorer:
        """Read all models; FileNotFoundError, with the step to run, where one is missing."""
        run.require(table_files(run, "valid"))
        trained = targets(run.recipe, trainable_objectives(run))
        run.require(file for target in trained for file in target.models(run))
        models = load_models(run, trained)
        names = frozenset(n for of_folds in models.values() for m in of_folds for n in m.names)
        return cls(FeatureTable(run.recipe), models, names)

    def batch(self, data: SplitData, pool: Pool) -> CandidateBatch:
        """Compute the features of the candidates of a query."""
        return CandidateBatch.compute(self.features, data, pool, self.names)

    def scores(self, batch: CandidateBatch, fold: int | None) -> dict[str, F32]:
        """Score the candidates of a query: score column -> float32 (candidates).

        fold: None for the mean over the models of all folds; else the models of this fold score,
        which were not trained on it.
        """
        if fold is None:
            return {column: mean_scores(models, batch) for column, models in self.models.items()}
        of_query = np.array([fold], np.int64)
        return {c: out_of_fold_scores(m, batch, of_query) for c, m in self.models.items()}
