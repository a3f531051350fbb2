"""Count the sampled positives by rank, session and item; bin scores for histograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from src.data.units import DAY, HOUR
from src.metrics.query_scores import capped_count
from src.report.sample import Sample

CUTS = (1, 2, 3, 5, 10, 15, 20, 30, 50, 75, 100, 150)  # candidates of a recall curve
BINS = 40  # of a histogram of scores


@dataclass(frozen=True)
class Breakdown:
    """A column of the positives and its bins; an edge belongs to the bin on its right."""

    column: str
    title: str
    edges: tuple[int, ...]
    bins: tuple[str, ...]  # one more than edges


AGE = Breakdown(
    "item_age", "age of the item",
    (0, HOUR, DAY, 3 * DAY, 7 * DAY), ("not yet", "<1 h", "<1 d", "<3 d", "<7 d", "7 d+"),
)  # fmt: skip
BREAKDOWNS = (
    Breakdown(
        "session_events", "visible events",
        (1, 2, 3, 6, 11, 21), ("0", "1", "2", "3-5", "6-10", "11-20", "21+"),
    ),
    Breakdown(
        "item_events", "events of the item",
        (1, 10, 30, 100, 300, 1000), ("0", "<10", "<30", "<100", "<300", "<1k", "1k+"),
    ),
    AGE,
)  # fmt: skip


def break_down(positives: pl.DataFrame, by: Breakdown, k: int) -> pl.DataFrame:
    """Count positives per objective and bin, and their shares in the pool and in the first k.

    Columns: objective, positives, in_pool, in_first_<k>, and the bin under the column's name.
    """
    values = positives[by.column].fill_null(-1).to_numpy()
    number = pl.Series("bin", np.searchsorted(by.edges, values, side="right"))
    table = (
        positives.with_columns(number)
        .group_by("objective", "bin")
        .agg(
            pl.len().alias("positives"),
            pl.col("pool_rank").is_not_null().mean().alias("in_pool"),
            (pl.col("rank") < k).fill_null(False).mean().alias(f"in_first_{k}"),
        )
        .sort("objective", "bin")
    )
    names = pl.Series(by.column, [by.bins[b] for b in table["bin"]])
    return table.with_columns(names).drop("bin")


def recall_curves(positives: pl.DataFrame, objectives: list[str], k: int, cap: int) -> pl.DataFrame:
    """Compute the recall of the first n candidates, before and after the rankers.

    n: CUTS and k. A query counts `cap` positives at most. Columns: first (n), <objective>_pool,
    <objective>_reranked.
    """
    columns: dict[str, list[float]] = {}
    cuts = sorted({*CUTS, k})
    for o, name in enumerate(objectives):
        rows = positives.filter(pl.col("objective") == o)
        ideal = capped_count(rows["session"].to_numpy(), cap)
        for column, order in (("pool_rank", "pool"), ("rank", "reranked")):
            listed = (rows.filter(pl.col(column) < n)["session"].to_numpy() for n in cuts)
            hits = [capped_count(session, cap) for session in listed]
            columns[f"{name}_{order}"] = [n / max(ideal, 1) for n in hits]
    return pl.DataFrame({"first": cuts, **columns})


class Histogram(NamedTuple):
    """Shares of scores per bin."""

    edges: list[float]  # one more than bins
    shares: dict[str, list[float]]  # of positives, and of the other candidates


def score_histogram(sample: Sample, objective: int, column: str) -> Histogram:
    """Bin the scores of positives and of other candidates.

    The lowest and the highest .2 % of the scores are cut off, except those of positives.
    """
    positives = sample.positives.filter(pl.col("objective") == objective)
    marked = positives.select("session", "item", positive=True)
    rows = sample.candidates.select("session", "item", column)
    joined = rows.join(marked, on=["session", "item"], how="left", maintain_order="left")
    mask, score = joined["positive"].fill_null(False).to_numpy(), rows[column].to_numpy()
    low, high = np.quantile(score, (0.002, 0.998))
    low, high = min(low, score[mask].min(initial=low)), max(high, score[mask].max(initial=high))
    edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
    shares = {
        name: (np.histogram(score[rows_of], edges)[0] / max(rows_of.sum(), 1)).tolist()
        for name, rows_of in (("positives", mask), ("others", ~mask))
    }
    return Histogram(edges.tolist(), shares)
