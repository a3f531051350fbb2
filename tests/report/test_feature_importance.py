"""Feature importance on the page: means over folds, and how many folds agree.

pytest tests/report/test_feature_importance.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from planted import BARE, run_in
from tiny import RECIPE

from src.data import paths
from src.rankers.base import FitTask
from src.rankers.trees_training import write_importance
from src.report.contents import TrainedModel
from src.report.training_sections import importance


def test_folds_that_split_by_a_feature_are_counted(tmp_path: Path) -> None:
    run = run_in(tmp_path, replace(BARE, folds=2))
    model = TrainedModel(RECIPE.rankers[0], "clicks")
    gains = {0: {"rank": 6, "price": 2, "age": 0}, 1: {"rank": 5, "price": 0, "age": 0}}
    for fold, by_feature in gains.items():
        logs = paths.model_logs(run, model.ranker.name, "clicks", fold)
        logs.mkdir(parents=True)
        scores = {"gain": list(by_feature.values()), "cover": [1, 1, 1]}
        scores["splits"] = [2 * (gain > 0) for gain in scores["gain"]]
        task = SimpleNamespace(logs=logs)
        write_importance(cast(FitTask, task), list(by_feature), scores)
    table = importance(run, model, range(2))
    assert table["feature"].to_list() == ["rank", "price", "age"]
    assert table["gain_share"].to_list() == pytest.approx([(0.75 + 1) / 2, 0.125, 0])
    assert table["folds"].to_list() == [2, 1, 0]
    assert importance(run, model, [0])["folds"].to_list() == [1, 1, 0]
