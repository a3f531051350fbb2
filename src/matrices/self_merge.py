"""Define a co-visitation matrix by a self-merge of the events in polars, which also runs on a GPU.

src/matrices/count.py counts the same table on the CPU without storing the pairs. Votes are
fixed-point integers. So their sum does not depend on the order of the events or on threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from src.data.units import DAY, Weights
from src.matrices.span import Span

if TYPE_CHECKING:
    from src.matrices.covisitation import CovisitationMatrix

SCALE = float(2**24)
"""Units per vote of 1. A vote under half a unit (3e-8) rounds to 0."""

FINE = 256
"""A decay is the product of the decays of a multiple of FINE seconds and of the remaining seconds.

The kernel reads both from small tables.
"""


def kept_events(events: pl.LazyFrame, row: CovisitationMatrix, span: Span) -> pl.LazyFrame:
    """Filter the events of a row; add columns for their session.

    pos: position, consecutive in a session. head: first position. length: number of events.
    """
    if row.types is not None:
        events = events.filter(pl.col("type").is_in(list(row.types)))
    if row.last_days is not None:
        events = events.filter(pl.col("ts") > span.last - int(row.last_days * DAY))
    pos, last = pl.col("pos"), pl.col("pos").max().over("session")
    # signed, as `last - last_events` is negative in short sessions
    kept = events.with_row_index("pos").with_columns(pos.cast(pl.Int64))
    if row.last_events is not None:
        kept = kept.filter(pos > last - row.last_events)
    head = pos.min().over("session")
    return kept.with_columns(head=head, length=last - head + 1)


def by_type(weights: Weights, column: str) -> pl.Expr:
    """Look up the weight of an event's type in `column`."""
    terms = [(pl.col(column) == t).cast(pl.Float64) * w for t, w in enumerate(weights)]
    return pl.sum_horizontal(terms)


def vote(row: CovisitationMatrix, span: Span) -> pl.Expr:
    """Compute the fixed-point vote of a pair; columns of y have the suffix _y."""
    gap = (pl.col("ts_y") - pl.col("ts")).abs()
    weight = by_type(row.source_weight, "type") * by_type(row.target_weight, "type_y")
    if row.time_weight:
        age = (pl.col("ts") - span.first).cast(pl.Float64) / max(span.last - span.first, 1)
        weight = weight * (1.0 + row.time_weight * age)
    if row.backward not in (0, 1):
        before = (pl.col("pos_y") < pl.col("pos")).cast(pl.Float64)
        weight = weight * (before * row.backward + (1.0 - before))
    if row.half_life is not None:
        fine = gap % FINE
        coarse, fine = (t.cast(pl.Float64) / row.half_life for t in (gap - fine, fine))
        weight = weight * (pl.lit(0.5).pow(coarse) * pl.lit(0.5).pow(fine))
    if row.step_decay != 1.0:
        steps = (pl.col("pos_y") - pl.col("pos")).abs()
        weight = weight * pl.lit(row.step_decay).pow((steps - 1).cast(pl.Float64))
    if row.session_norm:
        weight = weight / (1.0 + pl.col("length").cast(pl.Float64)).log()
    return (weight * SCALE + 0.5).floor().cast(pl.Int64)


def pair_filter(row: CovisitationMatrix) -> pl.Expr:
    """Select the pairs of events of one session that vote."""
    steps = pl.col("pos_y") - pl.col("pos")
    keep = pl.col("item") != pl.col("item_y")
    if row.backward == 0:
        keep &= steps > 0
    if row.max_gap_s is not None:
        keep &= (pl.col("ts_y") - pl.col("ts")).abs() < row.max_gap_s
    if row.max_steps is not None:
        keep &= steps.abs() <= row.max_steps
    return keep


def self_merge(
    events: pl.LazyFrame, row: CovisitationMatrix, span: Span, items: tuple[int, int] | None = None
) -> pl.LazyFrame:
    """Compute the matrix of a row over EVENTS as NEIGHBOURS.

    items: half-open range of item_x, to bound the memory; None: all items.
    """
    kept = kept_events(events, row, span)
    x = kept.filter(pl.col("pos") == pl.col("head")) if row.first_only else kept
    if items is not None:
        x = x.filter((pl.col("item") >= items[0]) & (pl.col("item") < items[1]))
    y = kept.select("session", item_y="item", ts_y="ts", type_y="type", pos_y="pos")
    pairs = x.join(y, on="session").filter(pair_filter(row))
    votes = pairs.select("session", item_x="item", item_y="item_y", vote=vote(row, span))
    votes = votes.filter(pl.col("vote") > 0)
    if row.dedupe:
        votes = votes.group_by("session", "item_x", "item_y").agg(pl.col("vote").max())
    summed = votes.group_by("item_x", "item_y").agg(pl.col("vote").sum())
    return top_neighbours(_normalised(summed, kept, row), row.top_n)


def _normalised(summed: pl.LazyFrame, kept: pl.LazyFrame, row: CovisitationMatrix) -> pl.LazyFrame:
    if row.item_norm:
        count = kept.group_by("item").agg(count=pl.len().cast(pl.Float64))
        summed = summed.join(count, left_on="item_x", right_on="item")
        summed = summed.join(count, left_on="item_y", right_on="item", suffix="_y")
    return summed.select("item_x", "item_y", weight=pair_weight(row))


def pair_weight(row: CovisitationMatrix) -> pl.Expr:
    """Compute the weight of a pair from its summed vote, and count and count_y of its items."""
    weight = pl.col("vote").cast(pl.Float64) / SCALE
    if row.item_norm:
        weight = weight / (pl.col("count") * pl.col("count_y")).pow(row.item_norm)
    return weight.cast(pl.Float32)


def top_neighbours(pairs: pl.LazyFrame, n: int) -> pl.LazyFrame:
    """Select the n heaviest neighbours of each item, in the order of NEIGHBOURS."""
    ordered = pairs.sort("item_x", "weight", "item_y", descending=[False, True, False])
    rank = pl.col("row") - pl.col("row").min().over("item_x")
    return (
        ordered.with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
        .filter(rank < n)
        .select("item_x", "item_y", "weight")
    )
