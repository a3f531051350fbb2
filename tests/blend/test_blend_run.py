"""Step 7 of the tiny run: cv.json, the line of an experiment, and a key per output.

pytest tests/blend/test_blend_run.py
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import run_in
from tiny import RECIPE, STEPS, run_steps
from worlds import TYPES

from src.blend.comparisons import write_vs_baselines
from src.blend.cv import write_cv
from src.features.table import FeatureTable

pytestmark = pytest.mark.slow


def test_cv_json_has_its_schema_and_beats_the_baselines(first: Path) -> None:
    cv = json.loads((first / "cv.json").read_text())
    assert {"dataset", "metric", "score", "ci95", "objectives"} <= cv.keys()
    assert (cv["dataset"], cv["metric"]) == ("tiny", "recall@20")
    assert tuple(cv["objectives"]) == TYPES
    for of in (cv, *cv["objectives"].values()):
        assert 0 <= of["ci95"][0] <= of["score"] <= of["ci95"][1] <= 1
    for of in cv["objectives"].values():
        assert len(of["folds"]) == 4 and min(of["folds"]) >= 0 and max(of["folds"]) <= 1
        assert of["mean"] == pytest.approx(np.mean(of["folds"])) and 0 < of["std"] < 0.2
        assert of["score"] <= of["oracle_score"] <= 1
    weights = {o.name: o.weight for o in RECIPE.objectives}
    total = sum(w * cv["objectives"][name]["score"] for name, w in weights.items())
    assert cv["score"] == pytest.approx(total)
    table = pl.read_csv(first / "logs" / "pool" / "baselines.csv").select("baseline", "total")
    totals = dict(table.iter_rows())
    assert cv["score"] > totals["own, 3 matrices, popular"]  # .84, .81 when this was written


def test_an_experiment_tells_what_changed(
    source: Path, copy: Path, capsys: pytest.CaptureFixture
) -> None:
    one = pl.read_csv(copy / "experiments.csv")
    assert one.height == 1 and not one["change"][0]
    cv = json.loads((copy / "cv.json").read_text())
    n_features = len(FeatureTable(RECIPE).names)
    assert one["score"][0] == cv["score"] and one["features"][0] == n_features
    assert run_steps(source, copy, STEPS[6:]) == 0
    assert pl.read_csv(copy / "experiments.csv").height == 1, "the same run again: no line"
    rows = (replace(RECIPE.rankers[0], num_boost_round=2), *RECIPE.rankers[1:])
    assert run_steps(source, copy, STEPS[5:], recipe=replace(RECIPE, rankers=rows)) == 0
    assert "\nsince the run before: " in capsys.readouterr().out
    two = pl.read_csv(copy / "experiments.csv")
    assert two.height == 2 and two.head(1).equals(one.head(1).cast(two.schema))
    delta, low, high = two.select("delta", "delta_low", "delta_high").row(1)
    assert delta == pytest.approx(two["score"][1] - two["score"][0]) and delta != 0
    assert low < delta < high and one["delta"][0] is None
    change = two["change"][1]
    changed = r"\+XGBoostRanker logistic \w{4}; -XGBoostRanker logistic \w{4}"
    assert re.fullmatch(changed, change), change


def test_a_baseline_less_searches_no_blend(copy: Path) -> None:
    run = run_in(copy, replace(RECIPE, baselines=RECIPE.baselines[1:]), "7_blend.py")
    assert write_cv(run) == [False, False] and write_vs_baselines(run)
    table = pl.read_csv(copy / "logs" / "vs_baselines.csv")
    names = [baseline.name for baseline in RECIPE.baselines[1:]]
    assert table["baseline"].to_list() == ["this pipeline", *names]
    assert table["delta"].null_count() == 1
