"""Find the raw files, read their rows, and list the bad ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import polars as pl

from src.core.parquet import count_rows
from src.core.run import Run
from src.datasets.antm2c.csv_blocks import header, parse
from src.datasets.antm2c.row_blocks import RowBlock, blocks_of
from src.datasets.antm2c.typed import Typed, typed

TEST = "test.csv"
QUARANTINE = "quarantine.csv"


@dataclass(frozen=True)
class RawFile:
    """A file, and a table of its good and one of its bad rows, ROWS and BAD, for each block."""

    number: int  # of the file
    source: Path
    folder: Path  # of the tables
    blocks: tuple[RowBlock, ...]

    @property
    def is_test(self) -> bool:
        """Whether all its rows are of the test."""
        return self.source.name == TEST

    @property
    def rows(self) -> list[Path]:
        return self._tables("rows")

    @property
    def bad(self) -> list[Path]:
        return self._tables("bad")

    @cached_property
    def size(self) -> int:
        """Rows, good and bad, once the tables are written."""
        return count_rows(*self.rows, *self.bad)

    def _tables(self, kind: str) -> list[Path]:
        stem = f"{kind}-{self.source.stem}"
        return [self.folder / f"{stem}-{n:06}.parquet" for n in range(len(self.blocks))]


def rows_of(files: Iterable[RawFile]) -> list[Path]:
    """List the tables of the good rows of some files, in order."""
    return [path for file in files for path in file.rows]


def find(folder: Path) -> list[Path]:
    """List the CSV files of a folder, test.csv first; FileNotFoundError without another one."""
    found = sorted(folder.glob("*.csv"), key=lambda path: (path.name != TEST, path.name))
    if not [path for path in found if path.name != TEST]:
        raise FileNotFoundError(
            f"no CSV file with clicks in {folder}; put antm2c_10m_part0.csv, ... there"
        )
    return found


def is_labelled(source: Path) -> bool:
    """Whether the rows of a file need a label: those of all files but TEST."""
    return source.name != TEST


def read_typed(source: Path, labelled: bool | None = None) -> Iterator[Typed]:
    """Yield the good and the bad rows of a file; raise ValueError where there is no row.

    labelled: whether a row needs a label; None: as `is_labelled` says.
    """
    labelled = is_labelled(source) if labelled is None else labelled
    header(source, labelled)
    for block in blocks_of(source):
        yield read_block(block, labelled)


def read_block(block: RowBlock, labelled: bool) -> Typed:
    """Read the good and the bad rows of a block."""
    parsed = parse(block, header(block.source, labelled))
    found = typed(parsed, block.source.name, labelled)
    read, kept = parsed.row.size + len(parsed.bad), found.rows.height + found.bad.height
    assert read == kept, f"{block}: {read} rows, {kept} kept"
    return found


def write_quarantine(run: Run, files: Sequence[RawFile], max_bad: float) -> dict[str, object]:
    """Write quarantine.csv, all bad rows; raise ValueError where they are too many.

    max_bad: share of the rows.
    """
    path = run.output / QUARANTINE
    tables = [bad for file in files for bad in file.bad]
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
