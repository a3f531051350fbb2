"""A submission of one ranked list a user: user_id,article_1,...,article_k; written and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.core.arrays import I32
from src.core.csvfile import read_integers
from src.data.recipe import Recipe
from src.data.schemas import Lists
from src.datasets.submission_rows import TRUTH, Asked, Layout, check
from src.datasets.tianchi.clicklog import ARTICLES, CLICK, TESTS, TRAIN, test_file

if TYPE_CHECKING:
    from src.core.run import Run


def header(k: int) -> list[str]:
    return ["user_id", *(f"article_{place}" for place in range(1, k + 1))]


def ranking_layout(recipe: Recipe) -> Layout:
    """A line a user, who gets exactly k articles."""
    (objective,) = recipe.objectives
    head, row = ",".join(header(recipe.k)), "<user>,<articles>"
    return Layout(head, row, "user", (objective.name,), between=",", k=recipe.k, exactly=True)


def write_ranking(run: Run, split: str, lists: Lists, path: Path) -> None:
    """Write a submission for the queries of a split; ValueError if it would not be accepted.

    A list that is too short is filled up with the items that most events of the split's last day
    are about.
    """
    table = pl.read_parquet(run.output / split / "sessions.parquet")
    item_ids = pl.read_parquet(run.output / "items.parquet")["item_id"].to_numpy()
    ((session, items),) = lists.values()
    dense = np.flatnonzero(table["query"].to_numpy())
    full = np.full((dense.size, run.recipe.k), -1, np.int32)
    full[np.searchsorted(dense, session)] = items
    filled = fill_up(full, _popular(run.output / split / "events.parquet", item_ids.size))
    users = table["session"].to_numpy()[dense]
    columns = [users, *item_ids[filled].T]
    rows = pl.DataFrame(dict(zip(header(run.recipe.k), columns, strict=True))).sort("user_id")
    rows.write_csv(path)
    if faults := check(path, ranking_layout(run.recipe), Asked(users, item_ids)):
        raise ValueError(f"the submission would be refused: {'; '.join(faults[:3])}")


def fill_up(lists: I32, spare: I32) -> I32:
    """Lists (n, k) with every -1 replaced by the first spare item that is not in the list."""
    out = lists.copy()
    for row in np.flatnonzero((lists < 0).any(axis=1)):
        kept = lists[row][lists[row] >= 0]
        more = spare[~np.isin(spare, kept)]
        if kept.size + more.size < lists.shape[1]:
            raise ValueError(f"fewer than {lists.shape[1]} items to recommend; give more data")
        out[row] = np.concatenate([kept, more])[: lists.shape[1]]
    return out


def _popular(events: Path, n_items: int) -> I32:
    """All items, those of the most events in the last day first, ties by item."""
    table = pl.read_parquet(events, columns=["item", "ts"])
    recent = table.filter(pl.col("ts") > pl.col("ts").max() - 86_400)["item"].to_numpy()
    count = np.bincount(recent, minlength=n_items)
    return np.argsort(-count, kind="stable").astype(np.int32)


def ranking_asked(folder: Path, recipe: Recipe) -> Asked:
    """The users of the test log; the articles of all files, where they are all there."""
    test = test_file(folder)
    if test is None:
        raise FileNotFoundError(
            f"no {TESTS} in {folder}; name the folder of the raw files with INPUT="
        )
    others = {folder / TRAIN: "click_article_id", folder / ARTICLES: "article_id"}
    clicks = read_integers(test, CLICK)
    known = [clicks["item"]]
    known += [
        read_integers(path, {c: "item"})["item"] for path, c in others.items() if path.exists()
    ]
    items = pl.concat(known).unique().to_numpy() if len(known) > len(others) else None
    return Asked(clicks["user"].unique().to_numpy(), items)


def ranking_facts(path: Path, recipe: Recipe) -> tuple[int, int, int]:
    """Rows of a raw file, and its first and last time in ms."""
    column = "created_at_ts" if path.name == ARTICLES else "click_timestamp"
    ts = read_integers(path, {column: "ts"})["ts"].to_numpy()
    return ts.size, int(ts.min()), int(ts.max())


def ranking_truth(path: Path, recipe: Recipe) -> pl.DataFrame:
    """session, objective, item of a CSV file with the columns user_id and click_article_id."""
    truth = read_integers(path, {"user_id": "session", "click_article_id": "item"})
    for user in truth["session"].filter(truth["session"].is_duplicated())[:1]:
        raise ValueError(f"{path}: user {user} stands twice; keep the click that was hidden")
    return truth.select("session", pl.lit(0).alias("objective"), "item").cast(TRUTH)
