"""Small logs of any form on disk, and step 1 run on them in-process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import worlds

from src import cli

T0 = 1_398_000_000  # seconds: 20 April 2014
HOUR, DAY = 3600, 86_400

Row = tuple[str, str, int]  # user, item, seconds


def some_rows(users: int = 30, events: int = 5) -> list[Row]:
    """Users who come back: an event a day, items of two communities."""
    return [
        (f"u{user}", f"i{user % 2 * 10 + (user + 3 * n) % 7}", T0 + n * DAY + user)
        for user in range(users)
        for n in range(events)
    ]


def write(folder: Path, text: str | bytes, name: str = "log.csv") -> Path:
    (folder / "in").mkdir(exist_ok=True)
    path = folder / "in" / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def csv(rows: list[Any], header: str = "user,item,time", separator: str = ",") -> str:
    lines = [separator.join(map(str, row)) for row in rows]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


def prepare(folder: Path, *flags: str, given: str = "in") -> int:
    """Run 1_preparation.py from folder/in to folder/out."""
    step = worlds.script("1_preparation")
    argv = ["--dataset", "interactions", "--input", str(folder / given)]
    argv += ["--output", str(folder / "out"), "--engine", "cpu", *flags]
    return cli.main(step.__doc__, step.__file__, step.body, argv)


def ids(out: Path, split: str) -> tuple[list[Any], list[Any]]:
    """Raw ids of the dense sessions of a split, and of the items."""
    sessions = pl.read_parquet(out / split / "sessions.parquet")
    items = pl.read_parquet(out / "items.parquet")["item_id"]
    return sessions["id" if "id" in sessions.columns else "session"].to_list(), items.to_list()


def events(out: Path, split: str) -> dict[Any, list[tuple[Any, int]]]:
    """Visible events of every session: raw item, second."""
    sessions, items = ids(out, split)
    found: dict[Any, list[tuple[Any, int]]] = {session: [] for session in sessions}
    table = pl.read_parquet(out / split / "events.parquet", columns=["session", "item", "ts"])
    assert table["session"].is_sorted()
    for session, item, ts in table.rows():
        found[sessions[session]].append((items[item], ts))
    return found


def queries(out: Path, split: str) -> list[Any]:
    """Raw ids of the queries of a split; they are its last sessions."""
    query = pl.read_parquet(out / split / "sessions.parquet")["query"]
    assert query.is_sorted()
    return [s for s, q in zip(ids(out, split)[0], query, strict=True) if q]


def labels(out: Path, split: str = "valid") -> dict[Any, dict[Any, float]]:
    """Grades of the labels of every query, all objectives together."""
    sessions, items = ids(out, split)
    found: dict[Any, dict[Any, float]] = {}
    for session, _, item, grade in pl.read_parquet(out / split / "labels.parquet").rows():
        found.setdefault(sessions[session], {})[items[item]] = grade
    return found


def of_users(rows: list[Row]) -> dict[str, list[tuple[str, int]]]:
    """Events of every user, by time; equal times in the order of the rows."""
    found: dict[str, list[tuple[str, int]]] = {}
    for user, item, ts in sorted(rows, key=lambda row: row[2]):
        found.setdefault(user, []).append((item, ts))
    return found


def found(out: Path) -> dict[str, Any]:
    """What step 1 noted."""
    noted: dict[str, Any] = json.loads((out / "dataset.json").read_text())
    return noted
