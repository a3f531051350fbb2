"""Read the raw files into tables of good and of bad rows, a pair of tables for each block.

A killed run goes on after its last whole pair.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl

from src.core.parquet import TableWriter, count_rows
from src.core.run import Run
from src.datasets.antm2c.columns import BAD, ROWS
from src.datasets.antm2c.csv_blocks import header
from src.datasets.antm2c.files import RawFile, find, is_labelled, read_block
from src.datasets.antm2c.row_blocks import BLOCKS, RowBlock, blocks_of


def read_files(run: Run) -> list[RawFile]:
    """Bring the tables of all files up to date; each row is in one of them."""
    return [_read_file(run, number, path) for number, path in enumerate(find(run.input))]


def _read_file(run: Run, number: int, source: Path) -> RawFile:
    own, folder, stat = run.engine.twin(__name__), run.output / "raw", source.stat()
    cut, build = (cut_rows, build_parts) if own is None else (own.cut_rows, own.build_parts)
    with run.step(f"read {source.name}") as summary:
        table = folder / f"blocks-{source.stem}.parquet"
        key = (source.name, stat.st_size, stat.st_mtime_ns)
        run.build(table, partial(_write_blocks, cut, run, source), key, [], cut)
        blocks = (RowBlock(source, *row) for row in pl.read_parquet(table).iter_rows())
        file = RawFile(number, source, folder, tuple(blocks))
        build(run, file, key)
        summary |= {"rows": file.size, "good": count_rows(*file.rows)}
        if quarantined := count_rows(*file.bad):
            summary["quarantined"] = quarantined
    return file


def _write_blocks(
    cut: Callable[[Run, Path], list[RowBlock]], run: Run, source: Path, path: Path
) -> None:
    header(source, is_labelled(source))
    rows = [block[1:] for block in cut(run, source)]
    pl.DataFrame(rows, schema=BLOCKS, orient="row").write_parquet(path)


def cut_rows(run: Run, source: Path) -> list[RowBlock]:
    """Cut a file into blocks, one after the other; ValueError for a file without rows."""
    return blocks_of(source)


def build_parts(run: Run, file: RawFile, key: object) -> None:
    """Bring the tables of all blocks up to date, one after the other; key: of the file."""
    for number in run.progress(range(len(file.blocks)), file.source.name):
        build_part(run, file, number, key, partial(write_rows, file.blocks[number]))


def build_part(
    run: Run, file: RawFile, number: int, key: object, write: Callable[[Path], pl.DataFrame]
) -> None:
    """Bring the tables of a block up to date.

    write: writes the good rows to a path, and returns the bad ones.
    """
    rows, bad = file.rows[number], file.bad[number]
    if None in (run.fingerprint(rows), run.fingerprint(bad)):
        rows.unlink(missing_ok=True)
        bad.unlink(missing_ok=True)

    def make(parts: dict[Path, Path]) -> None:
        found = write(parts[rows])
        with TableWriter(parts[bad], BAD) as writer:
            writer.add(found)

    run.build_many(dict.fromkeys((rows, bad), (key, file.blocks[number][1:])), make, [], write)


def write_rows(block: RowBlock, path: Path) -> pl.DataFrame:
    """Write the good rows of a block; return the bad ones."""
    found = read_block(block, is_labelled(block.source))
    with TableWriter(path, ROWS) as writer:
        writer.add(found.rows)
    return found.bad
