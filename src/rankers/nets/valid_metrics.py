"""Measure a net on the valid queries of a fold."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.metrics import roc_auc_score

from src.core.arrays import F32, I64
from src.metrics.base import Metric
from src.metrics.pooled import PooledMetric, pooled_scores
from src.metrics.query_scores import score_ranks
from src.rankers.losses.base import Loss
from src.rankers.losses.pointwise import BCE
from src.rankers.nets.inputs import QueryRows
from src.rankers.nets.model import NetModel


def column_of(metric: Metric) -> str:
    """Return the column of the log that holds a metric of the valid queries."""
    return f"valid_{metric}".replace("@", "_")


def valid_metrics(model: NetModel, rows: QueryRows, queries: I64) -> dict[str, float]:
    """Compute AUC over all rows of queries (0.5 if all are alike), and the metric that stops.

    Between them stands the log loss, where the loss takes scores for log-odds. Of a multi-task net,
    all are means over the objectives.
    """
    score, label = model.score_queries(rows, queries), rows.labels(queries)
    if model.ranker.loss.is_of_odds:
        score = score + rows.corrections(queries)
    query = np.repeat(np.arange(queries.size), np.diff(rows.offsets)[queries])
    metrics_of = partial(metrics_by, model.ranker.stop, model.ranker.loss)
    if not model.objectives:
        return metrics_of(query, score, label)
    every = []
    for score_of_task, label_of_task in zip(score.T, label.T, strict=True):
        known = ~np.isnan(label_of_task)
        every.append(metrics_of(query[known], score_of_task[known], label_of_task[known]))
    return {name: float(np.mean([task[name] for task in every])) for name in every[0]}


def metrics_by(metric: Metric, loss: Loss, query: I64, score: F32, label: F32) -> dict[str, float]:
    """Compute AUC over all rows, and the mean of a metric over queries; query: ascending."""
    first = np.searchsorted(query, query)
    rank = np.empty(query.size, np.int32)
    rank[np.lexsort((-score, query))] = np.arange(query.size) - first
    positive = label > 0
    one_class = positive.all() or not positive.any()
    if isinstance(metric, PooledMetric):
        scores = pooled_scores(query, score, label, metric)
    else:
        scores = score_ranks(query, rank, label, metric)
    found = {"valid_auc": 0.5 if one_class else float(roc_auc_score(positive, score))}
    if isinstance(loss, BCE):
        odds, relevant = score.astype(np.float64), label > loss.threshold
        found["valid_logloss"] = float(np.mean(np.logaddexp(0.0, odds) - relevant * odds))
    return found | {column_of(metric): scores.score()}
