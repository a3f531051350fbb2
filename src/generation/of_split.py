"""Load the generator of a split, and estimate its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData

if TYPE_CHECKING:
    from src.generation.generation import Generation

BYTES_PER_ITEM = 100  # codes, nodes and the trie
BYTES_PER_PREFIX = 4_000  # that is decoded at a time: probabilities of codes, hidden layer


def generation_of(data: SplitData, name: str) -> Generation:
    """Load ids and net of an embedding that generates, once for a split."""
    from src.generation.generation import Generation  # loads torch

    run, split = data.run, data.split
    files = paths.semantic_ids(run, split, name), paths.generator(run, split, name)
    return data.cached(("generation", name), lambda: Generation.load(*files, run.engine.device))


def generation_memory(run: Run, split: str, name: str, prefixes: int) -> float:
    """Estimate the bytes of ids and net, and of so many prefixes that are decoded at a time."""
    weights = paths.total_size([paths.generator(run, split, name)])
    items = count_rows(paths.items(run))
    return weights + BYTES_PER_ITEM * items + BYTES_PER_PREFIX * prefixes
