"""Read text files of a log on Spark: a block of the file is a task, which writes its rows.

The blocks, rows and messages are those of the CPU. Parquet and compressed files are read on the
machine that starts the run.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import polars as pl

from src.core.run import Run
from src.core.text_blocks import Block
from src.data.shards import in_turn
from src.datasets.interactions import text_files
from src.datasets.interactions.rows import BLOCK, ROWS, RowReader
from src.spark.tasks import tasks_at_a_time, write_on_executor
from src.spark.text_blocks import blocks_of, first_lines


def write_texts(run: Run, reader: RowReader, stem: Path) -> int:
    """Write ROWS of a file as src/datasets/interactions/text_files.py does, a task for each block.

    The first line with a fault is reported, whichever task found one first. The unit of times is
    that of the first block that has one; the blocks after it wait for it.
    """
    found = [] if reader.table.is_parquet else blocks_of(reader.table.path, BLOCK)
    if not found:
        return text_files.write_texts(run, reader, stem)

    def write(number: int) -> tuple[int, str]:
        work = partial(_write, reader, found[number], lines[number])
        return write_on_executor(run, text_files.text_file(stem, number), work)

    total, lines, todo = 0, first_lines(run, found), iter(range(len(found)))
    while reader.columns.time and not reader.unit and (number := next(todo, None)) is not None:
        rows, reader.unit = write(number)
        total += rows
    left = run.progress(todo, reader.table.path.name)
    return total + sum(rows for rows, _ in in_turn(write, left, tasks_at_a_time(run)))


def _write(reader: RowReader, block: Block, line: int, path: Path) -> tuple[int, str]:
    """Write the rows of a block; return their number, and the unit of the times so far."""
    table = pl.concat([pl.DataFrame(schema=ROWS), *reader.block_rows(line, block.read())])
    text_files.write_batch(table, path)
    return table.height, reader.unit
