"""experiments.csv: every row of every recipe is named; a line per new result.

pytest tests/blend/test_experiments.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE, run_in

from src.blend.cv import query_table
from src.blend.experiments import add_experiment, changed, read_experiments, rows_of
from src.core.run import Run
from src.datasets import DATASETS
from src.metrics.query_scores import QueryScores


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_row_is_named(name: str) -> None:
    recipe = DATASETS[name].recipe
    rows = rows_of(recipe)
    tables = (recipe.objectives, *recipe.tables().values())
    assert len(rows) > sum(map(len, tables))
    assert changed(rows, rows) == ""


def test_changes_are_told() -> None:
    recipe = DATASETS["otto"].recipe
    fewer = replace(recipe, retrievers=recipe.retrievers[1:], baselines=(), pool_size=99)
    change = changed(rows_of(recipe), rows_of(fewer))
    assert change.startswith("+pool_size=99; -HistoryRetriever own ")
    assert "-pool_size=150" in change
    assert change.count("-Baseline") == len(recipe.baselines)
    many = changed(rows_of(recipe), rows_of(DATASETS["tianchi"].recipe))
    assert many.endswith("more")


def finish(run: Run, values: list[float], metric: str = "recall@20") -> None:
    """Write what step 7 writes before the line: one objective's queries have these values."""
    n, none = len(values), QueryScores(np.empty(0, np.int64), np.empty(0), np.empty(0))
    scores = [QueryScores(np.arange(n), np.array(values), np.ones(n)), none, none]
    (run.output / "logs").mkdir(exist_ok=True)
    query_table(scores).write_parquet(run.output / "logs" / "query_scores.parquet")
    objectives = {
        o.name: {"score": s.score()} for o, s in zip(BARE.objectives, scores, strict=True)
    }
    cv = {"metric": metric, "score": 0.1 * float(np.mean(values)), "ci95": [0.0, 1.0]}
    (run.output / "cv.json").write_text(json.dumps({**cv, "objectives": objectives}))


def lines(run: Run) -> pl.DataFrame:
    return pl.read_csv(run.output / "experiments.csv", infer_schema_length=None)


def test_a_line_per_new_result(tmp_path: Path) -> None:
    run = run_in(tmp_path, script="7_blend.py")
    finish(run, [0.0, 1.0, 1.0, 0.0])
    assert add_experiment(run, n_features=7)
    assert not add_experiment(run, n_features=7), "the same recipe, code and score"
    one = lines(run)
    assert one.height == 1 and one["features"][0] == 7 and not one["change"][0]
    assert one.select("delta", "delta_low", "delta_high").row(0) == (None, None, None)
    finish(run, [1.0, 1.0, 1.0, 0.0])
    smaller = replace(run, recipe=replace(BARE, pool_size=99))
    assert add_experiment(smaller, n_features=7) and not add_experiment(smaller, n_features=7)
    two = lines(run)
    assert two.height == 2 and two["change"][1] == "+pool_size=99; -pool_size=150"
    assert two["delta"][1] == pytest.approx(0.1 / 4)
    assert two["delta_low"][1] <= two["delta"][1] <= two["delta_high"][1]


def test_other_queries_have_no_delta(tmp_path: Path) -> None:
    run = run_in(tmp_path, script="7_blend.py")
    for values in ([0.0, 1.0], [0.0, 1.0, 1.0]):
        finish(run, values)
        assert add_experiment(run, n_features=1)
    assert lines(run)["delta"].null_count() == 2


def test_other_metrics_have_no_delta(tmp_path: Path) -> None:
    run = run_in(tmp_path, script="7_blend.py")
    for values, metric in (([0.5, 1.0], "ndcg@10"), ([0.4, 1.0], "mrr@10"), ([0.6, 1.0], "mrr@10")):
        finish(run, values, metric)
        assert add_experiment(run, n_features=7)
    assert [delta is None for delta in lines(run)["delta"]] == [True, True, False]


def test_digests_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "experiments.csv"
    row = {"recipe": "3e456789", "code": "12345678", "change": "", "delta": None, "delta_low": None,
           "delta_high": None}  # fmt: skip
    rows = [row] * 150 + [row | {"delta": 0.5, "recipe": "ab"}]
    pl.DataFrame(rows, infer_schema_length=None).write_csv(path)
    table = read_experiments(path)
    assert table["recipe"][0] == "3e456789" and table["code"][0] == "12345678"
    assert table["delta"][-1] == 0.5 and table.schema["delta"] == pl.Float64
