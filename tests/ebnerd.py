"""Small files in EB-NeRD's form, planted so that they can be learned; step 1 run on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import worlds

from src import cli
from src.datasets import DATASETS

EBNERD = DATASETS["ebnerd"]
RECIPE = replace(EBNERD.recipe, name="papers")
START = datetime(2023, 5, 18, 7)
WEEK = 7 * 24 * 3600  # seconds

Row = dict[str, Any]


def row(second: int, view: list[int], clicked: list[int] | None, **more: Any) -> Row:
    """One impression, so many seconds after START."""
    time = START + timedelta(seconds=second)
    basic = {"impression_id": 7, "impression_time": time, "user_id": 1, "article_ids_inview": view}
    return basic | ({} if clicked is None else {"article_ids_clicked": clicked}) | more


def planted(lists: int, seed: int, week: int = 0, hidden: bool = False) -> list[Row]:
    """Lists of 3 to 8 articles, whose numbers grow by the hour; four of five click the newest.

    Some have the impression id 0, and no order of time. Readers of even ids read most pages that
    they open, others few; of some nothing is known.
    """
    rng, rows = np.random.default_rng(seed), list[Row]()
    for n in range(lists):
        second = week * WEEK + int(rng.integers(WEEK))
        now = 9_000_000 + second // 600
        view = (now - rng.choice(200, rng.integers(3, 9), replace=False)).tolist()
        clicked = max(view) if rng.random() < 0.8 else view[0]
        user, luck = int(rng.integers(40, 70)), rng.random()
        reads = {"next_read_time": 90.0 if (luck < 0.8) == (user % 2 == 0) else 5.0,
                 "next_scroll_percentage": [100.0, 40.0, None][n % 3]}  # fmt: skip
        more = {"impression_id": n if n % 3 else 0, "user_id": user,
                "article_id": int(view[-1] - 300) if rng.random() < 0.3 else None,
                "session_id": n // 2, "device_type": int(rng.integers(1, 4)),
                "is_subscriber": bool(rng.random() < 0.2)}  # fmt: skip
        known = {} if hidden else reads
        rows.append(row(second, view, None if hidden else [clicked], **more, **known))
    return rows


def history(users: list[int]) -> pl.DataFrame:
    """Two pages for each user, before START."""
    times = [START - timedelta(hours=30), START - timedelta(minutes=5)]
    rows = {"user_id": users, "impression_time_fixed": [times] * len(users),
            "article_id_fixed": [[8_999_000, 8_999_900]] * len(users)}  # fmt: skip
    return pl.DataFrame(rows)


def write(folder: Path, **periods: list[Row] | pl.DataFrame) -> Path:
    """Write <period>/behaviors.parquet, and a history of its users."""
    for name, rows in periods.items():
        table = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows)
        (folder / name).mkdir(parents=True, exist_ok=True)
        table.write_parquet(folder / name / "behaviors.parquet")
        users = table["user_id"].drop_nulls().unique().sort().to_list()
        history(users).write_parquet(folder / name / "history.parquet")
    return folder


def prepare(patch: pytest.MonkeyPatch, folder: Path, *flags: str) -> int:
    """Run 1_preparation.py from folder/in to folder/out."""
    worlds.register(patch, RECIPE, EBNERD)
    step = worlds.script("1_preparation")
    argv = ["--dataset", "papers", "--input", str(folder / "in"), "--output", str(folder / "out")]
    return cli.main(step.__doc__, step.__file__, step.body, [*argv, "--engine", "cpu", *flags])
