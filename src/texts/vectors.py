"""Encode texts, each different one once; keep the vectors that depend on their text alone.

Such vectors lie in <output>/texts/<encoder>-<identity>/, in parts of PART texts. A killed run keeps
the parts that were finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from src.core import store
from src.core.arrays import F32
from src.core.run import Run
from src.data import paths
from src.texts.base import Encode, TextEncoder

PART = 2048


def encoder_of(run: Run, encoder: TextEncoder, known: Sequence[str]) -> Encode:
    """Fit an encoder on the texts of training; return what encodes texts that are not blank.

    Use that through `encode_distinct`. It looks up what earlier runs have encoded.
    """
    if encoder.learns:
        return encoder.fit(distinct(known))
    return lambda texts: _looked_up(run, encoder, texts)


def distinct(texts: Sequence[str]) -> list[str]:
    """List the different texts in order, without outer blanks; no blank one."""
    return sorted({text.strip() for text in texts} - {""})


def encode_distinct(encode: Encode, texts: Sequence[str]) -> F32:
    """Encode each different text once; give 0 to those of blanks alone, whatever they encode to."""
    different = distinct(texts)
    number = {text: n for n, text in enumerate(different, 1)} | {"": 0}
    row = np.array([number[text.strip()] for text in texts], np.int64)
    vectors = encode(different)
    return np.concatenate([np.zeros_like(vectors, shape=(1, vectors.shape[1])), vectors])[row]


def _looked_up(run: Run, encoder: TextEncoder, texts: Sequence[str]) -> F32:
    """Read the vectors of texts that were encoded before; encode and keep the others."""
    folder = paths.text_vectors(run, f"{type(encoder).__name__}-{encoder.identity()}")
    parts = [pl.read_parquet(part) for part in sorted(folder.glob("part-*.parquet"))]
    had = {text for part in parts for text in part["text"]}
    missing = [text for text in texts if text not in had]
    if missing or not parts:
        encode = encoder.fit([])
        firsts = range(0, len(missing), PART)
        for first in run.progress(firsts, "texts", len(firsts)):
            part = missing[first : first + PART]
            parts.append(pl.DataFrame({"text": part, "vector": encode(part)}))
            _write(folder / f"part-{store.digest(part)}.parquet", parts[-1])
        if not parts:
            return encode([])  # of no text: it has the right number of columns
    row = {text: n for n, text in enumerate(text for part in parts for text in part["text"])}
    vectors = np.concatenate([part["vector"].to_numpy() for part in parts])
    return np.asarray(vectors[np.array([row[text] for text in texts], np.int64)], np.float32)


def _write(path: Path, part: pl.DataFrame) -> None:
    """Write a part completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    with store.removed_on_error(temporary):
        part.write_parquet(temporary)
        store.replace(temporary, path)
