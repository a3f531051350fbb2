"""Encode texts, each different one once; keep the vectors that depend on their text alone.

Such vectors lie in <output>/texts/<encoder>-<identity>/, in parts of PART texts. A killed run keeps
the parts that were finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
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

    Use that through `encode_distinct`. Of an encoder that does not learn, the vectors of the known
    texts are looked up, or made and kept for later runs.
    """
    if encoder.learns:
        return encoder.fit(distinct(known))
    return KeptVectors(run, encoder, distinct(known))


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


class KeptVectors:
    """Encodes texts: vectors of known ones are at hand, others are encoded anew each time."""

    def __init__(self, run: Run, encoder: TextEncoder, known: Sequence[str]) -> None:
        """Read the vectors of the known texts that earlier runs have encoded; encode the others."""
        self.encoder = encoder
        folder = paths.text_vectors(run, f"{type(encoder).__name__}-{encoder.identity()}")
        found = list[pl.DataFrame]()
        if files := sorted(folder.glob("part-*.parquet")):
            wanted = pl.LazyFrame({"text": list(known)}, schema={"text": pl.String})
            found.append(pl.scan_parquet(files).join(wanted, on="text", how="semi").collect())
        had = {text for part in found for text in part["text"]}
        missing = [text for text in known if text not in had]
        for first in run.progress(range(0, len(missing), PART), "texts", -(-len(missing) // PART)):
            part = missing[first : first + PART]
            found.append(pl.DataFrame({"text": part, "vector": self.encode(part)}))
            _write(folder / f"part-{store.digest(part)}.parquet", found[-1])
        self.row = {t: n for n, t in enumerate(text for part in found for text in part["text"])}
        vectors = [part["vector"].to_numpy() for part in found if part.height]
        self.vectors = np.concatenate(vectors) if vectors else self.encode([])

    @cached_property
    def encode(self) -> Encode:
        """Load the model, once."""
        return self.encoder.fit([])

    def __call__(self, texts: Sequence[str]) -> F32:
        """Return the vectors of texts: float32 (texts, dim)."""
        row = np.array([self.row.get(text, -1) for text in texts], np.int64)
        vectors = np.empty((len(texts), self.vectors.shape[1]), np.float32)
        vectors[row >= 0] = self.vectors[row[row >= 0]]
        if (row < 0).any():
            new = [text for text in texts if text not in self.row]
            vectors[row < 0] = self.encode(new)
        return vectors


def _write(path: Path, part: pl.DataFrame) -> None:
    """Write a part completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    with store.removed_on_error(temporary):
        part.write_parquet(temporary)
        store.replace(temporary, path)
