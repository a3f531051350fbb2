"""The demo of single impressions: a synthetic log in AntM2C's form, made on the spot."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from src.core.console import show
from src.core.run import Run
from src.data.recipe import Recipe
from src.datasets.antm2c.dataset import Antm2c
from src.datasets.antm2c.recipe import RECIPE
from src.datasets.antm2c.world import Config
from src.datasets.base import Source

DEMO = replace(RECIPE, name="antm2c-demo")


@dataclass(frozen=True)
class Antm2cDemo(Antm2c):
    """AntM2C's form; a log is simulated where there is none yet. It proves no quality."""

    simulates: ClassVar[bool] = True

    recipe: Recipe = DEMO
    source: Source | None = None
    config: Config = field(default_factory=lambda: Config(60_000))

    def prepare(self, run: Run) -> None:
        """Simulate missing raw files, then prepare them as AntM2C's."""
        # imported here: `python -m src.datasets.antm2c.simulate` would import itself twice
        from src.datasets.antm2c import simulate

        found = {file.name for file in run.input.glob("*.csv")}
        if not run.dry and found < set(simulate.FILES):  # none, or a killed run's
            with run.step(f"simulate {self.config.rows:,} rows (synthetic)"):
                truth = simulate.write(self.config, run.input)
            show(truth)
        super().prepare(run)
