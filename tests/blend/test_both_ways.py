"""The scores of a run with --causal and without, side by side.

pytest tests/blend/test_both_ways.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from planted import BARE, run_in

from src.blend.both_ways import both_scores
from src.core.run import Run


def run_with(folder: Path, score: float, as_deployed: bool, **other: object) -> Run:
    """A run whose cv.json has a score."""
    recipe = replace(BARE, as_deployed=as_deployed)
    cv = {"dataset": recipe.name, "metric": str(recipe.metric), "score": score,
          "sessions": 7, "as_deployed": as_deployed,
          "ci95": [score - 0.05, score + 0.05]}  # fmt: skip
    folder.mkdir()
    (folder / "cv.json").write_text(json.dumps(cv | other))
    return run_in(folder, recipe)


def test_a_run_names_its_score_and_that_of_the_folder_beside(tmp_path: Path) -> None:
    allowed = "as the competition allows 0.3000 [0.2500, 0.3500]"
    deployed = "as deployed 0.2000 [0.1500, 0.2500]"
    one = run_with(tmp_path / "shop", 0.3, False)
    assert both_scores(one) == [allowed]
    two = run_with(tmp_path / "shop-causal", 0.2, True)
    assert both_scores(one) == [allowed, deployed]
    assert both_scores(two) == [deployed, allowed]


def test_the_output_may_be_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = run_with(tmp_path / "shop", 0.3, False)
    run_with(tmp_path / "shop-causal", 0.2, True)
    monkeypatch.chdir(one.output)
    assert len(both_scores(replace(one, output=Path(".")))) == 2


def test_the_folder_beside_may_hold_other_sessions(tmp_path: Path) -> None:
    one = run_with(tmp_path / "shop", 0.3, False)
    run_with(tmp_path / "shop-causal", 0.2, True, sessions=8)
    assert len(both_scores(one)) == 1
    two = run_with(tmp_path / "news", 0.2, True)
    assert len(both_scores(two)) == 1, "its own folder is not the one beside"
