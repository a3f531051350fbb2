"""Parse JSON lines on Spark: a block of the file is a task, which writes a part of the log.

The blocks, parts and messages are those of the CPU. Only plain files can be cut into blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from src.core.run import Run
from src.core.text_blocks import BLOCK, Block
from src.data.shards import in_turn
from src.datasets.otto import raw
from src.datasets.session_log import SessionLog
from src.spark.tasks import tasks_at_a_time, write_on_executor
from src.spark.text_blocks import blocks_of, first_lines


def write_parts(run: Run, log: SessionLog, rows: Mapping[str, object]) -> int:
    """Bring the parts of a log up to date, a task for each; return their number.

    The first line with a fault is reported, whichever task found one first.
    """
    found = blocks_of(log.source, BLOCK)
    if not found:
        return raw.write_parts(run, log, rows)

    def build(number: int) -> bool:
        line = lines[number]
        work = partial(_write_part, found[number], line, log.source, run.recipe.types)

        def make(path: Path) -> None:
            write_on_executor(run, path, work)

        return run.build(log.part(number), make, {**rows, "line": line}, [])

    lines = first_lines(run, found)
    parts = run.progress(range(len(found)), log.table.stem)
    return len(list(in_turn(build, parts, tasks_at_a_time(run))))


def _write_part(block: Block, line: int, name: Path, types: tuple[str, ...], path: Path) -> None:
    raw.write_part(block.read(), line, name, types, path)
