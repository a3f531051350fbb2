"""Write submissions of OTTO.

A row is `<session>_<objective>,<item> <item> ...`: each query and objective once, 1 to k items.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import I32, I64
from src.core.run import Run
from src.data import paths
from src.data.recipe import Recipe
from src.data.schemas import FinalLists
from src.datasets.submission_rows import Expected, SubmissionFormat, refuse_faults

QUERIES = 200_000  # written at a time


def submission_format(recipe: Recipe) -> SubmissionFormat:
    """Describe the rows that the organisers want."""
    return SubmissionFormat(
        header="session_type,labels",
        row="<session>_<objective>,<items>",
        query="session",
        objectives=tuple(recipe.objective_names),
        names_objectives=True,
        separator=" ",
        k=recipe.k,
        exact=False,
    )


def write_submission(
    run: Run, split: str, lists: FinalLists, path: Path, fmt: SubmissionFormat
) -> None:
    """Write the lists of a split's queries; raise ValueError where they would be refused."""
    table = pl.read_parquet(paths.sessions(run, split))
    item_ids = pl.read_parquet(paths.items(run))["item_id"].to_numpy()
    with open(path, "wb") as file:
        file.write(f"{fmt.header}\n".encode())
        for objective, listed in lists.items():
            session, items = table["session"].to_numpy()[listed.session], listed.first(fmt.k)
            for first in range(0, session.size, QUERIES):
                batch = slice(first, first + QUERIES)
                rows = _rows(objective, session[batch], items[batch], item_ids)
                rows.write_csv(file, include_header=False, quote_style="never")
    queries = table.filter("query")["session"].to_numpy()
    refuse_faults(path, fmt, Expected(queries, item_ids))


def _rows(objective: str, session: I64, items: I32, item_ids: I64) -> pl.DataFrame:
    """Build rows as text; session holds raw ids, items dense ones, -1 where a list ends."""
    raw = pl.from_numpy(np.where(items < 0, -1, item_ids[items]))
    texts = [pl.when(c >= 0).then(c.cast(pl.String)) for c in map(pl.col, raw.columns)]
    return raw.select(
        pl.format("{}_{}", pl.Series(session), pl.lit(objective)),
        labels=pl.concat_str(texts, separator=" ", ignore_nulls=True),
    )
