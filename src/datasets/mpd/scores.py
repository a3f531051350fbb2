"""Metrics of the RecSys Challenge 2018: R-precision with artist credit, NDCG, clicks.

Zamani et al., "An Analysis of Approaches Taken in the ACM RecSys Challenge 2018", 2019.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from src.core.arrays import F64

ARTIST = 0.25  # credit of an artist of the hidden tracks, by a listed track that is no hit
PER_CLICK, NEVER = 10, 51  # tracks that a click shows; clicks where no track is right
METRICS = ("r_precision", "ndcg", "clicks")


def challenge_scores(
    lists: pl.DataFrame, hidden: pl.DataFrame, artist: dict[str, str | None]
) -> pl.DataFrame:
    """Score lists: session, then a column for each of METRICS; a row per session of `hidden`.

    lists: session, item, rank from 0. hidden: session, item, each pair once. artist: of the tracks.

    - R-precision: of the first |hidden| tracks, hits + ARTIST * (different artists of the hidden
      tracks among those of the other tracks), over |hidden|.
    - NDCG: a hit at rank r, from 0, counts 1 / log2(r + 2); over that of |hidden| hits in front.
    - clicks: refreshes of ten tracks before the first hit; NEVER without one.
    """
    listed = {pid: rows.sort("rank")["item"].to_list() for (pid,), rows in
              lists.partition_by("session", as_dict=True).items()}  # fmt: skip
    rows = []
    for (pid,), table in hidden.partition_by("session", as_dict=True, maintain_order=True).items():
        right = set(table["item"])
        rows.append((pid, *_scores(listed.get(pid, []), right, artist)))
    schema = {"session": pl.Int64, **dict.fromkeys(METRICS, pl.Float64)}
    return pl.DataFrame(rows, schema, orient="row")


def _scores(
    items: list[str], right: set[str], artist: dict[str, str | None]
) -> tuple[float, float, float]:
    hits = np.array([item in right for item in items], np.bool_)
    gain: F64 = 1 / np.log2(np.arange(max(hits.size, len(right))) + 2)
    first = items[: len(right)]
    theirs = {artist.get(item) for item in right} - {None}
    credit = len({artist.get(item) for item in first if item not in right} & theirs)
    ideal = gain[: len(right)].sum()
    clicks = int(np.argmax(hits)) // PER_CLICK if hits.any() else NEVER
    precision = (hits[: len(right)].sum() + ARTIST * credit) / len(right)
    return float(precision), float(gain[: hits.size][hits].sum() / ideal), float(clicks)


def by_category(scores: pl.DataFrame, shown: dict[int, int]) -> pl.DataFrame:
    """Average scores by the number of tracks that a query shows; with standard errors."""
    counts = [shown.get(pid, 0) for pid in scores["session"]]
    rows = scores.with_columns(shows=pl.Series(counts, dtype=pl.Int64))
    means = [pl.col(name).mean() for name in METRICS]
    errors = [(pl.col(n).std() / pl.len().sqrt()).alias(f"{n} ±") for n in METRICS]
    table = rows.group_by("shows").agg(pl.len().alias("queries"), *means, *errors).sort("shows")
    whole = rows.select(pl.len().alias("queries"), *means, *errors)
    return pl.concat([table, whole], how="diagonal")
