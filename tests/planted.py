"""Small worlds with known structure: what the tests run on."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.data.schemas import EVENTS
from src.data.sessions import Sessions
from src.matrices.definition import Span

COMMUNITIES = 6
PER_COMMUNITY = 20
N_ITEMS = COMMUNITIES * PER_COMMUNITY + 1  # the last item never occurs
START = 1_660_000_000
DAYS = 30


def planted_events(n_sessions: int = 300, seed: int = 5) -> pl.DataFrame:
    """Sessions that stay in one community, with repeats, equal times, long gaps, all types."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, int, int, int]] = []
    for session in range(n_sessions):
        base = rng.integers(COMMUNITIES) * PER_COMMUNITY
        ts = START + int(rng.integers(DAYS * 86400 // 2))
        for _ in range(int(rng.integers(1, 50))):
            item = base + int(rng.integers(PER_COMMUNITY) * rng.random())
            rows.append((session, item, ts, int(rng.choice(3, p=[0.7, 0.2, 0.1]))))
            ts += int(rng.choice([0, 30, 900, 7200, 40_000], p=[0.3, 0.4, 0.15, 0.1, 0.05]))
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


def sessions_of(events: pl.DataFrame, first_query: int = 0) -> Sessions:
    n = int(events["session"].max()) + 1  # type: ignore[arg-type]
    return Sessions.from_events(events, n, N_ITEMS, first_query)


def span_of(events: pl.DataFrame) -> Span:
    return Span(int(events["ts"].min()), int(events["ts"].max()))  # type: ignore[arg-type]
