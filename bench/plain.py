"""Count co-occurrences in plain ways: two sparse products, and the loop of the public notebooks.

`sparse_dot_topn` and `scipy` multiply the 0/1 matrix of items and sessions with its transpose, and
keep the neighbours with the most common sessions. The events are those of the row (types,
last_days, last_events). This is an easier job: it has no time window, weight or direction.

`pandas` is the way of the public notebooks: merge on session in chunks, filter, give one vote per
session and pair with the type and time weights of the row (no half-life), group, and keep a Counter
per item.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import I64
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.self_merge import kept_events
from src.matrices.span import Span

CHUNK = 30_000  # sessions that pandas merges at once


def _kept(path: Path, row: CovisitationMatrix, span: Span) -> pl.DataFrame:
    return kept_events(pl.scan_parquet(path), row, span).collect()


def _incidence(path: Path, row: CovisitationMatrix, span: Span) -> Any:
    """Build the sparse matrix (sessions, items) with 1 where a session has an item."""
    from scipy.sparse import csr_matrix

    pairs = _kept(path, row, span).select("session", "item").unique()
    session, item = (pairs[name].to_numpy() for name in ("session", "item"))
    ones = np.ones(item.size, np.float32)
    return csr_matrix((ones, (session, item)))


def sparse_dot_topn(path: Path, row: CovisitationMatrix, span: Span) -> int:
    """Count the neighbours of sp_matmul_topn, on all cores; its top n + 1 hold the item itself."""
    from sparse_dot_topn import sp_matmul_topn

    X = _incidence(path, row, span)
    C = sp_matmul_topn(X.T.tocsr(), X, row.top_n + 1, n_threads=os.cpu_count())
    return int(C.nnz - (X.getnnz(axis=0) > 0).sum())


def scipy(path: Path, row: CovisitationMatrix, span: Span, ranges: list[tuple[int, int]]) -> int:
    """Count the neighbours of X.T @ X, in ranges of items; scipy has one thread."""
    X = _incidence(path, row, span)
    T = X.T.tocsr()
    return sum(_top(T[low:high] @ X, low, row.top_n)[0].size for low, high in ranges)


def _top(C: Any, low: int, top_n: int) -> tuple[I64, I64]:
    """Take the heaviest neighbours of each item from the product of a range; ties by item id."""
    C = C.tocoo()
    x, y, weight = C.row.astype(np.int64), C.col, C.data
    other = x + low != y
    x, y, weight = x[other], y[other], weight[other]
    order = np.lexsort((y, -weight, x))
    x, y = x[order], y[order]
    first = np.searchsorted(x, x)
    keep = np.arange(x.size) - first < top_n
    return x[keep] + low, y[keep].astype(np.int64)


def pandas(path: Path, row: CovisitationMatrix, span: Span) -> tuple[int, int]:
    """Count the neighbours, and the pairs of events that vote."""
    import pandas as pd

    kept = _kept(path, row, span)
    columns = ("session", "item", "ts", "type", "pos")
    events = pd.DataFrame({name: kept[name].to_numpy() for name in columns})
    last = int(kept["session"].max()) + 1  # type: ignore[arg-type]
    neighbours: defaultdict[int, Counter[int]] = defaultdict(Counter)
    n_pairs = 0
    for start in range(0, last, CHUNK):
        chunk = events[(events.session >= start) & (events.session < start + CHUNK)]
        pairs = _votes(chunk.merge(chunk, on="session"), row, span)
        n_pairs += len(pairs)
        if row.dedupe:
            pairs = pairs.sort_values("vote", ascending=False)
            pairs = pairs.drop_duplicates(["session", "item_x", "item_y"])
        votes = pairs.groupby(["item_x", "item_y"]).vote.sum()
        for (x, y), vote in votes.items():
            neighbours[x][y] += vote
    top = {x: [y for y, _ in counter.most_common(row.top_n)] for x, counter in neighbours.items()}
    return sum(map(len, top.values())), n_pairs


def _votes(pairs: Any, row: CovisitationMatrix, span: Span) -> Any:
    """Keep the merged pairs of events that vote, with their votes."""
    apart, steps = (pairs.ts_y - pairs.ts_x).abs(), pairs.pos_y - pairs.pos_x
    keep = pairs.item_x != pairs.item_y
    if row.max_gap_s is not None:
        keep &= apart < row.max_gap_s
    if row.max_steps is not None:
        keep &= steps.abs() <= row.max_steps
    pairs = pairs[keep]
    source, target = np.array(row.source_weight), np.array(row.target_weight)
    age = (pairs.ts_x - span.first) / max(span.last - span.first, 1)
    vote = source[pairs.type_x] * target[pairs.type_y] * (1 + row.time_weight * age)
    vote *= np.where(steps[keep] < 0, row.backward, 1)
    return pairs.assign(vote=vote)[vote > 0]
