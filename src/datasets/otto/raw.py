"""Convert a raw file to parquet parts and a table of its sessions.

A killed run keeps the parts that are whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import polars as pl

from src.core import store
from src.core.run import Run
from src.core.text_blocks import blocks
from src.datasets.otto.jsonl import find, parse
from src.datasets.session_log import SESSION_ROWS, SessionLog

COMPRESSION = 6  # bytes of a raw file per byte of a compressed one, about
MEMORY = 6e8  # bytes, and of each raw byte:
MEMORY_SHARE, DISK_SHARE = 0.18, 0.45


def read_log(run: Run, stem: str) -> SessionLog | None:
    """Bring output/raw/<stem>*.parquet up to date; return None where the raw file is missing.

    A killed run goes on after its last whole part.
    """
    source = find(run.input, stem)
    if source is None:
        return None
    log = SessionLog(source, run.output / "raw" / f"{stem}.parquet")
    stat = source.stat()
    rows = {
        "source": (source.name, stat.st_size, stat.st_mtime_ns),
        "types": run.recipe.types,
    }

    own = run.engine.twin(__name__)
    write = write_parts if own is None else own.write_parts

    def make(path: Path) -> None:
        size = stat.st_size * (COMPRESSION if source.suffix != ".jsonl" else 1)
        run.budget.claim(f"prepare {stem}", MEMORY + MEMORY_SHARE * size, DISK_SHARE * size)
        _session_rows(log, write(run, log, rows)).write_parquet(path)

    if log.table.exists() and not all(store.fingerprint(part) for part in log.parts()):
        log.table.unlink()
    run.build(log.table, make, rows, [], write)
    return log


def write_parts(run: Run, log: SessionLog, rows: Mapping[str, object]) -> int:
    """Bring the parts of a log up to date, block by block; return their number."""
    count = 0
    for line, block in blocks(log.source):
        make = partial(write_part, block, line, log.source, run.recipe.types)
        run.build(log.part(count), make, {**rows, "line": line}, [])
        count += 1
    return count


def write_part(block: bytes, line: int, source: Path, types: tuple[str, ...], path: Path) -> None:
    """Write the events of a block, whose first line has that number."""
    parse(block, line, source, types).write_parquet(path)


def _session_rows(log: SessionLog, count: int) -> pl.DataFrame:
    """Build SESSION_ROWS of the first `count` parts.

    Raises ValueError for a file without sessions, and for a session id that appears twice.
    """
    tables = [pl.DataFrame(schema=SESSION_ROWS)]
    for n in range(count):
        rows = pl.read_parquet(log.part(n), columns=["line", "session", "ts", "position"])
        starts = rows.with_row_index("start").filter(pl.col("position") == 0)
        end = starts["start"].shift(-1, fill_value=rows.height)
        columns = {"last": rows["ts"].gather(end - 1), "events": end - starts["start"]}
        table = starts.rename({"ts": "first"}).with_columns(**columns, part=pl.lit(n))
        tables.append(table.select(SESSION_ROWS.names()).cast(SESSION_ROWS))
    sessions = pl.concat(tables)
    if sessions.is_empty():
        raise ValueError(f"{log.source} is empty; download it again")
    for session in sessions["session"].filter(~sessions["session"].is_first_distinct())[:1]:
        lines = sessions.filter(session=session)["line"].to_list()
        raise ValueError(f"{log.source}: session {session} appears in lines {lines}; keep one")
    return sessions


def refuse_common_sessions(train: SessionLog, test: SessionLog) -> None:
    """Raise ValueError where a session is in both files."""
    both = test.sessions().join(train.sessions(), on="session").sort("line").head(1)
    for row in both.collect(engine="streaming").iter_rows(named=True):
        raise ValueError(
            f"{test.source}, line {row['line']}: session {row['session']} is also in "
            f"{train.source}, line {row['line_right']}; download both again"
        )


def refuse_swapped_files(train: SessionLog, test: SessionLog) -> None:
    """Raise ValueError where all test sessions end before the first train session begins."""
    if test.end() < train.start():
        raise ValueError(
            f"{test.source} ends before {train.source} begins; are the two files swapped?"
        )
