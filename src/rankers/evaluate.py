"""Evaluate the rankers out of fold, on the queries of `valid`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import polars as pl

from src.core.arrays import I64, arrays
from src.core.run import Run
from src.data import paths
from src.data.folds import folds
from src.data.labels import scan_labels
from src.data.shards import shard_files
from src.metrics.pooled import PooledMetric, pooled_scores
from src.metrics.query_scores import QueryScores, score_lists


def evaluate_rankers(run: Run, objectives: Sequence[str]) -> pl.DataFrame:
    """Build logs/rankers.csv: the out-of-fold score of every ranker and objective.

    Columns: ranker; objective; oof, the score on all queries of `valid`; fold_0, ..., the scores on
    the queries of each fold.
    """
    recipe, path = run.recipe, run.output / "logs" / "rankers.csv"
    inputs = [paths.labels(run, "valid"), paths.sessions(run, "valid")]
    inputs += shard_files(run, "valid", "scores")
    names = [
        (row.name, o, row.score_column(o))
        for row in recipe.rankers for o in objectives if row.learns(o)
    ]  # fmt: skip
    rows = (
        recipe.metric,
        recipe.objectives,
        recipe.folds,
        recipe.seed,
        names,
    )
    run.build(path, partial(_write_ranker_scores, run, names), rows, inputs)
    return pl.read_csv(path)


def _write_ranker_scores(run: Run, names: list[tuple[str, str, str]], path: Path) -> None:
    recipe, fold, lines = run.recipe, folds(run, "valid"), []
    labels = scan_labels(paths.labels(run, "valid"))
    for ranker, objective, column in names:
        truth = labels.filter(objective=recipe.objective_names.index(objective))
        metric = recipe.metric_of(objective)
        if isinstance(metric, PooledMetric):
            scores = _pooled(run, column, truth, fold, metric)
        else:
            scores = score_lists(_lists_by_score(run, column), truth, metric)
        by_fold = [scores.score(fold[scores.session] == f) for f in range(recipe.folds)]
        lines.append((ranker, objective, scores.score(), *by_fold))
    columns = ["ranker", "objective", "oof", *(f"fold_{f}" for f in range(recipe.folds))]
    pl.DataFrame(lines, columns, orient="row").write_csv(path)


def _pooled(
    run: Run, column: str, truth: pl.LazyFrame, fold: I64, metric: PooledMetric
) -> QueryScores:
    """Score the judged candidates of all queries, fold by fold."""
    rows = pl.scan_parquet(shard_files(run, "valid", "scores")).select("session", "item", column)
    judged = rows.join(truth, on=["session", "item"], maintain_order="left").collect()
    session, score, grade = arrays(judged, "session", column, "grade")
    return pooled_scores(session, score, grade, metric, fold[session])


def _lists_by_score(run: Run, column: str) -> pl.LazyFrame:
    """List the k candidates with the highest scores of each query: session, item, rank.

    A file has all candidates of its queries, so it is sorted alone.
    """
    rank, is_listed = pl.int_range(pl.len()).over("session"), pl.col("rank") < run.recipe.k

    def lists(file: Path) -> pl.DataFrame:
        scores = pl.scan_parquet(file).select("session", "item", column)
        ranked = scores.sort("session", column, "item", descending=[False, True, False])
        return ranked.select("session", "item", rank=rank).filter(is_listed).collect()

    return pl.concat(map(lists, shard_files(run, "valid", "scores"))).lazy()
