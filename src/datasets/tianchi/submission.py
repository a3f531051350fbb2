"""Write submissions of the news clicks.

A row is `user_id,article_1,...,article_k`: each user once, with exactly k articles.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.core.run import Run
from src.data import paths
from src.data.recipe import Recipe
from src.data.schemas import FinalLists
from src.data.units import DAY
from src.datasets.fill_up import by_popularity, fill_up
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
        names_objectives=False,
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
    filled = fill_up(full, by_popularity(paths.events(run, split), item_ids.size, DAY))
    if (filled < 0).any():
        raise ValueError(f"fewer than {fmt.k} items to recommend; give more data")
    users = table["session"].to_numpy()[dense]
    columns = [users, *item_ids[filled].T]
    rows = pl.DataFrame(dict(zip(header(fmt.k), columns, strict=True))).sort("user_id")
    rows.write_csv(path)
    refuse_faults(path, fmt, Expected(users, item_ids))
