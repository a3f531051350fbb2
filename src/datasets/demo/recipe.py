"""The demo: OTTO's recipe on a simulated shop, written on the spot when it is not there yet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from src.datasets.demo import simulate
from src.datasets.otto import recipe as otto
from src.datasets.otto.jsonl import find
from src.datasets.otto.split import prepare_otto
from src.embeddings.rows import (
    Embedding,
    FactorizationEmbedding,
    TwoTowerEmbedding,
    Word2VecEmbedding,
)

if TYPE_CHECKING:
    from src.core.run import Run


WORLD = simulate.World.like_otto(50_000, seed=1)


def prepare(run: Run) -> None:
    """Simulate the raw files, then go on as with the real ones."""
    there = find(run.input, "train") or find(run.input, "test")
    if not there and not run.dry:
        with run.step(f"simulate {WORLD.sessions:,} sessions"):
            simulate.write(WORLD, run.input)
    prepare_otto(run)


def short(row: Embedding) -> Embedding:
    """The row, learned in seconds where it takes minutes: a demo."""
    match row:
        case Word2VecEmbedding():
            return replace(row, epochs=3)
        case FactorizationEmbedding():
            return replace(row, epochs=3, pairs=1_000_000)
        case TwoTowerEmbedding():
            return replace(row, epochs=3, positions=100_000)
    return row


RECIPE = replace(
    otto.RECIPE,
    name="demo",
    prepare=prepare,
    source=None,
    train_queries=5_000,  # valid has more: no earlier window is learned from
    negatives=8.0,
    embeddings=tuple(map(short, otto.EMBEDDINGS)),
)
