"""Vectors of cold items from their texts, in the space of another embedding.

pytest tests/embeddings/test_fallback.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE, N_ITEMS, planted_events, write_split

from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.seeds import Seeds
from src.core.arrays import F32
from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.data.vectors import item_vectors, source_vectors
from src.embeddings.base import Embedding, unit
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.fallback import FallbackEmbedding
from src.embeddings.nearest_map import NearestMap
from src.embeddings.pretrained import PretrainedEmbedding
from src.embeddings.ridge_map import RidgeMap
from src.embeddings.vector_map import VectorMap

TEXTS, IDS = (PretrainedEmbedding(name, f"{name}.csv", "id") for name in ("texts", "ids"))
ROW = FallbackEmbedding("full", "ids", "texts", RidgeMap(1e-6))
COUNT = np.array([9, 9, 9, 9, 9, 9, 9, 9, 4, 0, 0])  # of 11 items
RNG = np.random.default_rng(1)


def worlds() -> tuple[F32, F32]:
    """Texts, and their turned copies as vectors of ids; item 10 has no text, item 9 no vector."""
    texts = unit(RNG.normal(size=(11, 4)).astype(np.float32))
    turn = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
    ids = unit((texts @ turn).astype(np.float32))
    texts[10], ids[9:] = 0, 0
    return texts, ids


@pytest.mark.parametrize("rule", [RidgeMap(1e-6), NearestMap(1)], ids=lambda r: type(r).__name__)
def test_few_and_cold_items_are_filled_and_no_others(rule: VectorMap) -> None:
    texts, ids = worlds()
    texts[8], ids[8] = texts[2], -ids[2]  # few events, a wrong vector
    texts[9] = texts[3]
    full = replace(ROW, map=rule).filled(texts, ids, COUNT)
    assert np.array_equal(full[:8], ids[:8]) and not full[10].any()
    np.testing.assert_allclose(full[[8, 9]], ids[[2, 3]], atol=0.02)
    trusting = replace(ROW, map=rule, min_events=4).filled(texts, ids, COUNT)
    assert np.array_equal(trusting[8], ids[8]) and trusting[9].any()


def test_the_nearest_map_takes_a_mean() -> None:
    texts, ids = worlds()
    found = NearestMap(3).fit(texts[:8], ids[:8])(texts[9:10])[0]
    nearest = np.argsort(-(texts[:8] @ texts[9]))[:3]
    np.testing.assert_allclose(found, ids[nearest].mean(axis=0), atol=1e-6)
    everything = NearestMap(50).fit(texts[:8], ids[:8])(texts[9:10])[0]
    np.testing.assert_allclose(everything, ids[:8].mean(axis=0), atol=1e-6)


def test_a_strong_ridge_gives_the_mean() -> None:
    texts, ids = worlds()
    found = RidgeMap(1e9).fit(texts[:8], ids[:8])(texts[9:10])[0]
    np.testing.assert_allclose(found, ids[:8].mean(axis=0), atol=1e-6)


def test_nothing_to_learn_from_is_refused() -> None:
    texts, ids = worlds()
    with pytest.raises(ValueError, match="full: no item with 10 events has vectors of texts and"):
        replace(ROW, min_events=10).filled(texts, ids, COUNT)
    for rows in ((ROW, TEXTS, IDS), (TEXTS, ROW), (TEXTS, ROW, IDS)):
        with pytest.raises(ValueError, match=r"embedding full: no embedding \w+ before it"):
            replace(BARE, embeddings=rows)


def run_with(folder: Path, rows: tuple[Embedding, ...]) -> Run:
    """Planted sessions of communities; texts that tell these; the last item has no event."""
    run = write_split(folder, planted_events(), 10, recipe=replace(BARE, embeddings=rows)).run
    texts = [f"{item},{item // 20 % 6 == 0:d},{1 + item // 20 % 6}" for item in range(N_ITEMS)]
    (folder / "texts.csv").write_text("\n".join(["id,e0,e1", *texts]))
    for row in rows:
        row.build(run, "valid")
    return run


def test_a_cold_item_is_retrieved_by_its_text(tmp_path: Path) -> None:
    """Of a directed embedding, source and target vectors are filled."""
    ids = FactorizationEmbedding("ids", dim=8, epochs=3)
    row = replace(ROW, map=NearestMap(5), min_events=1)
    run = run_with(tmp_path, (TEXTS, ids, row))
    data, cold = SplitData(run, "valid"), N_ITEMS - 1
    for load in (item_vectors, source_vectors):
        before, after = load(data, "ids"), load(data, "full")
        assert not before[cold].any() and np.linalg.norm(after[cold]) == pytest.approx(1)
        known = before.any(axis=1)
        assert np.array_equal(after[known], before[known])
    near = pl.read_parquet(paths.neighbours(run, "valid", "full")).filter(item_x=cold)
    assert near.height == 40 and (near["item_y"] // 20 == 0).mean() > 0.4  # as its text says
    listed = ItemToItemRetriever("full", "full", Seeds(), neighbours=40).lists(data, 290, 300)[0]
    assert listed.shape[0] == 10 and (listed >= 0).any()
    assert row.build(run, "valid") == {"built": 0, "cached": 3}
    (tmp_path / "texts.csv").write_text("id,e0,e1\n0,1,1\n1,1,2\n2,5,2\n120,0,1")
    TEXTS.build(run, "valid")
    assert row.build(run, "valid")["built"] == 3
