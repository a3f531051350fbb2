"""Measure which features a net uses: permutation importance (Breiman, 2001)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from src.rankers.nets.inputs import FoldQueries, QueryRows
from src.rankers.nets.model import NetModel
from src.rankers.nets.valid_metrics import column_of, valid_metrics

QUERIES = 200
"""Valid queries, at most, whose rows are shuffled: a net scores them once per feature."""


def importance(model: NetModel, data: FoldQueries, seed: int) -> pl.DataFrame:
    """Measure how much the metric that stops falls when a feature is shuffled: feature, drop.

    The values of a feature are exchanged between all rows of some valid queries, which the net has
    not learned from. A row per feature, by drop.
    """
    rng, column = np.random.default_rng(seed), column_of(model.ranker.stop)
    n = min(QUERIES, data.valid.size)
    rows = data.rows.take(np.sort(rng.choice(data.valid, n, replace=False)))

    def score(changed: QueryRows) -> float:
        return valid_metrics(model, changed, np.arange(n))[column]

    whole, drops = score(rows), list[float]()
    for name in ("numbers", "codes"):
        for number in range(getattr(rows, name).shape[1]):
            values = getattr(rows, name).copy()
            values[:, number] = rng.permutation(values[:, number])
            drops.append(whole - score(replace(rows, **{name: values})))
    table = pl.DataFrame({"feature": model.names, "drop": drops})
    return table.sort("drop", "feature", descending=[True, False])
