"""Inspect raw files, to check submissions and downloads against them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from src.core.text_blocks import blocks
from src.datasets.base import RawSummary
from src.datasets.otto.jsonl import find, parse
from src.datasets.submission_rows import Expected


def expected(folder: Path, types: tuple[str, ...]) -> Expected:
    """Read the sessions of the test file, and the items of both files if train is there too."""
    if find(folder, "test") is None:
        raise FileNotFoundError(
            f"{folder / 'test.jsonl'} not found (nor .gz, .zst); name the folder of the raw files "
            "with INPUT="
        )
    files = [file for stem in ("test", "train") if (file := find(folder, stem))]
    sessions = items = pl.Series(dtype=pl.Int64)
    for file in files:
        for line, block in blocks(file):
            events = parse(block, line, file, types)
            items = pl.concat([items, events["aid"]]).unique()
            if file is files[0]:
                sessions = pl.concat([sessions, events["session"]]).unique()
    if sessions.is_empty():
        raise ValueError(f"{files[0]} is empty; download it again")
    return Expected(sessions.to_numpy(), items.to_numpy() if len(files) > 1 else None)


def summarize(path: Path, types: tuple[str, ...]) -> RawSummary:
    """Count the sessions of a raw file, and find the times of its first and last event."""
    tables = (parse(block, line, path, types) for line, block in blocks(path))
    rows = [(int((t["position"] == 0).sum()), t["ts"].min(), t["ts"].max()) for t in tables]
    if not rows:
        raise ValueError(f"{path} is empty; download it again")
    sessions, first, last = zip(*rows, strict=True)
    return RawSummary(sum(sessions), min(first), max(last))
