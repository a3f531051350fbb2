"""Encode the texts of sessions, such as titles of playlists."""

from __future__ import annotations

import numpy as np

from src.core.arrays import F32
from src.data.split_data import SplitData
from src.texts.base import Encode, TextEncoder
from src.texts.vectors import distinct, encode_distinct, encoder_of


def session_vectors(data: SplitData, encoder: TextEncoder, first: int, end: int) -> F32:
    """Make vectors of length 1 of the texts of sessions first : end; 0 for one without a text.

    float32 (sessions, dim). An encoder that learns has learned from the sessions of the fitted
    split; ValueError where they have too few texts.
    """
    encode = data.cached(("texts of sessions", encoder), lambda: _encode(data.fitted, encoder))
    vectors = encode_distinct(encode, data.query_texts(first, end))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), np.float32)


def _encode(data: SplitData, encoder: TextEncoder) -> Encode:
    """Fit an encoder on the texts of all sessions of a split."""
    known = distinct(data.texts.to_list())
    if len(known) < 2:
        raise ValueError(f"sessions of {data.split} have {len(known)} texts; leave `texts` out")
    return encoder_of(data.run, encoder, known)
