"""Feature importance on the page: means over folds, and how many folds agree.

pytest tests/report/test_feature_importance.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from planted import BARE, run_in
from tiny import RECIPE

from src.data import paths
from src.report.contents import TrainedModel
from src.report.training_sections import importance


def test_folds_that_split_by_a_feature_are_counted(tmp_path: Path) -> None:
    run = run_in(tmp_path, replace(BARE, folds=2))
    model = TrainedModel(RECIPE.rankers[0], "clicks")
    gains = {0: {"rank": 6, "price": 2}, 1: {"rank": 5, "age": 0}}
    for fold, by_feature in gains.items():
        logs = paths.model_logs(run, model.ranker.name, "clicks", fold)
        logs.mkdir(parents=True)
        lines = [f"{feature},{gain},1,2" for feature, gain in by_feature.items()]
        (logs / "importance.csv").write_text("\n".join(["feature,gain,cover,splits", *lines]))
    table = importance(run, model, range(2))
    assert table["feature"].to_list() == ["rank", "price", "age"]
    assert table["gain_share"].to_list() == pytest.approx([(0.75 + 1) / 2, 0.125, 0])
    assert table["folds"].to_list() == [2, 1, 1]
    assert importance(run, model, [0])["folds"].to_list() == [1, 1]
