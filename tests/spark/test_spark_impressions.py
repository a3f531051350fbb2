"""Impressions on Spark: the files of steps 1 to 5 are those of the CPU, as-of columns included.

pytest tests/spark/test_spark_impressions.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import antm2c
import ebnerd
import polars as pl
import pytest
from antm2c import ANTM2C, small_blocks
from ebnerd import EBNERD
from polars.testing import assert_frame_equal
from tiny import STEPS, run_steps

from src.core.engines import SparkEngine
from src.data.recipe import Recipe
from src.data.units import DAY
from src.datasets.antm2c import simulate
from src.datasets.antm2c.world import Config
from src.datasets.base import Dataset
from src.features.as_of import AsOfFeature
from src.features.impression import ImpressionFeature

pytestmark = pytest.mark.slow
SHOWN = AsOfFeature("shown", ("scene", "item"), ("count", "decayed", "last"), (DAY,), (DAY,))
CLICKS = AsOfFeature("shown", ("item",), ("clicks", "rate"), (None,), (), DAY)


def compare(folder: Path, dataset: Dataset, recipe: Recipe, rows: int) -> list[Path]:
    """Run steps 1 to 5 on both engines; compare all results, and return their paths.

    rows: of all training tables. Decayed counts may differ by a relative 1e-6.
    """
    for engine in ("cpu", "spark"):
        out = folder / engine
        assert run_steps(folder / "in", out, STEPS[:5], recipe, dataset, engine) == 0
    files = [path for path in (folder / "cpu").rglob("*") if path.suffix in (".parquet", ".csv")]
    for path in files:
        own = folder / "spark" / path.relative_to(folder / "cpu")
        if path.parent.name != "train":
            assert own.read_bytes() == path.read_bytes(), path
            continue
        wanted, found = pl.read_parquet(path), pl.read_parquet(own)
        decayed = [name for name in wanted.columns if "decayed" in name]
        assert decayed and found.drop(decayed).equals(wanted.drop(decayed)), path
        assert_frame_equal(found, wanted, rel_tol=1e-6, abs_tol=0)
        rows -= wanted.height
    assert not rows and len(list((folder / "spark").rglob("as_of/*.parquet"))) > 3
    return files


@pytest.mark.usefixtures("spark")
def test_single_impressions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch, 100_000)
    simulate.write(Config(1500, seed=3), tmp_path / "in")
    recipe = replace(antm2c.RECIPE, features=(SHOWN, CLICKS, ImpressionFeature(("scene",))))
    files = compare(tmp_path, ANTM2C, recipe, rows=1240)
    assert len([path for path in files if path.name.startswith("rows-")]) > 3
    assert pl.read_csv(tmp_path / "cpu" / "quarantine.csv").height == 3


def test_lists_shown(tmp_path: Path, spark: SparkEngine) -> None:
    """EB-NeRD's parquet files are read by the same code: Spark has no form of its own for them."""
    assert spark.twin("src.datasets.ebnerd.split") is None
    planted = {"train": ebnerd.planted(150, 1), "test": ebnerd.planted(30, 2, 1, hidden=True)}
    ebnerd.write(tmp_path / "in", **planted)
    features = (SHOWN, *EBNERD.recipe.features[-1:])
    compare(tmp_path, EBNERD, replace(ebnerd.RECIPE, features=features), rows=814)
