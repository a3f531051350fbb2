"""What a run leaves in its folder, to compare runs by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
from tiny import RECIPE
from worlds import OTTO

from src.datasets import submission_rows

DATED = "experiments.csv"
WRITTEN_EACH_TIME = {".lock", "splits.json"}  # and logs/


def results(out: Path) -> dict[str, bytes]:
    """What must not depend on threads or kills; manifests and logs with seconds may."""
    files = [f for f in out.rglob("*") if f.suffix in (".parquet", ".npy", ".ubj", ".csv")]
    files += out.glob("cv.json")
    return {f.relative_to(out).as_posix(): f.read_bytes() for f in files if f.name != DATED}


def stamps(out: Path) -> dict[str, tuple[int, int]]:
    """When each file was written, those left out that a step writes whenever it runs."""
    files = [f.relative_to(out) for f in out.rglob("*") if f.is_file()]
    lasting = [f for f in files if f.parts[0] not in {*WRITTEN_EACH_TIME, "logs"}]
    return {f.as_posix(): ((out / f).stat().st_mtime_ns, (out / f).stat().st_ino) for f in lasting}


def same_results(out: Path, other: Path) -> None:
    found, wanted = results(out), results(other)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert not list(out.rglob(".part-*"))


def submitted(out: Path, split: str) -> list[str]:
    """Faults of the submission for the queries of a split."""
    queries = pl.read_parquet(out / split / "sessions.parquet").filter("query")["session"]
    item_ids = pl.read_parquet(out / "items.parquet")["item_id"]
    expected = submission_rows.Expected(queries.to_numpy(), item_ids.to_numpy())
    form = replace(OTTO, recipe=RECIPE).submission_format()
    return submission_rows.check(out / "submission.csv", form, expected)
