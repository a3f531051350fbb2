"""Small splits whose candidates are given, without any event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from planted import BARE, run_in, whole

from src.data import paths
from src.data.recipe import Objective
from src.data.schemas import EVENTS, GIVEN, LABELS
from src.data.split_data import SplitData
from src.data.splits import Split, write_splits

COLUMNS = ("a", "b")
GIVEN_RECIPE = replace(
    BARE, name="given", types=(), objectives=(Objective("relevance", 1.0),), given=True,
    given_columns=COLUMNS,
)  # fmt: skip

Row = tuple[int, float, float | None, float | None]  # item, grade, a, b


def given_split(
    folder: Path,
    queries: Sequence[Sequence[Row]],
    *more: str,
    recipe=GIVEN_RECIPE,
    n_items: int = 9,
) -> SplitData:
    """Write a prepared split, `valid`, and copies of it under more names as role "train"."""
    run = run_in(folder, recipe, "5_features.py")
    rows = [(q, *row) for q, query in enumerate(queries) for row in query]
    schema = {**GIVEN, "grade": pl.Float32, **dict.fromkeys(COLUMNS, pl.Float32)}
    table = pl.DataFrame(
        [(q, item, grade, a, b) for q, item, grade, a, b in rows], schema=schema, orient="row"
    ).sort("session", "item")
    labels = table.select("session", pl.lit(0).alias("objective"), "item", "grade").cast(LABELS)
    sessions = pl.DataFrame({"session": np.arange(len(queries)), "query": [True] * len(queries)})
    whole(paths.items(run), pl.DataFrame({"item_id": [f"d{n}" for n in range(n_items)]}))
    for split in ("valid", *more):
        whole(paths.sessions(run, split), sessions)
        whole(paths.events(run, split), pl.DataFrame(schema=EVENTS))
        whole(paths.labels(run, split), labels)
        whole(paths.given(run, split), table.drop("grade"))
    roles = [("valid", "valid"), *((name, "train") for name in more)]
    n = len(queries)
    write_splits(run, [Split(name, role, "", n, n) for name, role in roles])
    return SplitData(run, "valid")
