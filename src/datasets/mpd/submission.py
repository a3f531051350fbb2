"""Write, read and check answers: a line of the team, then `pid, uri_1, ..., uri_500` a playlist.

Blank lines, and lines that begin with #, are comments.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.raw_ids import item_ids
from src.data.schemas import FinalLists
from src.datasets.fill_up import by_popularity, fill_up
from src.datasets.submission_rows import MAX_FAULTS

TEAM = "team_info"
FIRST_LINE = f"{TEAM},candidates then rerank,name@example.org"
SEPARATOR = ", "


def write_submission(run: Run, split: str, lists: FinalLists, path: Path) -> None:
    """Write the lists of a split's queries, in the order of their pids.

    Short lists are filled up with the most frequent tracks that the query does not show. Raises
    ValueError where there are not enough.
    """
    sessions = pl.read_parquet(paths.sessions(run, split))
    dense = np.flatnonzero(sessions["query"].to_numpy())
    (listed,) = lists.values()
    full = np.full((dense.size, run.recipe.k), -1, np.int32)
    full[np.searchsorted(dense, listed.session)] = listed.first(run.recipe.k)
    file = paths.events(run, split)
    events = pl.scan_parquet(file).filter(pl.col("session") >= dense[0])
    shown = events.select("session", "item").collect().partition_by("session", as_dict=True)
    barred = {row: shown[key,]["item"].to_numpy() for row, key in enumerate(dense.tolist())
              if (key,) in shown}  # fmt: skip
    filled = fill_up(full, by_popularity(file, count_rows(paths.items(run))), barred)
    if (filled < 0).any():
        raise ValueError(f"fewer than {run.recipe.k} tracks to recommend; give more playlists")
    uris, pids = item_ids(paths.items(run)).to_numpy(), sessions["session"].to_numpy()[dense]
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"{FIRST_LINE}\n")
        for row in np.argsort(pids):
            out.write(SEPARATOR.join([str(pids[row]), *uris[filled[row]]]) + "\n")


def rows(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield number, pid and URIs of each line of a playlist.

    Raises ValueError, with the line and the cure, for a file without the line of the team.
    """
    team = False
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            first, *cells = (cell.strip() for cell in line.split(","))
            if not line.strip() or first.startswith("#"):
                continue
            if not team and first != TEAM:
                raise ValueError(f"{path}, line {number}: no {TEAM}; write {FIRST_LINE} first")
            if team:
                yield number, first, cells
            team = True
    if not team:
        raise ValueError(f"{path}: no {TEAM}; write {FIRST_LINE} first")


def read_lists(path: Path) -> pl.DataFrame:
    """Read the lists of an answer: session, item, rank from 0; errors as in `rows`."""
    lists = [(int(pid), uri, rank) for _, pid, uris in rows(path) if pid.isdecimal()
             for rank, uri in enumerate(uris)]  # fmt: skip
    schema = {"session": pl.Int64, "item": pl.String, "rank": pl.Int64}
    return pl.DataFrame(lists, schema, orient="row")


def faults(path: Path, k: int, shown: dict[int, set[str]], tracks: set[str]) -> list[str]:
    """List the first faults of an answer, with lines and cures.

    shown: pid of each query -> tracks that it shows, which a list must not have.
    """
    found, seen = [], set[int]()
    try:
        for number, text, uris in rows(path):
            pid = int(text) if text.isdecimal() else -1
            problem = (
                "is no playlist of the challenge; drop the line" if pid not in shown
                else "was there before; keep one" if pid in seen
                else f"has {len(uris)} tracks; give {k}" if len(uris) != k
                else "has a track twice; keep one" if len(set(uris)) < k
                else "has a track that it shows; drop it" if shown[pid] & set(uris)
                else "has an unknown track; write URIs of the slices" if set(uris) - tracks
                else ""
            )  # fmt: skip
            seen.add(pid)
            found += [f"line {number}: playlist {text[:20]} {problem}"] if problem else []
            if len(found) == MAX_FAULTS:
                return found
    except ValueError as error:
        return [str(error)]
    missing = sorted(shown.keys() - seen)[: MAX_FAULTS - len(found)]
    return found + [f"no list for playlist {pid}; add it" for pid in missing]
