"""XGBoost on queries with grades: which labels each loss learns, and which it refuses.

pytest tests/rankers/test_xgb.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE, run_in
from planted_rows import graded_rows, ndcg, trained, write_rows
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from src.core.engines import resolve
from src.rankers.base import FitTask
from src.rankers.lgbm import LightGBMRanker
from src.rankers.train_set import TrainSet
from src.rankers.xgb import SOFTMAX, XGBoostRanker
from src.rankers.xgb_trainer import FoldMatrices

PARAMS = (("max_depth", 3), ("learning_rate", 0.2))


def of_loss(
    loss: str, *more: tuple[str, float | int | str], metric: str = "ndcg@5"
) -> XGBoostRanker:
    params = (("objective", loss), *PARAMS, *more)
    return XGBoostRanker(loss.replace(":", "_"), params, 20, 5, metric)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> TrainSet:
    return graded_rows(tmp_path_factory.mktemp("rows"))


def held_out(rows: TrainSet, fold: int = 1) -> tuple[np.ndarray, np.ndarray]:
    mask = rows.fold == fold
    return rows.load(mask, rows.names), rows.label[mask]


@pytest.mark.parametrize(
    "loss",
    ["rank:ndcg", "rank:pairwise", "rank:map", "binary:logistic", "reg:squarederror", SOFTMAX],
)
def test_every_loss_learns_the_planted_order(loss: str, rows: TrainSet, tmp_path: Path) -> None:
    ranker = of_loss(loss)
    path, (X, grades) = trained(ranker, rows, tmp_path), held_out(rows)
    score = ranker.load(path, run_in(tmp_path)).margins(X, rows.names)
    label = (grades > 0) * 1.0 if ranker.is_binary else grades
    assert ndcg(label, score, 12) > ndcg(label, X[:, 1], 12) - 0.05 > 0.85
    log = json.loads((tmp_path / ranker.name / "fold.json").read_text())
    assert log["valid_ndcg_5"] == pytest.approx(ndcg(label, score, 12), abs=1e-6)
    assert 0.7 < log["valid_auc"] < 1  # pairs of equal grades count as half


def test_a_loss_of_two_classes_reads_grades_above_0_as_1(rows: TrainSet, tmp_path: Path) -> None:
    two = replace(rows, label=(rows.label > 0).astype(np.float32))
    halves = replace(rows, label=rows.label / 2)
    for ranker in (
        of_loss("binary:logistic"),
        of_loss("rank:map"),
        of_loss("rank:map", metric="map@5"),
    ):
        models = [trained(ranker, some, tmp_path).read_bytes() for some in (rows, two, halves)]
        assert models[0] == models[1] == models[2]


def test_auc_is_over_all_rows_without_queries_and_over_queries_with(
    rows: TrainSet, tmp_path: Path
) -> None:
    """Of a metric of queries too: without queries XGBoost would take all rows for one."""
    alone, by_query = (of_loss("binary:logistic", metric=m) for m in ("auc", "ndcg@5"))
    assert [r.fit_order for r in (alone, by_query, of_loss("reg:squarederror"))] == [0, 1, 1]
    X, grades = held_out(rows)
    score = alone.load(trained(alone, rows, tmp_path), run_in(tmp_path)).margins(X, rows.names)
    log = json.loads((tmp_path / alone.name / "fold.json").read_text())
    assert log["valid_auc"] == pytest.approx(roc_auc_score(grades > 0, score), abs=1e-6)


@pytest.mark.parametrize("metric", ["auc", "ndcg@5", "logloss"])
def test_log_loss_is_in_the_curve_where_scores_are_probabilities(
    rows: TrainSet, tmp_path: Path, metric: str
) -> None:
    ranker = of_loss("binary:logistic", metric=metric)
    path, (X, grades) = trained(ranker, rows, tmp_path), held_out(rows)
    probability = expit(ranker.load(path, run_in(tmp_path)).margins(X, rows.names))
    log = json.loads((tmp_path / ranker.name / "fold.json").read_text())
    assert log["valid_logloss"] == pytest.approx(log_loss(grades > 0, probability), abs=1e-5)
    curve = pl.read_csv(tmp_path / ranker.name / "curve.csv")
    assert curve.columns[-1] == "valid_" + metric.replace("@", "_"), "it stops the training"
    trained(of_loss("rank:ndcg"), rows, tmp_path)
    assert "logloss" not in (tmp_path / "rank_ndcg" / "curve.csv").read_text()


def test_rankers_share_matrices_but_not_labels(rows: TrainSet, tmp_path: Path) -> None:
    rankers = [of_loss("binary:logistic", metric="auc"), of_loss("rank:ndcg"), of_loss("rank:map")]
    tasks = [FitTask(r, "x", 1, tmp_path / r.name, resolve("cpu"), 5) for r in rankers]
    shared = FoldMatrices.read(tasks[0], rows, None, 256)
    for ranker, task in zip(rankers, tasks, strict=True):
        path = tmp_path / "shared"
        ranker.fit(task, shared, path)
        assert path.read_bytes() == trained(ranker, rows, tmp_path).read_bytes()


def test_params_of_lambdarank_reach_xgboost(rows: TrainSet, tmp_path: Path) -> None:
    more = [(), ("lambdarank_num_pair_per_sample", 2), ("lambdarank_pair_method", "mean"),
            ("ndcg_exp_gain", False)]  # fmt: skip
    rankers = [of_loss("rank:ndcg", *([entry] if entry else [])) for entry in more]
    assert len({trained(ranker, rows, tmp_path).read_bytes() for ranker in rankers}) == len(more)


def test_grades_that_xgboost_cannot_rank_by_are_refused(rows: TrainSet, tmp_path: Path) -> None:
    halves, high = replace(rows, label=rows.label / 2), replace(rows, label=rows.label * 11)
    for some, message in ((halves, "grade 0.5 is not one"), (high, "grade 33 is not one")):
        for ranker in (of_loss("rank:ndcg"), of_loss("rank:pairwise"), of_loss("reg:squarederror")):
            with pytest.raises(ValueError, match=rf"{message} of 0, 1, ..., 31.*ndcg_exp_gain"):
                trained(ranker, some, tmp_path)
        trained(of_loss("rank:ndcg", ("ndcg_exp_gain", False)), some, tmp_path)
        trained(of_loss("reg:squarederror", metric="rmse"), some, tmp_path)
    with pytest.raises(ValueError, match="eval_metric map@5 takes no grade above 1, but 3 is one"):
        trained(of_loss("rank:ndcg", metric="map@5"), rows, tmp_path)


def test_wrong_rows_are_refused_in_one_line(rows: TrainSet, tmp_path: Path) -> None:
    for ranker, message in (
        (replace(of_loss("rank:ndcg"), params=()), "its params name no objective"),
        (of_loss("multi:softprob"), "multi:softprob scores classes; take rank:ndcg"),
        (of_loss("rank:ndcg", ("eval_metric", "auc")), "leave eval_metric to the field"),
        (of_loss("rank:ndcg", ("seed", 1)), "leave seed to the recipe's seed"),
    ):
        with pytest.raises(ValueError, match=f"ranker {ranker.name}: {message}"):
            replace(BARE, rankers=(ranker,))
    for ranker, message in (
        (of_loss("rank:mrr"), "Unknown objective function: `rank:mrr`"),
        (of_loss("rank:ndcg", metric="gini"), "Unknown metric function gini"),
    ):
        with pytest.raises(ValueError, match=f"^ranker {ranker.name}: {message}"):
            trained(ranker, rows, tmp_path)


def test_other_boosters_are_refused() -> None:
    loss = ("objective", "rank:ndcg")
    for name in ("dart", "gblinear"):
        with pytest.raises(ValueError, match=f"booster {name} is not built; take gbtree"):
            XGBoostRanker("odd", (loss, ("booster", name))).check(BARE)
    XGBoostRanker("even", (loss, ("booster", "gbtree"))).check(BARE)


def test_infinite_features_are_named(tmp_path: Path) -> None:
    good, noise = np.full(40, np.inf), np.arange(40.0)
    grades = (np.arange(40) % 5 == 0).astype(np.float64)
    rows = write_rows(tmp_path, {"good": good, "noise": noise}, grades, [5] * 8)
    for most in (None, 1):  # selected first
        with pytest.raises(ValueError, match=r"^features with infinite values: good$"):
            trained(replace(of_loss("rank:ndcg"), max_features=most), rows, tmp_path)


def test_the_first_row_of_one_objective() -> None:
    first, second = of_loss("rank:ndcg"), of_loss("binary:logistic")
    lightgbm = LightGBMRanker("trees", (("objective", "binary"),))
    shared = replace(first, name="shared", shared=True)
    recipe = replace(BARE, rankers=(lightgbm, shared, second, first))
    assert XGBoostRanker.first_of_one_objective(recipe) == second
    assert LightGBMRanker.first_of_one_objective(recipe) == lightgbm
    with pytest.raises(ValueError, match="no XGBoostRanker learns one objective; add one"):
        XGBoostRanker.first_of_one_objective(replace(BARE, rankers=(shared, lightgbm)))


def test_importances_are_xgboosts(rows: TrainSet, tmp_path: Path) -> None:
    ranker = of_loss("rank:ndcg")
    trained(ranker, rows, tmp_path)
    table = pl.read_csv(tmp_path / ranker.name / "importance.csv")
    assert table.columns == ["feature", "gain", "cover", "splits"]
    assert table["feature"][0] == "good" and set(table["feature"]) == set(rows.names)
