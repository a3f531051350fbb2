"""Inspect raw files, to check submissions and downloads against them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from src.core.csvfile import read_integers
from src.data.schemas import POSITIVE
from src.datasets.base import RawSummary
from src.datasets.submission_rows import TRUTH, Expected
from src.datasets.tianchi.clicklog import ARTICLES, CLICK, TEST, TRAIN, test_file


def expected(folder: Path) -> Expected:
    """Read the users of the test log, and the articles of all files if none is missing."""
    test = test_file(folder)
    if test is None:
        raise FileNotFoundError(
            f"no {TEST} in {folder}; name the folder of the raw files with INPUT="
        )
    others = {folder / TRAIN: "click_article_id", folder / ARTICLES: "article_id"}
    clicks = read_integers(test, CLICK)
    items = [clicks["item"]]
    items += [
        read_integers(file, {column: "item"})["item"]
        for file, column in others.items()
        if file.exists()
    ]
    complete = len(items) > len(others)
    item_ids = pl.concat(items).unique().to_numpy() if complete else None
    return Expected(clicks["user"].unique().to_numpy(), item_ids)


def summarize(path: Path) -> RawSummary:
    """Count the rows of a raw file, and find its first and last time."""
    column = "created_at_ts" if path.name == ARTICLES else "click_timestamp"
    ts = read_integers(path, {column: "ts"})["ts"].to_numpy()
    return RawSummary(ts.size, int(ts.min()), int(ts.max()))


def read_ground_truth(path: Path) -> pl.DataFrame:
    """Read a CSV file with columns user_id and click_article_id as a TRUTH table.

    Raises ValueError where a user has two rows.
    """
    truth = read_integers(path, {"user_id": "session", "click_article_id": "item"})
    for user in truth["session"].filter(truth["session"].is_duplicated())[:1]:
        raise ValueError(f"{path}: user {user} appears twice; keep the click that was hidden")
    return truth.select("session", pl.lit(0).alias("objective"), "item", POSITIVE).cast(TRUTH)
