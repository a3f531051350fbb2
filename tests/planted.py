"""Small splits with known structure: what the tests run on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.core import store
from src.core.budget import Budget
from src.core.engines import resolve
from src.core.run import Run
from src.core.steplog import StepLog
from src.data.paths import MADE_BY
from src.data.recipe import Objective, Recipe
from src.data.schemas import EVENTS
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.data.splits import Split, write_splits
from src.datasets.otto.dataset import Otto
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.self_merge import self_merge
from src.matrices.span import Span
from src.metrics.recall import Recall

ROOT = Path(__file__).resolve().parents[1]
COMMUNITIES = 6
PER_COMMUNITY = 20
N_ITEMS = COMMUNITIES * PER_COMMUNITY + 1  # the last item never occurs
START = 1_660_000_000
DAYS, DAY = 30, 86_400
QUERIES = 40

Events = list[tuple[int, int, int]]  # item, ts, type
A, B, C, D, E = range(5)  # items of a small split

BARE = Recipe(
    name="planted", types=("clicks", "carts", "orders"), metric=Recall(20),
    objectives=(Objective("clicks", 0.1, next_only=True), Objective("carts", 0.3),
                Objective("orders", 0.6)),
    matrices=(), embeddings=(), retrievers=(), baselines=(), features=(), rankers=(),
)  # fmt: skip


def planted_events(n_sessions: int = 300, seed: int = 5) -> pl.DataFrame:
    """Sessions that stay in one community, with repeats, equal times, long gaps, all types."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, int, int, int]] = []
    for session in range(n_sessions):
        base = rng.integers(COMMUNITIES) * PER_COMMUNITY
        ts = START + int(rng.integers(DAYS * DAY // 2))
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


def run_in(
    folder: Path, recipe: Recipe = BARE, script: str = "3_candidates.py", **more: Any
) -> Run:
    """A run of a step that reads and writes in a folder."""
    run = Run(
        dataset=Otto(recipe),
        recipe=recipe, input=folder, output=folder, engine=resolve("cpu"),
        budget=Budget(1 << 33, folder), sample=1.0, script=script, made_by=MADE_BY,
        log=StepLog(folder, script.removesuffix(".py")),
    )  # fmt: skip
    return replace(run, **more)


def whole(path: Path, table: pl.DataFrame) -> Path:
    """Write a table with a manifest, as a step does."""
    key = {"rows": str(table.hash_rows().sum()), "columns": table.columns}
    store.build(path, key, table.write_parquet)
    return path


def write_split(
    folder: Path, events: pl.DataFrame, queries: int, n_items: int = N_ITEMS,
    known: dict[str, Any] | None = None, recipe: Recipe = BARE, n_sessions: int | None = None,
    since: int | None = None,
) -> SplitData:  # fmt: skip
    """Write a prepared split, `valid`, whose last sessions are its queries; no other tables yet."""
    n = int(events["session"].max()) + 1 if n_sessions is None else n_sessions  # type: ignore[arg-type]
    run = run_in(folder, recipe)
    whole(folder / "valid" / "events.parquet", events)
    sessions = {"session": np.arange(n), "query": np.arange(n) >= n - queries}
    whole(folder / "valid" / "sessions.parquet", pl.DataFrame(sessions))
    write_items(folder, n_items, known or {})
    write_splits(run, [Split("valid", "valid", "", n, queries, since)])
    return SplitData(run, "valid")


def write_items(folder: Path, n_items: int, known: dict[str, Any]) -> None:
    """Write items.parquet: raw ids, and what is known of the items (int32 columns, or texts)."""
    types = {name: pl.String if isinstance(values[0], str) else pl.Int32
             for name, values in known.items()}  # fmt: skip
    table = pl.DataFrame(known, schema=types)
    ids = pl.DataFrame({"item_id": np.arange(n_items)})
    whole(folder / "items.parquet", ids.hstack(table) if known else ids)


def small_split(folder: Path, sessions: list[Events], queries: int, **more: Any) -> SplitData:
    """A split of five items, its events by hand; a session may be empty."""
    rows = [(s, *event) for s, events in enumerate(sessions) for event in events]
    table = pl.DataFrame(rows, schema=EVENTS, orient="row")
    return write_split(folder, table, queries, n_items=5, n_sessions=len(sessions), **more)


def planted_split(folder: Path, recipe: Recipe = BARE) -> SplitData:
    """300 sessions, the last of them queries, and one matrix, `near`."""
    events = planted_events()
    matrix = CovisitationMatrix("near", max_steps=2, top_n=15)
    near = self_merge(events.lazy(), matrix, span_of(events))
    whole(folder / "valid" / "matrices" / "near.parquet", near.collect())
    rng = np.random.default_rng(9)
    known = rng.random(N_ITEMS) < 0.9
    items = {
        "created": (START + rng.integers(30 * DAY, size=N_ITEMS)).tolist(),
        "category": np.where(known, rng.integers(5, size=N_ITEMS), None).tolist(),
        "words": np.where(known, rng.integers(100, 300, size=N_ITEMS), None).tolist(),
    }
    items["created"][3:9] = [None, None, *[START + 5 * DAY] * 4]  # unknown; at the same second
    unseen = pl.col("item") + (pl.col("item") % 4 == 0).cast(pl.Int32)  # every fourth item is not
    return write_split(folder, events.with_columns(unseen), QUERIES, known=items, recipe=recipe)


def history(data: SplitData, session: int) -> Events:
    """The visible events of a session."""
    s = data.sessions
    at = slice(s.offsets[session], s.offsets[session + 1])
    return list(zip(s.item[at].tolist(), s.ts[at].tolist(), s.type[at].tolist(), strict=True))
