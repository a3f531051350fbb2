"""Write the lists of a log's users: `user,item_1,...,item_k`, raw ids, by the rules of CSV.

Where there are several objectives, a user has a row for each, named in the second column. A list
with fewer than k items has empty cells at its end.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import I32, I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.raw_ids import item_ids, session_ids
from src.data.schemas import FinalList, FinalLists
from src.datasets.fill_up import by_popularity, fill_up
from src.datasets.interactions.flags import HELD_OUT, UNSEEN, Flags
from src.datasets.interactions.lists_file import faults, header


def write_submission(run: Run, split: str, lists: FinalLists, path: Path, flags: Flags) -> None:
    """Write the lists of a split's queries, in the order of the queries.

    Short lists are filled up with the most frequent items of the split, unless candidates are
    held-out ones. Raises ValueError where the file has a fault.
    """
    query = pl.read_parquet(paths.sessions(run, split), columns=["query"]).to_series()
    user = session_ids(paths.sessions(run, split)).cast(pl.String).filter(query)
    item = item_ids(paths.items(run)).cast(pl.String)
    dense, tables = query.arg_true().to_numpy().astype(np.int64), []
    for name, listed in lists.items():
        items = _filled(run, split, listed, dense, flags)
        columns = {"user": user, "objective": pl.Series([name] * dense.size)}
        for rank in range(run.recipe.k):
            column = pl.Series(items[:, rank])
            columns[f"item_{rank + 1}"] = item.gather(column.set(column < 0, None))
        tables.append(pl.DataFrame(columns))
    pl.concat(tables).select(header(run.recipe)).write_csv(path)
    if flags.candidates != HELD_OUT and (found := faults(path, run.recipe, user, item)):
        raise ValueError(f"the submission would be refused: {'; '.join(found[:3])}")


def _filled(run: Run, split: str, listed: FinalList, dense: I64, flags: Flags) -> I32:
    """Put the lists in the order of the queries, and fill up short ones: int32 (queries, k)."""
    lists = np.full((dense.size, run.recipe.k), -1, np.int32)
    lists[np.searchsorted(dense, listed.session)] = listed.first(run.recipe.k)
    short = np.flatnonzero((lists < 0).any(axis=1))
    if flags.candidates == HELD_OUT or not short.size:
        return lists
    file = paths.events(run, split)
    spare = by_popularity(file, count_rows(paths.items(run)))
    if flags.candidates != UNSEEN:
        return fill_up(lists, spare)
    of_short = pl.scan_parquet(file).filter(pl.col("session").is_in(dense[short].tolist()))
    seen = of_short.select("session", "item").collect().partition_by("session", as_dict=True)
    barred = {row: seen[key,]["item"].to_numpy() for row in short.tolist()
              if ((key := int(dense[row])),) in seen}  # fmt: skip
    return fill_up(lists, spare, barred)
