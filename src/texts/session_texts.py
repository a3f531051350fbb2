"""Encode the texts of sessions, such as titles of playlists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import F32
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.data.splits import fitted_split
from src.texts.base import Encode, TextEncoder
from src.texts.vectors import distinct, encode_distinct, encoder_of


def session_vectors(data: SplitData, encoder: TextEncoder, first: int, end: int) -> F32:
    """Make vectors of length 1 of the texts of sessions first : end; 0 for one without a text.

    float32 (sessions, dim). An encoder that learns does so from the sessions of `learned_from`, so
    the numbers mean the same in all splits. Raises ValueError where these have too few texts.
    """
    encode = data.cached(("texts of sessions", encoder), lambda: _encode(data, encoder))
    vectors = encode_distinct(encode, data.query_texts(first, end))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), np.float32)


def learned_from(run: Run) -> str:
    """Return the split whose sessions an encoder learns from, whatever split it encodes."""
    return fitted_split(run, "valid")


def text_inputs(run: Run, split: str) -> list[Path]:
    """List the tables that the vectors of a split depend on."""
    return [paths.sessions(run, name) for name in dict.fromkeys([split, learned_from(run)])]


def text_memory(run: Run, split: str, encoder: TextEncoder) -> float:
    """Estimate the bytes of the texts that are read, of the encoder, and of vectors that it keeps.

    A text is a string of Python: its letters and about 60 bytes.
    """
    total = 0.0
    for name in dict.fromkeys([split, learned_from(run)]):
        file = paths.sessions(run, name)
        n, letters = count_rows(file), 0
        if "text" in pl.read_parquet_schema(file):
            found = pl.scan_parquet(file).select(pl.col("text").str.len_bytes().sum()).collect()
            letters = found.item() or 0
        total = max(total, 60.0 * n + 3 * letters + encoder.memory(n, letters))
    return total


def _encode(data: SplitData, encoder: TextEncoder) -> Encode:
    """Return what encodes texts of sessions: fitted, or with the vectors of the split at hand."""
    name = learned_from(data.run)
    of = SplitData(data.run, name) if encoder.learns and name != data.split else data
    known = distinct(of.texts.to_list())
    if encoder.learns and len(known) < 2:
        raise ValueError(f"sessions of {of.split} have {len(known)} different texts to learn from")
    return encoder_of(data.run, encoder, known)
