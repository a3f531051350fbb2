"""Read the blocks of a text file in tasks of Spark; they are those of src/core/text_blocks.py."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from src.core.run import Run
from src.core.text_blocks import MAX_BLOCKS_PER_LINE, Block, block_ends
from src.data.shards import in_turn
from src.spark.tasks import on_executor, tasks_at_a_time


def blocks_of(source: Path, size: int) -> list[Block]:
    """Cut a plain file into blocks of about `size` bytes.

    Returns none for a file that only one machine can read: compressed, empty, or without line ends.
    """
    source = source.absolute()
    if source.suffix in (".gz", ".zst"):
        return []
    found = [Block(source, *ends) for ends in pairwise([0, *block_ends(source, size)])]
    endless = any(block.end - block.first > MAX_BLOCKS_PER_LINE * size for block in found)
    return [] if endless else found


def first_lines(run: Run, blocks: list[Block]) -> list[int]:
    """Count lines in tasks; return the number of the first line of each block."""

    def count(block: Block) -> int:
        return on_executor(run, block.count_lines)

    numbers = [1]
    for lines in in_turn(count, blocks[:-1], tasks_at_a_time(run)):
        numbers.append(numbers[-1] + lines)
    return numbers
