"""Parse JSON lines on Spark: a block of the file is a task, which writes a part of the log.

The blocks, parts and messages are those of the CPU. Only plain files can be cut into blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path

from src.core.run import Run
from src.core.text_blocks import BLOCK, MAX_BLOCKS_PER_LINE, block_ends
from src.data.shards import in_turn
from src.datasets.otto import raw
from src.datasets.session_log import SessionLog
from src.spark.tasks import on_executor, tasks_at_a_time

Bytes = tuple[int, int]  # of a block in the file: first, end


def write_parts(run: Run, log: SessionLog, rows: Mapping[str, object]) -> int:
    """Bring the parts of a log up to date, a task for each; return their number.

    The first line with a fault is reported, whichever task found one first.
    """
    source, at_a_time = log.source.absolute(), tasks_at_a_time(run)
    found = list(pairwise([0, *block_ends(source)])) if source.suffix == ".jsonl" else []
    if not found or max(end - first for first, end in found) > MAX_BLOCKS_PER_LINE * BLOCK:
        return raw.write_parts(run, log, rows)  # compressed, empty, or without line ends

    def count_lines(block: Bytes) -> int:
        return on_executor(run, partial(_count_lines, source, block))

    def build(number: int) -> bool:
        block, line = found[number], first_lines[number]

        def make(path: Path) -> None:
            task = partial(_write_part, source, block, line, log.source, run.recipe.types)
            on_executor(run, partial(task, path.absolute()))

        return run.build(log.part(number), make, {**rows, "line": line}, [])

    first_lines = [1]
    for lines in in_turn(count_lines, found, at_a_time):
        first_lines.append(first_lines[-1] + lines)
    parts = run.progress(range(len(found)), log.table.stem)
    return len(list(in_turn(build, parts, at_a_time)))


def _count_lines(source: Path, block: Bytes) -> int:
    return _read(source, block).count(b"\n")


def _write_part(
    source: Path, block: Bytes, line: int, name: Path, types: tuple[str, ...], path: Path
) -> None:
    raw.write_part(_read(source, block), line, name, types, path)


def _read(source: Path, block: Bytes) -> bytes:
    with open(source, "rb") as file:
        file.seek(block[0])
        return file.read(block[1] - block[0])
