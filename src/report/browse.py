"""Collect single queries with history, positives and candidates for the Browse section."""

from __future__ import annotations

from collections import defaultdict

import polars as pl

from src.candidates.lists import candidate_files
from src.core.run import Run
from src.data import paths
from src.data.raw_ids import item_ids
from src.report.sample import Blends, Sample, of_sessions

QUERIES = 100  # to browse
FIRST = 30  # candidates of each objective
HISTORY = 50  # last events of a session

Sources = dict[tuple[int, int], list[list[int]]]  # session, item -> [number of a retriever, rank]


def browse(run: Run, sample: Sample, blends: Blends) -> dict[str, object]:
    """Collect the data of the page's script: queries, and the names behind their numbers."""
    recipe = run.recipe
    chosen = sample.queries.bottom_k(QUERIES, by="unit").sort("raw")
    sessions = chosen["session"].to_list()
    # as text: a number of JavaScript is exact up to 2^53 only
    names = item_ids(paths.items(run)).cast(pl.String)
    sources = _sources(run, sessions)
    candidates = sample.candidates.filter(pl.col("session").is_in(sessions))
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
            "rows": _rows(rows, positives, blends, sources, names),
        })  # fmt: skip
    return {
        "types": recipe.types, "objectives": list(blends), "k": recipe.k, "first": FIRST,
        "retrievers": [row.name for row in recipe.retrievers],
        "rankers": [[row.name for row in final.rankers] for final in blends.values()],
        "queries": queries,
    }  # fmt: skip


def _sources(run: Run, sessions: list[int]) -> Sources:
    """Find the retrievers that list each item for some sessions, best rank first."""
    sources: Sources = defaultdict(list)
    for number, row in enumerate(run.recipe.retrievers):
        lists = pl.scan_parquet(candidate_files(run, "valid", [row]))
        table = of_sessions(lists.select("session", "item", "rank"), sessions)
        for session, item, rank in table.iter_rows():
            sources[session, item].append([number, rank])
    for found in sources.values():
        found.sort(key=lambda source: source[1])
    return sources


def _rows(
    candidates: pl.DataFrame, positives: pl.DataFrame, blends: Blends, sources: Sources,
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
        scores = [[round(row[c], 3) for c in final.columns] for final in blends.values()]
        rows.append([
            names[row["item"]], row["pool_rank"], sources[row["session"], row["item"]],
            [row[rank] for rank in final_ranks], scores, positive_for.get(row["item"], []),
        ])  # fmt: skip
    return rows
