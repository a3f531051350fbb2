"""Count, sample and compare parquet files in a process of its own; print the result as JSON.

python -m bench.frames rows output/bench-0.01/valid/events.parquet
python -m bench.frames counts output/bench-0.01
python -m bench.frames sample output/bench-0.01/valid/events.parquet folder 4 20000
python -m bench.frames compare ours.parquet theirs.parquet

`bench.measure` explains why a process that measures must not load polars itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl

TINY = 200  # sessions of tiny.parquet, on which numba compiles


def rows(path: Path) -> int:
    """Count the rows of a parquet file by its footer."""
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())


def counts(output: Path) -> dict[str, object]:
    """Count the events and sessions of every split of step 1, and the items."""
    splits = [split["name"] for split in json.loads((output / "splits.json").read_text())]
    return {
        "events": {split: rows(output / split / "events.parquet") for split in splits},
        "sessions": {split: rows(output / split / "sessions.parquet") for split in splits},
        "items": rows(output / "items.parquet"),
    }


def sample(path: Path, folder: Path, every: int, sessions: int) -> dict[str, object]:
    """Write three files of events into the folder, and count their content.

    events.parquet holds the sessions with number % every == 0. Of these, tiny.parquet holds the
    first TINY, and sample.parquet about `sessions` that are evenly spaced. Sessions are numbered
    anew; items keep their numbers.
    """
    kept = pl.scan_parquet(path).filter(pl.col("session") % every == 0)
    kept = kept.with_columns(pl.col("session") // every)
    kept.sink_parquet(folder / "events.parquet")
    events = pl.scan_parquet(folder / "events.parquet")
    n_sessions = events.select(pl.max("session") + 1).collect().item()
    step = max(1, n_sessions // sessions)
    spaced = events.filter(pl.col("session") % step == 0).with_columns(pl.col("session") // step)
    spaced.sink_parquet(folder / "sample.parquet")
    events.filter(pl.col("session") < TINY).sink_parquet(folder / "tiny.parquet")
    of_sample = pl.scan_parquet(folder / "sample.parquet").select(pl.max("session") + 1)
    return {
        "events": rows(folder / "events.parquet"),
        "sessions": n_sessions,
        "items": events.select(pl.col("item").n_unique()).collect().item(),
        "sample_events": rows(folder / "sample.parquet"),
        "sample_sessions": of_sample.collect().item(),
    }


def compare(ours: Path, theirs: Path) -> dict[str, object]:
    """Compute the share of common neighbours, and the largest relative difference of weights."""
    a, b = pl.read_parquet(ours), pl.read_parquet(theirs)
    if a.equals(b):
        return {"same": 1.0, "off": 0.0}
    both = a.join(b, on=["item_x", "item_y"])
    off = (pl.col("weight") / pl.col("weight_right") - 1).abs().max()
    largest = max(a.height, b.height, 1)
    return {"same": both.height / largest, "off": both.select(off).item() or 0.0}


def main(argv: list[str]) -> int:
    """Run one command; print its result."""
    result: object
    match argv:
        case ["rows", path]:
            result = rows(Path(path))
        case ["counts", output]:
            result = counts(Path(output))
        case ["sample", events, folder, every, sessions]:
            result = sample(Path(events), Path(folder), int(every), int(sessions))
        case ["compare", ours, theirs]:
            result = compare(Path(ours), Path(theirs))
        case _:
            raise SystemExit(__doc__)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
