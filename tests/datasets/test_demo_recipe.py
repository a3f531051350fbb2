"""The demo's recipe is OTTO's, with shorter training.

pytest tests/datasets/test_demo_recipe.py
"""

from __future__ import annotations

import importlib
from dataclasses import replace

import pytest

from src.datasets.demo import recipe as demo
from src.datasets.otto import recipe as otto


def test_every_shorter_row_is_one_of_otto() -> None:
    assert set(demo.SHORTER) <= {row.name for row in otto.RECIPE.embeddings}
    for short, full in zip(demo.RECIPE.embeddings, otto.RECIPE.embeddings, strict=True):
        assert short != full


def test_another_embedding_of_otto_is_one_of_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    more = replace(otto.RECIPE.embeddings[0], name="more")
    longer = replace(otto.RECIPE, embeddings=(*otto.RECIPE.embeddings, more))
    try:
        with monkeypatch.context() as patch:
            patch.setattr(otto, "RECIPE", longer)
            assert importlib.reload(demo).RECIPE.embeddings[-1] == more
    finally:
        importlib.reload(demo)
