"""The demo: OTTO's recipe on a simulated shop, written on the spot when it is not there yet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from src import simulate
from src.datasets import otto
from src.jsonl import find
from src.split import prepare_otto

if TYPE_CHECKING:
    from src.run import Run

WORLD = simulate.World.like_otto(50_000, seed=1)


def prepare(run: Run) -> None:
    """Simulate the raw files, then go on as with the real ones."""
    if find(run.input, "train") is None and find(run.input, "test") is None:
        with run.step(f"simulate {WORLD.sessions:,} sessions"):
            simulate.write(WORLD, run.input)
    prepare_otto(run)


RECIPE = replace(otto.RECIPE, name="demo", prepare=prepare, train_queries=10_000, negatives=8.0)
