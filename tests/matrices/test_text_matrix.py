"""Neighbours by text, against a dense product.

pytest tests/matrices/test_text_matrix.py
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from src.matrices import text
from src.matrices.neighbours import NEIGHBOURS
from src.matrices.text import TextMatrix

TEXTS = ["red hat", "red hat", "Red shoe 5", "blue shoe 5", None, "", "é 😀", "é", "hat hat red"]


def computed(texts: list[str | None], top: int) -> pl.DataFrame:
    row = TextMatrix("text", top_n=top)
    series = pl.Series(texts, dtype=pl.String)
    tables = [near.to_frame(first) for first, near in row.neighbours(series)]
    return pl.concat([pl.DataFrame(schema=NEIGHBOURS), *tables])


@pytest.mark.parametrize("top", [1, 2, 50])
def test_neighbours_are_the_heaviest_cosines(monkeypatch: pytest.MonkeyPatch, top: int) -> None:
    monkeypatch.setattr(text, "RANGE", 4)
    vectors = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    X = vectors.fit_transform([t or "" for t in TEXTS]).toarray()
    cosine = X @ X.T
    np.fill_diagonal(cosine, 0)
    wanted = [
        (x, y)
        for x in range(len(TEXTS))
        for y in sorted(range(len(TEXTS)), key=lambda y: (-np.float32(cosine[x, y]), y))[:top]
        if cosine[x, y] > 0
    ]
    found = computed(TEXTS, top)
    assert found.select("item_x", "item_y").rows() == wanted
    np.testing.assert_allclose(found["weight"], [cosine[pair] for pair in wanted], rtol=1e-6)


def test_items_without_words_have_no_neighbours() -> None:
    assert computed([None, "", "?!"], 5).is_empty()
