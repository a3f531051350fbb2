"""Objectives that nothing can be learned of, lists without a click, scenes only in test: served.

pytest tests/pipeline/test_odd_objectives.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from ebnerd import EBNERD, RECIPE, planted, row, write
from planted import run_in
from test_ebnerd_pipeline import RANKER, RATE, TINY
from tiny import STEPS, run_steps

from src.blend.calibration import scenes
from src.blend.final_blend import final_blends
from src.core.run import Run
from src.data.shards import shard_files

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """No page is read for 30 s, and how far readers scroll is in no file; test has a new device."""
    folder = tmp_path_factory.mktemp("odd")
    lists = [r | {"next_read_time": 3.0} for r in planted(200, 1)]
    without = [row(6 * 86_400 + n, [9_000_000, 9_000_001 + n], []) for n in range(9)]
    train = pl.DataFrame([*lists, *without], infer_schema_length=None)
    test = pl.DataFrame([r | {"device_type": 7} for r in planted(20, 2, week=1, hidden=True)])
    write(folder / "in", train=train.drop("next_scroll_percentage"), test=test)
    assert run_steps(folder / "in", folder / "out", recipe=TINY, dataset=EBNERD) == 0
    return run_in(folder / "out", TINY, "7_blend.py")


def test_objectives_without_a_positive_or_a_label_have_a_smoothed_rate(run: Run) -> None:
    cv = json.loads((run.output / "cv.json").read_text())["objectives"]
    assert cv["click"]["score"] > 0.8
    assert cv["read"]["score"] is None and cv["scroll"]["score"] is None
    labels = pl.read_parquet(run.output / "valid" / "labels.parquet")
    known = labels.filter(objective=1).height
    assert known > 20 and labels.filter(objective=2).is_empty()
    rates = {name: final.calibration for name, final in final_blends(run).items()}
    assert rates["read"] and rates["read"].rate == 0.5 / (known + 1)
    assert rates["scroll"] and rates["scroll"].rate == 0.5
    table = pl.read_csv(run.output / "logs" / "probabilities_predictors.csv")
    assert table["objective"].unique().sort().to_list() == ["click", "read", "scroll"]
    assert table.filter(objective="read")["auc"].null_count() > 0
    assert 'id="probabilities"' in (run.output / "report.html").read_text()


def test_lists_without_a_click_are_rows_of_the_click_and_of_no_other(run: Run) -> None:
    table = pl.read_parquet(run.output / "valid" / "train" / "part-0000.parquet")
    of_list = pl.col("label:click").max().over("session") == 0
    without = table.filter(of_list)
    assert without["session"].n_unique() == 9 and without["label:read"].null_count() == 18
    opened = table.filter(pl.col("label:read").is_not_null())
    assert opened["label:click"].to_list() == [1.0] * opened.height


def test_a_scene_only_in_test_is_scored(run: Run) -> None:
    assert set(scenes(run, "test", "scene")) == {14, 15}
    assert not {14, 15} & set(scenes(run, "valid", "scene"))
    assert len((run.output / "predictions.txt").read_text().splitlines()) == 20
    assert all(file.exists() for file in shard_files(run, "test", "scores"))


def test_a_fold_of_one_class_is_left_to_the_order_of_the_pool(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_steps(Path("in"), run.output, STEPS[5:6], recipe=TINY, dataset=EBNERD) == 0
    out = capsys.readouterr().out
    assert "read: too few labels to train on, its lists keep the order of the pool" in out


def test_rankers_of_unknown_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ranker rate: the recipe has no objectives \['buy'\]"):
        replace(RECIPE, rankers=(RANKER, replace(RATE, objectives=("buy",))))
