"""Tables of probabilities: cells are cuts of the whole, small ones have counts only, no own label.

pytest tests/evaluation/test_tables.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from given import GIVEN_RECIPE
from planted import run_in

from src.calibrators.platt import PlattCalibrator
from src.core.run import Run
from src.data.coldness import LEVELS
from src.datasets import DATASETS
from src.evaluation.judged import BLEND, SCENE_RATE, JudgedTable, scene_rates
from src.evaluation.slices import Slices, level
from src.evaluation.tables import ALL, LEAST, by_coldness, by_predictor, by_scene
from src.features.given import GivenFeature
from src.metrics.auc import AUC
from src.metrics.pooled import PooledAUC

SLICES = Slices(
    ("scene",), (GivenFeature(),), user_count="a", item_count="b", rates=(("relevance", "b"),)
)
RECIPE = replace(GIVEN_RECIPE, calibrator=PlattCalibrator(), slices=SLICES, metric=AUC())
N = 4000


def drawn() -> JudgedTable:
    """Lists of 8 rows of 50 users; scene 3 has three lists; half of the items are new."""
    rng = np.random.default_rng(3)
    session, p = np.arange(N) // 8, rng.random(N)
    scene = np.where(session < 3, 3, session % 3)
    rows = pl.DataFrame({
        "session": session, "item": np.arange(N) % 8, "scene": scene,
        "grade": (rng.random(N) < p * 0.4).astype(np.float32),
        "a": (session % 9).astype(np.float32), "b": rng.integers(0, 2, N) * 5.0,
    })  # fmt: skip
    probability = {BLEND: 0.4 * p, SCENE_RATE: scene_rates(SLICES, rows, session % 4)}
    return JudgedTable("relevance", rows, probability, session % 50)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_in(tmp_path, RECIPE, "7_blend.py")


def test_cells_of_coldness_are_cuts_of_the_whole(run: Run) -> None:
    of = drawn()
    table = pl.DataFrame(list(by_coldness(run, SLICES, of)), infer_schema_length=None)
    assert table.height == 5 * 4 * 4
    whole = table.filter(scene=ALL)
    for column in ("rows", "positives"):
        cells = whole.filter(pl.col("user") != ALL, pl.col("item") != ALL)[column].sum()
        assert cells == whole.filter(user=ALL, item=ALL)[column][0]
        assert cells == table.filter(pl.col("scene") != ALL, user=ALL, item=ALL)[column].sum()
    cell = whole.filter(user="1-4", item="5+").row(0, named=True)
    rows = of.rows.with_columns(p=of.probability[BLEND])
    rows = rows.filter(pl.col("a").is_between(1, 4), pl.col("b") == 5)
    assert (cell["rows"], cell["positives"]) == (rows.height, (rows["grade"] > 0).sum())
    loss = np.where(rows["grade"] > 0, -np.log(rows["p"]), -np.log(1 - rows["p"])).mean()
    assert cell["log_loss"] == pytest.approx(loss) and cell["low"] < cell["auc"] < cell["high"]
    assert cell["log_loss_scene_rate"] > cell["log_loss"]
    assert whole.filter(item="1-4")["rows"].sum() == 0


def test_a_small_cell_has_counts_only(run: Run) -> None:
    of = drawn()
    for table in (by_scene(run, SLICES, of), by_coldness(run, SLICES, of)):
        for cell in table:
            small = min(cell["positives"], cell["rows"] - cell["positives"]) < LEAST  # type: ignore[operator]
            assert (cell["auc"] is None) == (cell["log_loss"] is None) == small
    scenes = [cell for cell in by_scene(run, SLICES, of) if cell["predictor"] == BLEND]
    assert [cell["scene"] for cell in scenes] == [0, 1, 2, 3]
    assert scenes[3]["rows"] == 24 and scenes[3]["auc"] is None


def test_predictors_of_lists_and_of_rows(run: Run) -> None:
    of = drawn()
    blend, rate = by_predictor(run, SLICES, of)
    assert blend["predictor"] == BLEND and blend["ratio"] == pytest.approx(1, abs=0.1)
    assert rate["auc_lists"] == 0.5
    assert 0.45 < float(rate["auc_scenes"]) < 0.51, "the small scene is left out"  # type: ignore[arg-type]
    assert float(blend["entropy"]) < 0.99 < float(rate["entropy"]) < 1.01  # type: ignore[arg-type]
    assert 0.5 < float(blend["auc_lists"]) < 1 and blend["mrr"] > rate["mrr"]  # type: ignore[arg-type, operator]
    pooled = replace(RECIPE, metric=PooledAUC())
    of_rows = list(by_predictor(run_in(run.output, pooled, "7_blend.py"), SLICES, of))
    assert "mrr" not in of_rows[0] and of_rows[0]["auc"] == blend["auc"]


def test_a_scene_rate_never_sees_its_own_fold() -> None:
    of, fold = drawn(), drawn().rows["session"].to_numpy() % 4
    turned = of.rows.with_columns(
        grade=pl.when(pl.Series(fold == 1)).then(1 - pl.col("grade")).otherwise("grade")
    )
    moved = scene_rates(SLICES, turned, fold) != scene_rates(SLICES, of.rows, fold)
    assert not moved[fold == 1].any() and moved[fold != 1].mean() > 0.9
    alone = scene_rates(SLICES, of.rows.with_columns(scene=pl.int_range(N)), fold)
    assert np.unique(alone).size == 4, "a scene of one row has the rate of all"
    assert scene_rates(SLICES, of.rows.clear(), np.empty(0, np.int64)).size == 0


def test_levels() -> None:
    counts = pl.DataFrame({"n": [0.0, 1.0, 4.0, 5.0, 900.0]})
    zero, few, warm = LEVELS
    assert counts.select(level(pl.col("n"))).to_series().to_list() == [zero, few, few, warm, warm]


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (replace(SLICES, user_count="c"), r"slices: \['c'\] are no columns of their features"),
        (replace(SLICES, item_count=""), "give user_count and item_count, or neither"),
        (replace(SLICES, rates=(("buys", "a"),)), r"slices: \['buys'\] are no objectives"),
    ],
)
def test_slices_that_do_not_fit_are_refused(slices: Slices, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(RECIPE, slices=slices)
    with pytest.raises(ValueError, match="slices need probabilities; give the recipe a calibrator"):
        replace(RECIPE, calibrator=None)
    with pytest.raises(ValueError, match="a calibrator needs given candidates"):
        replace(DATASETS["otto"].recipe, calibrator=PlattCalibrator())
