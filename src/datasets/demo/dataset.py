"""The demo: a simulated shop in OTTO's raw format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from src.core.run import Run
from src.data.recipe import Recipe
from src.datasets.base import Source
from src.datasets.demo.recipe import RECIPE
from src.datasets.demo.shop import ShopConfig
from src.datasets.otto.dataset import Otto
from src.datasets.otto.jsonl import find


@dataclass(frozen=True)
class Demo(Otto):
    """OTTO's formats; raw files are simulated where there are none yet."""

    simulates: ClassVar[bool] = True

    recipe: Recipe = RECIPE
    source: Source | None = None
    shop: ShopConfig = field(default_factory=lambda: ShopConfig.like_otto(50_000, seed=1))

    def prepare(self, run: Run) -> None:
        """Simulate missing raw files, then prepare them as OTTO's."""
        raw_file = find(run.input, "train") or find(run.input, "test")
        if raw_file is None and run.dry:
            raise FileNotFoundError(f"raw files; 1_preparation.py simulates them in {run.input}")
        if raw_file is None:
            # imported here: `python -m src.datasets.demo.simulate` would import itself twice
            from src.datasets.demo import simulate

            with run.step(f"simulate {self.shop.sessions:,} sessions"):
                simulate.write(self.shop, run.input)
        super().prepare(run)
