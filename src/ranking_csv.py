"""A submission of one ranked list a user: user_id,article_1,...,article_k; written and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src import store
from src.events import I32, I64
from src.submission import TOLD, Lists

if TYPE_CHECKING:
    from src.run import Run


def header(k: int) -> list[str]:
    return ["user_id", *(f"article_{place}" for place in range(1, k + 1))]


def write_ranking(run: Run, split: str, lists: Lists) -> int:
    """Write output/submission.csv for the queries of a split; the number of rows.

    A list that is too short is filled up with the items that most events of the split's last day
    are about. Raises ValueError, and leaves the old file, when the new one would not be accepted.
    """
    table = pl.read_parquet(run.output / split / "sessions.parquet")
    aids = pl.read_parquet(run.output / "aids.parquet")["aid"].to_numpy()
    ((session, items),) = lists.values()
    dense = np.flatnonzero(table["query"].to_numpy())
    full = np.full((dense.size, run.recipe.k), -1, np.int32)
    full[np.searchsorted(dense, session)] = items
    filled = fill_up(full, _popular(run.output / split / "events.parquet", aids.size))
    users = table["session"].to_numpy()[dense]
    columns = [users, *aids[filled].T]
    path = run.output / "submission.csv"
    part = path.with_name(f".part-{path.name}")
    rows = pl.DataFrame(dict(zip(header(run.recipe.k), columns, strict=True))).sort("user_id")
    rows.write_csv(part)
    if faults := check_ranking(part, users, aids, run.recipe.k):
        part.unlink()
        raise ValueError(f"{path.name} would be refused: {'; '.join(faults[:3])}")
    store.replace(part, path)
    return int(users.size)


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
    table = pl.read_parquet(events, columns=["aid", "ts"])
    recent = table.filter(pl.col("ts") > pl.col("ts").max() - 86_400)["aid"].to_numpy()
    count = np.bincount(recent, minlength=n_items)
    return np.argsort(-count, kind="stable").astype(np.int32)


def check_ranking(path: Path, users: I64, known: I64, k: int) -> list[str]:
    """The first ten faults of a submission; raw ids of the users and of the known items."""
    with open(path, "rb") as file:
        first = file.readline().decode(errors="replace").rstrip("\r\n")
    if first != ",".join(header(k)):
        return [f"line 1: the header is {first[:60]!r}, not {','.join(header(k))!r}"]
    text = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=False)
    numbers = text.cast(pl.Int64, strict=False).with_row_index("line", 2)
    items = [pl.col(name) for name in header(k)[1:]]
    table = numbers.with_columns(
        bad=pl.any_horizontal(pl.col(name).is_null() for name in header(k)),
        unknown=~pl.all_horizontal(item.is_in(known) for item in items),
        twice=pl.concat_list(items).list.n_unique() < k,
        stranger=~pl.col("user_id").is_in(users),
        again=~pl.col("user_id").is_first_distinct(),
    )
    told = {
        "bad": "a value that is not a whole number",
        "unknown": "an unknown article",
        "twice": "an article twice",
        "stranger": "a user who is not asked for",
        "again": "a user who had a line before",
    }
    faults = []
    for kind, what in told.items():
        rows = table.filter(pl.col(kind) & ((kind == "bad") | ~pl.col("bad")))
        faults += [(line, f"line {line}: {what}") for line in rows["line"].head(TOLD)]
    missing = np.setdiff1d(users, table["user_id"].drop_nulls().to_numpy())
    told_missing = [f"no line of user {user}" for user in missing[:TOLD]]
    return [*(text for _, text in sorted(faults)), *told_missing][:TOLD]
