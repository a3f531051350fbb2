"""Collect single queries with history, positives and candidates for the Browse section."""

from __future__ import annotations

import polars as pl

from src.candidates.pool_kernel import ABSENT
from src.core.run import Run
from src.data import paths
from src.data.raw_ids import item_ids
from src.data.shards import shard_files
from src.report.sample import Blends, Sample, of_sessions

QUERIES = 100  # to browse
FIRST = 30  # candidates of each objective
HISTORY = 50  # last events of a session


def browse(run: Run, sample: Sample, blends: Blends) -> dict[str, object]:
    """Collect the data of the page's script: queries, and the names behind their numbers."""
    recipe = run.recipe
    chosen = sample.queries.bottom_k(QUERIES, by="unit").sort("raw")
    sessions = chosen["session"].to_list()
    # as text: a number of JavaScript is exact up to 2^53 only
    names = item_ids(paths.items(run)).cast(pl.String)
    ranks = [f"rank_{row.name}" for row in recipe.retrievers]
    pool = pl.concat(
        of_sessions(pl.scan_parquet(file).select("session", "item", *ranks), sessions)
        for file in shard_files(run, "valid", "pool")
    )
    candidates = sample.candidates.filter(pl.col("session").is_in(sessions))
    candidates = candidates.join(pool, on=["session", "item"], maintain_order="left")
    queries = []
    for session, raw in chosen.select("session", "raw").iter_rows():
        positives = sample.positives.filter(pl.col("session") == session)
        events = sample.events.filter(pl.col("session") == session).select("item", "ts", "type")
        rows = candidates.filter(pl.col("session") == session)
        queries.append({
            "id": str(raw),
            "events": events.height,
            "history": [[names[item], ts, event_type]
                        for item, ts, event_type in events.tail(HISTORY).iter_rows()],
            "positives": [[names[item], *rest] for item, *rest in
                          positives.select("item", "objective", "pool_rank", "rank").iter_rows()],
            "candidates": rows.height,
            "rows": _rows(rows, positives, blends, ranks, names),
        })  # fmt: skip
    return {
        "types": recipe.types, "objectives": list(blends), "k": recipe.k, "first": FIRST,
        "retrievers": [row.name for row in recipe.retrievers],
        "rankers": [[row.name for row in final.rankers] for final in blends.values()],
        "queries": queries,
    }  # fmt: skip


def _rows(
    candidates: pl.DataFrame, positives: pl.DataFrame, blends: Blends, ranks: list[str],
    names: pl.Series,
) -> list[list[object]]:  # fmt: skip
    """Select the best candidates of one query for each objective, and all positives in the pool.

    A row: item, pool rank, [retriever, rank] of each list with the item, final rank by objective,
    scores of the rankers by objective, objectives that the item is a positive for.
    """
    positive_for: dict[int, list[int]] = {}
    for o, item in positives.select("objective", "item").iter_rows():
        positive_for.setdefault(item, []).append(o)
    final_ranks = [f"final_rank_{name}" for name in blends]
    best = pl.min_horizontal(final_ranks) < FIRST
    shown = candidates.filter(best | pl.col("item").is_in(list(positive_for)))
    rows: list[list[object]] = []
    for row in shown.iter_rows(named=True):
        lists = [[n, row[rank]] for n, rank in enumerate(ranks) if row[rank] != ABSENT]
        scores = [[round(row[c], 3) for c in final.columns] for final in blends.values()]
        rows.append([
            names[row["item"]], row["pool_rank"], sorted(lists, key=lambda pair: pair[1]),
            [row[rank] for rank in final_ranks], scores, positive_for.get(row["item"], []),
        ])  # fmt: skip
    return rows
