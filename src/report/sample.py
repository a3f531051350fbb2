"""Sample queries of `valid` with all their candidates and positives, for counts on the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from src.blend.final_blend import FinalBlend
from src.blend.scored_candidates import ScoredCandidates
from src.core.arrays import arrays, hash_unit, positions
from src.core.run import Run
from src.data import paths
from src.data.labels import scan_positives
from src.data.raw_ids import session_ids
from src.data.shards import shard_files

QUERIES = 30_000  # sampled, about: drawn by a hash of their raw id
SEED_OFFSET = 5  # so that the sample does not follow another draw of the recipe's seed

Blends = dict[str, FinalBlend]
"""The final blend of each objective."""


@dataclass(frozen=True)
class Sample:
    """Sampled queries of `valid`; ranks count from 0."""

    queries: pl.DataFrame  # session, raw (its id), unit (the hash that drew it)
    n_queries: int  # of `valid`, sampled or not
    candidates: pl.DataFrame  # session, item, pool_rank, scores, final_rank_<objective>
    positives: pl.DataFrame
    """Columns: session, objective, item; pool_rank and rank, null where the item is no candidate;
    item_events, session_events; item_age, in seconds."""
    events: pl.DataFrame  # visible events of the queries

    @classmethod
    def load(cls, run: Run, blends: Blends) -> Sample:
        """Read the sample shard by shard: one shard and the sample are in memory."""
        queries, n_queries = draw(run)
        sessions = queries["session"].to_list()
        columns = list(dict.fromkeys(c for final in blends.values() for c in final.columns))
        scores = (
            of_sessions(pl.scan_parquet(file).select("session", "item", *columns), sessions)
            for file in shard_files(run, "valid", "scores")
        )
        candidates = with_ranks(pl.concat(scores), blends)
        events = pl.scan_parquet(paths.events(run, "valid"))
        visible = of_sessions(events.select("session", "item", "ts", "type"), sessions)
        labels = of_sessions(scan_positives(paths.labels(run, "valid")), sessions)
        positives = with_statistics(label_ranks(labels, candidates, blends), events, visible)
        return cls(queries, n_queries, candidates, positives, visible)


def draw(run: Run) -> tuple[pl.DataFrame, int]:
    """Draw the queries; return them by session, and the number of all queries of `valid`."""
    table = (
        pl.scan_parquet(paths.sessions(run, "valid"))
        .with_row_index("dense")
        .filter("query")
        .select(
            session=pl.col("dense").cast(pl.Int32),
            unit=hash_unit(pl.col("session"), run.recipe.seed + SEED_OFFSET),
        )
        .collect()
    )
    ids = session_ids(paths.sessions(run, "valid"))
    table = table.select("session", ids[table["session"]].alias("raw"), "unit")
    return table.filter(pl.col("unit") < QUERIES / max(table.height, 1)), table.height


def of_sessions(table: pl.LazyFrame, sessions: list[int]) -> pl.DataFrame:
    """Read the rows of the given sessions."""
    return table.filter(pl.col("session").is_in(sessions)).collect()


def with_ranks(candidates: pl.DataFrame, blends: Blends) -> pl.DataFrame:
    """Add pool_rank, and the rank under the final blend of each objective."""
    session, item = arrays(candidates, "session", "item")
    pool_rank = positions(ScoredCandidates.from_table(candidates, []).offsets).astype(np.int32)
    ranks = {"pool_rank": pool_rank}
    for name, final in blends.items():
        scored = ScoredCandidates.from_table(candidates, final.columns)
        score = scored.blended(final.blend, final.stack)
        # ties by item, as in the submission
        rank = np.empty_like(pool_rank)
        rank[np.lexsort((item, -score, session))] = pool_rank
        ranks[f"final_rank_{name}"] = rank
    return candidates.with_columns(pl.Series(name, values) for name, values in ranks.items())


def label_ranks(labels: pl.DataFrame, candidates: pl.DataFrame, blends: Blends) -> pl.DataFrame:
    """Add the pool_rank of each label, and its rank for its objective; null without a candidate."""
    joined = labels.join(candidates, on=["session", "item"], how="left", maintain_order="left")
    ranks = [
        pl.when(pl.col("objective") == o).then(f"final_rank_{name}")
        for o, name in enumerate(blends)
    ]
    return joined.select("session", "objective", "item", "pool_rank", rank=pl.coalesce(ranks))


def with_statistics(
    positives: pl.DataFrame, events: pl.LazyFrame, visible: pl.DataFrame
) -> pl.DataFrame:
    """Add the numbers of events of session and item, and the item's age at the query in seconds.

    A query without an event has the time of the last one of the split, as `Sessions.last_ts`.
    """
    items = events.group_by("item").agg(item_events=pl.len(), born=pl.col("ts").min())
    end = events.select(pl.col("ts").max()).collect(engine="streaming").item() or 0
    sessions = visible.group_by("session").agg(session_events=pl.len(), now=pl.col("ts").max())
    return (
        positives.join(items.collect(engine="streaming"), on="item", how="left")
        .join(sessions, on="session", how="left")
        .with_columns(
            pl.col("item_events", "session_events").fill_null(0),
            item_age=pl.col("now").fill_null(end) - pl.col("born"),
        )
    )
