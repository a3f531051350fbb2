"""Convert a raw file to parquet parts with the features, and a table of all its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from src.core import store
from src.core.parquet import TableWriter
from src.core.run import Run
from src.core.text_blocks import blocks
from src.datasets.letor.files import query_sizes
from src.datasets.letor.text import HEAD, parse

ROWS = pl.Schema([*HEAD.items(), ("part", pl.Int32)])
"""A row a document, in file order: its line, qid, doc and grade, and the part with its values.

doc is `<qid>:<n>`, for the n-th document of the query, where the comment names none.
"""
LINE = "line"
MAX_GRADE = 31
"""Largest grade: gains are powers of 2, and libraries refuse more."""
HIDDEN = -1
"""Grade of documents whose grades are not published."""
COMPRESSION = 6  # bytes of a raw file per byte of a compressed one, about
MEMORY = 6e8  # bytes, and of each raw byte:
MEMORY_SHARE, DISK_SHARE = 0.6, 1.0


@dataclass(frozen=True)
class RawFile:
    """One raw file, and what it is converted to in the folder `output`/raw."""

    source: Path
    role: str  # of its queries: train, valid or test
    rows: Path  # ROWS

    def part(self, n: int) -> Path:
        """File of the values of some rows: LINE, and a Float32 column per index that occurs."""
        return self.rows.with_name(f"{self.rows.stem}-{n:04}.parquet")

    def columns(self) -> set[str]:
        """Names of the features of all parts."""
        last = pl.scan_parquet(self.rows).select(pl.col("part").max()).collect().item()
        names = {name for n in range(last + 1) for name in pl.read_parquet_schema(self.part(n))}
        return names - {LINE}

    def is_graded(self) -> bool:
        """Whether the grades are published."""
        grade = pl.scan_parquet(self.rows).select(pl.col("grade").max()).collect().item()
        return bool(grade != HIDDEN)


def read_file(run: Run, source: Path, role: str) -> RawFile:
    """Bring the rows and parts of a raw file up to date.

    Raises ValueError, naming file and line, for a malformed line and for a wrong grade.
    """
    file = RawFile(source, role, run.output / "raw" / f"{role}.parquet")
    files = [source, source.with_name(f"{source.name}.query")]
    stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.exists()]
    if file.rows.exists() and not _has_parts(file):
        store.remove(file.rows)
    run.build(file.rows, partial(_write, run, file), {"source": stats, "role": role}, [])
    return file


def _has_parts(file: RawFile) -> bool:
    last = pl.scan_parquet(file.rows).select(pl.col("part").max()).collect().item()
    return all(file.part(n).exists() for n in range(last + 1))


def _write(run: Run, file: RawFile, path: Path) -> None:
    """Write the parts, and the rows to `path`."""
    packed = file.source.suffix in (".gz", ".zst")
    size = file.source.stat().st_size * (COMPRESSION if packed else 1)
    run.budget.claim(f"read {file.source.name}", MEMORY + MEMORY_SHARE * size, DISK_SHARE * size)

    def write_part(part: int, values: pl.DataFrame) -> None:
        with TableWriter(file.part(part), values.schema) as writer:
            writer.add(values)

    read_rows(file.source, file.role, write_part).write_parquet(path)


def read_rows(
    source: Path, role: str, keep: Callable[[int, pl.DataFrame], None] | None = None
) -> pl.DataFrame:
    """Read the ROWS of a raw file; keep: is called with the number and the table of each part.

    Raises ValueError, naming file and line, for a malformed line and for a wrong grade.
    """
    heads = [pl.DataFrame(schema=ROWS)]
    for line, block in blocks(source):
        for table in parse(block, line, source):
            part = len(heads) - 1
            if keep:
                keep(part, table.drop(name for name in HEAD if name != LINE))
            heads.append(table.select(*HEAD.names(), part=pl.lit(part, pl.Int32)))
    rows = pl.concat(heads)
    if rows.is_empty():
        raise ValueError(f"{source} holds no documents; download it again")
    _check_grades(rows, source, role)
    return _with_ids(rows, source, role)


def _check_grades(rows: pl.DataFrame, source: Path, role: str) -> None:
    """Raise ValueError, naming the line, for a grade that no metric takes.

    A test file may have the grade HIDDEN in all lines.
    """
    if role == "test" and (rows["grade"] == HIDDEN).all():
        return
    for wrong, cure in (
        (pl.col("grade") < 0, "give grades from 0 on (a test file: -1 in all lines if hidden)"),
        (pl.col("grade") > MAX_GRADE, f"gains are powers of 2: give grades up to {MAX_GRADE}"),
    ):
        for line, grade in rows.filter(wrong).select("line", "grade").head(1).iter_rows():
            raise ValueError(f"{source}, line {line}: grade {grade:g}; {cure}")


def _with_ids(rows: pl.DataFrame, source: Path, role: str) -> pl.DataFrame:
    """Name the queries of a file without qids, and documents without a name.

    Raises ValueError where only some lines have a qid, or a query has a document twice.
    """
    without = rows["qid"].is_null()
    if without.all():
        sizes = query_sizes(source, rows.height)
        number = pl.Series(np.repeat(np.arange(1, sizes.size + 1), sizes))
        rows = rows.with_columns(qid=pl.format("{}:{}", pl.lit(role), number))
    elif without.any():
        line = rows.filter(without)["line"][0]
        raise ValueError(f"{source}, line {line}: no qid, as other lines have; add qid:<id>")
    n = pl.int_range(1, pl.len() + 1).over("qid")
    rows = rows.with_columns(doc=pl.col("doc").fill_null(pl.format("{}:{}", "qid", n)))
    twice = ~pl.struct("qid", "doc").is_first_distinct()
    for line, qid, doc in rows.filter(twice).select("line", "qid", "doc").head(1).iter_rows():
        raise ValueError(
            f"{source}, line {line}: document {doc} stands twice in query {qid}; keep one"
        )
    return rows
