"""Read raw files on Spark: a block of rows is a task, which writes its good rows.

The blocks, tables and messages are those of the CPU. To cut a file, tasks scan its lines first:
each block in both of its readings, as no task knows whether it begins in quotes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import polars as pl

from src.core.run import Run
from src.core.text_blocks import Block
from src.data.shards import in_turn
from src.datasets.antm2c import raw_parts
from src.datasets.antm2c.files import RawFile
from src.datasets.antm2c.row_blocks import RowBlock, Scan, line_blocks, row_blocks, scan
from src.spark.tasks import on_executor, tasks_at_a_time, write_on_executor


def cut_rows(run: Run, source: Path) -> list[RowBlock]:
    """Cut a file as src/datasets/antm2c/raw_parts.py does; a task scans a block of lines."""
    lines = line_blocks(source.absolute())

    def both(block: Block) -> tuple[Scan, Scan]:
        return on_executor(run, partial(_scan_both, block))

    found = list(in_turn(both, lines, tasks_at_a_time(run)))
    return row_blocks(source, lines, lambda number, quoted: found[number][quoted])


def _scan_both(block: Block) -> tuple[Scan, Scan]:
    return scan(block, False), scan(block, True)


def build_parts(run: Run, file: RawFile, key: object) -> None:
    """Bring the tables of all blocks up to date, a task for each; key: of the file."""

    def build(number: int) -> None:
        block = file.blocks[number]
        work = partial(raw_parts.write_rows, block._replace(source=block.source.absolute()))

        def write(path: Path) -> pl.DataFrame:
            return write_on_executor(run, path, work)

        raw_parts.build_part(run, file, number, key, write)

    todo = run.progress(range(len(file.blocks)), file.source.name)
    list(in_turn(build, todo, tasks_at_a_time(run)))
