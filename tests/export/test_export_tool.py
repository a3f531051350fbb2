"""make export of a whole run: all scripts, then the tool.

pytest tests/export/test_export_tool.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import worlds
from exported import blended, of_run, scored_elsewhere, write_raw
from planted import run_in
from tiny import RECIPE

from src import cli
from src.data.recipe import Recipe
from src.export.bundle import Bundle
from src.tools import export

pytestmark = pytest.mark.slow


def exported(out: Path, recipe: Recipe = RECIPE) -> int:
    """Run the tool as the shell would; its exit code."""
    argv = ["--dataset", RECIPE.name, "--output", str(out), "--engine", "cpu"]
    with pytest.MonkeyPatch.context() as patch:
        worlds.register(patch, recipe)
        return cli.main(export.__doc__, export.__file__, export.body, argv)


def test_the_tool_exports_what_scores_the_queries_of_test(copy: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert exported(copy) == 0
    run = run_in(copy, RECIPE)
    write_raw(run, "test", tmp_path / "raw")
    found, wanted = scored_elsewhere(run, tmp_path / "raw"), of_run(run, "test")
    for name in wanted.columns[2:]:
        assert found[name].to_list() == wanted[name].to_list()
    for name, score in blended(run, "test").items():
        assert found[name].to_list() == score.tolist()
    bundle = Bundle.load(copy / "export")
    raw = pl.read_parquet(tmp_path / "raw" / "rows.parquet")["item"]
    dense = bundle.ids.dense(raw)
    assert bundle.ids.raw[dense].to_list() == raw.to_list()
    assert (bundle.ids.dense(pl.Series([-5, None])) == -1).all()


def test_without_a_whole_run_the_tool_names_the_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(tmp_path / "empty") == 2
    assert "cv.json is missing; run the steps before" in capsys.readouterr().err


def test_a_stale_run_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another weight of an objective changes the score that the manifest would tell."""
    objectives = tuple(replace(o, weight=o.weight / 2) for o in RECIPE.objectives)
    assert exported(copy, replace(RECIPE, objectives=objectives)) == 2
    assert "is stale or missing (changed: recipe row); run" in capsys.readouterr().err
