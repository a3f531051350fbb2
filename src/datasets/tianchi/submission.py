"""Write submissions of the news clicks.

A row is `user_id,article_1,...,article_k`: each user once, with exactly k articles.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import I32
from src.core.run import Run
from src.data import paths
from src.data.recipe import Recipe
from src.data.schemas import FinalLists
from src.data.units import DAY
from src.datasets.submission_rows import Expected, SubmissionFormat, refuse_faults


def header(k: int) -> list[str]:
    return ["user_id", *(f"article_{rank}" for rank in range(1, k + 1))]


def submission_format(recipe: Recipe) -> SubmissionFormat:
    """Describe the rows that the competition wants."""
    return SubmissionFormat(
        header=",".join(header(recipe.k)),
        row="<user>,<articles>",
        query="user",
        objectives=tuple(recipe.objective_names),
        separator=",",
        k=recipe.k,
        exact=True,
    )


def write_submission(
    run: Run, split: str, lists: FinalLists, path: Path, fmt: SubmissionFormat
) -> None:
    """Write the lists of a split's queries; raise ValueError where they would be refused.

    A short list is filled up with the most popular items of the last day of the split.
    """
    table = pl.read_parquet(paths.sessions(run, split))
    item_ids = pl.read_parquet(paths.items(run))["item_id"].to_numpy()
    (listed,) = lists.values()
    dense = np.flatnonzero(table["query"].to_numpy())
    full = np.full((dense.size, fmt.k), -1, np.int32)
    full[np.searchsorted(dense, listed.session)] = listed.first(fmt.k)
    filled = fill_up(full, _by_popularity(paths.events(run, split), item_ids.size))
    users = table["session"].to_numpy()[dense]
    columns = [users, *item_ids[filled].T]
    rows = pl.DataFrame(dict(zip(header(fmt.k), columns, strict=True))).sort("user_id")
    rows.write_csv(path)
    refuse_faults(path, fmt, Expected(users, item_ids))


def fill_up(lists: I32, spare: I32) -> I32:
    """Replace every -1 of lists (n, k) by the first spare item that the list lacks.

    Raises ValueError where there are fewer than k items.
    """
    out = lists.copy()
    for row in np.flatnonzero((lists < 0).any(axis=1)):
        kept = lists[row][lists[row] >= 0]
        more = spare[~np.isin(spare, kept)]
        if kept.size + more.size < lists.shape[1]:
            raise ValueError(f"fewer than {lists.shape[1]} items to recommend; give more data")
        out[row] = np.concatenate([kept, more])[: lists.shape[1]]
    return out


def _by_popularity(events: Path, n_items: int) -> I32:
    """Order all items by their number of events in the last day; ties by item."""
    table = pl.read_parquet(events, columns=["item", "ts"])
    recent = table.filter(pl.col("ts") > pl.col("ts").max() - DAY)["item"].to_numpy()
    count = np.bincount(recent, minlength=n_items)
    return np.argsort(-count, kind="stable").astype(np.int32)
