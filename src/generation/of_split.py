"""Load the generator of a split, gather what it reads of queries, and estimate its memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from src.core.arrays import F32, I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.generation.windows import Windows
from src.texts.session_texts import session_vectors, text_inputs, text_memory

if TYPE_CHECKING:
    from src.embeddings.generator import GeneratorEmbedding
    from src.generation.generation import Generation

BYTES_PER_ITEM = 100  # codes, nodes and the trie
BYTES_PER_PREFIX = 4_000  # that is decoded at a time: probabilities of codes, hidden layer


def generation_of(data: SplitData, name: str) -> Generation:
    """Load ids and net of an embedding that generates, once for a split."""
    from src.generation.generation import Generation  # loads torch

    run, split = data.run, data.split
    files = paths.semantic_ids(run, split, name), paths.generator(run, split, name)
    return data.cached(("generation", name), lambda: Generation.load(*files, run.engine.device))


def histories(data: SplitData, name: str, first: int, end: int) -> tuple[I64, F32 | None]:
    """Gather items and texts of sessions first : end, as the methods of Generation read them."""
    of_row = _row(data.run, name)
    windows = Windows.last(data.sessions, np.arange(first, end), of_row.max_len)
    text = session_vectors(data, of_row.texts, first, end) if of_row.texts else None
    return windows.items(data.sessions), text


def generation_inputs(run: Run, split: str, name: str) -> list[Path]:
    """List the files that lists and likelihoods of a split depend on, beside its events."""
    texts = _row(run, name).texts
    files = [paths.semantic_ids(run, split, name), paths.generator(run, split, name)]
    return [*files, *(text_inputs(run, split) if texts else ())]


def generation_memory(run: Run, split: str, name: str, prefixes: int) -> float:
    """Estimate the bytes of ids, net and texts, and of prefixes that are decoded at a time."""
    texts = _row(run, name).texts
    weights = paths.total_size([paths.generator(run, split, name)])
    items = BYTES_PER_ITEM * count_rows(paths.items(run))
    of_texts = text_memory(run, split, texts) if texts else 0.0
    return weights + items + BYTES_PER_PREFIX * prefixes + of_texts


def _row(run: Run, name: str) -> GeneratorEmbedding:
    row = next(row for row in run.recipe.embeddings if row.name == name)
    return cast("GeneratorEmbedding", row)
