"""Compute the partial dependence of a ranker's score on single features (Friedman, 2001)."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.core.run import Run
from src.data.shards import shard_files
from src.features.item_attribute_kernel import UNKNOWN
from src.features.table import FeatureTable
from src.rankers.base import Ranker
from src.rankers.train_set import LABEL

FILES = 5  # of the training table that are read, at most
ROWS = 1000  # that the mean is taken over, about
GRID = 12  # values of a feature, at most


def held_out_rows(run: Run, objective: str) -> pl.DataFrame:
    """Read the features of about ROWS training rows of fold 0, from at most FILES files."""
    files = shard_files(run, "valid", "train")
    held_out = (pl.col("fold") == 0) & pl.col(f"{LABEL}{objective}").is_not_null()
    if len(files) > FILES:
        files = [files[n * len(files) // FILES] for n in range(FILES)]
    names, tables = FeatureTable(run.recipe).names, []
    for file in files:
        rows = pl.scan_parquet(file).filter(held_out).select(names).collect()
        tables.append(rows.gather_every(max(1, rows.height * len(files) // ROWS)))
    return pl.concat(tables)


def partial_effects(
    run: Run, row: Ranker, objective: str, features: list[str]
) -> dict[str, pl.DataFrame]:
    """Compute the mean score when all rows get one value of a feature: value, mean_score.

    The model is that of fold 0: it has not learned from the rows. The values are quantiles of
    the known ones; a feature without any is left out.
    """
    model = row.load(row.model_file(run, objective, 0), run)
    frame = held_out_rows(run, objective)
    X = frame.to_numpy(order="c").astype(np.float32)
    effects = {}
    for name in features:
        column = frame.columns.index(name)
        shares = np.linspace(0.02, 0.98, GRID)
        known = X[np.isfinite(X[:, column]) & (X[:, column] != UNKNOWN), column]
        if not known.size:
            continue
        values = np.unique(np.quantile(known, shares, method="nearest"))
        means = []
        for value in values:
            changed = X.copy()
            changed[:, column] = value
            means.append(float(model.margins(changed, frame.columns).mean()))
        effects[name] = pl.DataFrame({"value": values, "mean_score": means})
    return effects
