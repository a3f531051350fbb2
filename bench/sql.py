"""Compute the matrix of a row by SQL with duckdb: a self-join of the sessions, grouped and cut.

Votes are the whole numbers of src/matrices/self_merge.py as doubles. Their sums are exact, so the
result equals that of the kernel. `step_decay`, `session_norm` and `item_norm` are not supported.
Duckdb spills to a folder beside the events where its memory limit is reached.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl

from src.data.units import DAY, Weights
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.self_merge import SCALE
from src.matrices.span import Span

QUERY = """
with numbered as (
    select session, item, ts::bigint as ts, type,
        row_number() over (partition by session order by file_row_number) as pos,
        count(*) over (partition by session) as n
    from read_parquet('{path}', file_row_number = true) where {kept}
), events as materialized (
    select *, min(pos) over (partition by session) as head from numbered where pos > n - {tail}
), votes as (
    select x.session, x.item as item_x, y.item as item_y, floor({vote} * {scale} + 0.5) as vote
    from events x join events y using (session) where {pairs}
), once as (
    {once}
), summed as (
    select item_x, item_y, (sum(vote) / {scale})::float as weight from once group by item_x, item_y
)
select item_x, item_y, weight from summed
qualify row_number() over (partition by item_x order by weight desc, item_y) <= {top_n}
order by item_x, weight desc, item_y
"""


def matrix(path: Path, row: CovisitationMatrix, span: Span, memory: str) -> pl.DataFrame:
    """Compute the matrix of a row."""
    import duckdb

    settings: dict[str, Any] = {
        "memory_limit": memory,
        "temp_directory": str(path.parent / "duckdb"),
        "threads": os.cpu_count() or 1,
        "preserve_insertion_order": False,
    }
    with duckdb.connect(config=settings) as connection:
        columns = connection.execute(query(path, row, span)).fetchnumpy()
    return pl.DataFrame({name: columns[name] for name in ("item_x", "item_y", "weight")})


def query(path: Path, row: CovisitationMatrix, span: Span) -> str:
    """Write the query of a row; raise ValueError for a field that is not supported."""
    if row.step_decay != 1 or row.session_norm or row.item_norm or row.backward not in (0, 1):
        raise ValueError(
            f"matrix {row.name}: no SQL for step_decay, session_norm, item_norm and backward"
        )
    kept = ["true"]
    if row.types is not None:
        kept.append(f"type in ({', '.join(map(str, row.types))})")
    if row.last_days is not None:
        kept.append(f"ts > {span.last - int(row.last_days * DAY)}")
    votes = "select session, item_x, item_y, {} as vote from votes where vote > 0 {}"
    once = ("max(vote)", "group by session, item_x, item_y") if row.dedupe else ("vote", "")
    return QUERY.format(
        path=path,
        kept=" and ".join(kept),
        tail=2**31 if row.last_events is None else row.last_events,
        vote=_vote(row, span),
        scale=f"{SCALE:.0f}::double",
        pairs=_pairs(row),
        once=votes.format(*once),
        top_n=row.top_n,
    )


def _by_type(weights: Weights, column: str) -> str:
    cases = " ".join(f"when {t} then {float(w)!r}::double" for t, w in enumerate(weights))
    return f"(case {column} {cases} else 0 end)"


def _vote(row: CovisitationMatrix, span: Span) -> str:
    vote = _by_type(row.source_weight, "x.type") + " * " + _by_type(row.target_weight, "y.type")
    if row.time_weight:
        age = f"(x.ts - {span.first})::double / {max(span.last - span.first, 1)}::double"
        vote += f" * (1.0::double + {float(row.time_weight)!r}::double * {age})"
    if row.half_life is not None:
        vote += f" * pow(0.5::double, abs(y.ts - x.ts)::double / {float(row.half_life)!r}::double)"
    return vote


def _pairs(row: CovisitationMatrix) -> str:
    terms = ["x.item <> y.item"]
    if row.first_only:
        terms.append("x.pos = x.head")
    if row.backward == 0:
        terms.append("y.pos > x.pos")
    if row.max_gap_s is not None:
        terms.append(f"abs(y.ts - x.ts) < {row.max_gap_s}")
    if row.max_steps is not None:
        terms.append(f"abs(y.pos - x.pos) <= {row.max_steps}")
    return " and ".join(terms)
