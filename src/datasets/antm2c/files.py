"""Find the raw files, read their rows, and put the bad ones into quarantine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from src.core.parquet import TableWriter, count_rows
from src.core.run import Run
from src.datasets.antm2c.columns import BAD, ROWS
from src.datasets.antm2c.csv_blocks import header, read_blocks
from src.datasets.antm2c.typed import Typed, typed

TEST = "test.csv"
QUARANTINE = "quarantine.csv"


@dataclass(frozen=True)
class RawFile:
    """A file, and the tables that are read from it: ROWS and BAD."""

    number: int  # of the file
    source: Path
    rows: Path
    bad: Path

    @property
    def is_test(self) -> bool:
        """Whether all its rows are of the test."""
        return self.source.name == TEST

    @property
    def size(self) -> int:
        """Rows, good and bad."""
        return count_rows(self.rows, self.bad)


def find(folder: Path) -> list[Path]:
    """List the CSV files of a folder, test.csv first; FileNotFoundError without another one."""
    found = sorted(folder.glob("*.csv"), key=lambda path: (path.name != TEST, path.name))
    if not [path for path in found if path.name != TEST]:
        raise FileNotFoundError(
            f"no CSV file with clicks in {folder}; put antm2c_10m_part0.csv, ... there"
        )
    return found


def read_files(run: Run) -> list[RawFile]:
    """Bring the tables of all files up to date: ROWS and BAD; all rows are in one of them."""
    folder, files = run.output / "raw", list[RawFile]()
    for number, source in enumerate(find(run.input)):
        rows, bad = (folder / f"{kind}-{source.stem}.parquet" for kind in ("rows", "bad"))
        files.append(RawFile(number, source, rows, bad))
        with run.step(f"read {source.name}") as summary:
            stat = source.stat()
            key = (source.name, stat.st_size, stat.st_mtime_ns)
            run.build_many(dict.fromkeys([rows, bad], key), partial(_write_rows, files[-1]), [])
            summary |= {"rows": files[-1].size, "good": count_rows(rows)}
            summary |= {"quarantined": count_rows(bad)} if count_rows(bad) else {}
    return files


def read_typed(source: Path, labelled: bool | None = None) -> Iterator[Typed]:
    """Yield the good and the bad rows of a file; raise ValueError where there is no row.

    labelled: whether a row needs a label; None: of all files but TEST.
    """
    rows = 0
    if labelled is None:
        labelled = source.name != TEST
    for block in read_blocks(source, header(source, labelled)):
        found = typed(block, source.name, labelled)
        read, kept = block.row.size + len(block.bad), found.rows.height + found.bad.height
        assert read == kept, f"{source}: {read} rows of a block, {kept} kept"
        rows += read
        yield found
    if not rows:
        raise ValueError(f"{source} holds no rows; download it again")


def _write_rows(file: RawFile, parts: dict[Path, Path]) -> None:
    """Write the good and the bad rows of a file."""
    schemas = {file.rows: ROWS, file.bad: BAD}
    with ExitStack() as stack:
        writers = {p: stack.enter_context(TableWriter(parts[p], schemas[p])) for p in parts}
        for found in read_typed(file.source):
            for path, table in zip((file.rows, file.bad), found, strict=True):
                if path in writers:
                    writers[path].add(table)


def write_quarantine(run: Run, files: Sequence[RawFile], max_bad: float) -> dict[str, object]:
    """Write quarantine.csv, all bad rows; raise ValueError where they are too many.

    max_bad: share of the rows.
    """
    path = run.output / QUARANTINE
    tables = [file.bad for file in files]
    run.build(path, partial(_write_bad, tables), None, tables)
    total, bad = sum(file.size for file in files), count_rows(*tables)
    if bad > max_bad * total:
        first = pl.scan_csv(path).head(1).collect().row(0, named=True)
        raise ValueError(
            f"{first['file']}, line {first['line']}: {first['reason']}; {bad:,} of {total:,} rows "
            f"are bad, more than --max-bad {max_bad:g} allows; {path} lists them, mend or allow it"
        )
    return {"rows": total, "quarantined": bad}


def _write_bad(tables: list[Path], path: Path) -> None:
    pl.scan_parquet(tables).sink_csv(path)
