"""LightGBM as a ranker: what it learns, what it writes, and which labels it refuses.

pytest tests/rankers/test_lgbm.py
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from planted import BARE, run_in
from planted_rows import graded_rows, ndcg, trained, write_rows
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from src.core.engines import resolve
from src.features.pool import PoolFeature
from src.rankers.base import FitTask
from src.rankers.lgbm import LightGBMRanker
from src.rankers.lgbm_trainer import FIXED, FoldDatasets, file_rows
from src.rankers.train_set import TrainSet

PARAMS = (("num_leaves", 7), ("learning_rate", 0.1), ("min_data_in_leaf", 5))
LAMBDA = LightGBMRanker(
    "lambda", (("objective", "lambdarank"), *PARAMS), num_boost_round=30, early_stopping_rounds=5,
    eval_metric="ndcg@5",
)  # fmt: skip


def of_loss(loss: str, *more: tuple[str, float | int | str]) -> LightGBMRanker:
    return replace(LAMBDA, name=loss, params=(("objective", loss), *PARAMS, *more))


def margins(ranker: LightGBMRanker, path: Path, X: np.ndarray, names: list[str]) -> np.ndarray:
    return ranker.load(path, run_in(path.parent)).margins(X, names)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> TrainSet:
    return graded_rows(tmp_path_factory.mktemp("rows"))


def held_out(rows: TrainSet, fold: int = 1) -> tuple[np.ndarray, np.ndarray]:
    mask = rows.fold == fold
    return rows.load(mask, rows.names), rows.label[mask]


@pytest.mark.parametrize(
    "loss", ["lambdarank", "rank_xendcg", "binary", "regression", "cross_entropy"]
)
def test_every_loss_learns_the_planted_order(loss: str, rows: TrainSet, tmp_path: Path) -> None:
    ranker = of_loss(loss)
    X, grades = held_out(rows)
    score = margins(ranker, trained(ranker, rows, tmp_path), X, rows.names)
    two_classes = (grades > 0) * 1.0 if ranker.is_binary else grades
    assert ndcg(two_classes, score, 12) > ndcg(two_classes, X[:, 1], 12) - 0.05 > 0.85
    assert ndcg(grades, X[:, 2], 12) < 0.6
    log = json.loads((tmp_path / loss / "fold.json").read_text())
    assert log["valid_auc"] == pytest.approx(roc_auc_score(grades > 0, score), abs=1e-6)
    assert log["valid_ndcg_5"] == pytest.approx(ndcg(two_classes, score, 12), abs=1e-6)


@pytest.mark.parametrize("metric", ["auc", "ndcg@5", "binary_logloss"])
def test_log_loss_is_in_the_curve_where_scores_are_probabilities(
    rows: TrainSet, tmp_path: Path, metric: str
) -> None:
    ranker, (X, grades) = replace(of_loss("binary"), eval_metric=metric), held_out(rows)
    probability = expit(margins(ranker, trained(ranker, rows, tmp_path), X, rows.names))
    log = json.loads((tmp_path / "binary" / "fold.json").read_text())
    assert log["valid_binary_logloss"] == pytest.approx(log_loss(grades > 0, probability))
    curve = pl.read_csv(tmp_path / "binary" / "curve.csv")
    assert curve.columns[-1] == "valid_" + metric.replace("@", "_"), "it stops the training"


@pytest.mark.parametrize("ranker", [LAMBDA, of_loss("binary")], ids=lambda ranker: ranker.name)
def test_scores_are_lightgbms_own(ranker: LightGBMRanker, rows: TrainSet, tmp_path: Path) -> None:
    path = trained(ranker, rows, tmp_path)
    X, _ = held_out(rows)
    wide, place = np.full((len(X), 9), 7, np.float32), [4, 0, 7]
    wide[:, place] = X
    names = [dict(zip(place, rows.names, strict=True)).get(n, f"x{n}") for n in range(9)]
    wanted = lgb.Booster(model_file=str(path)).predict(X, raw_score=True)
    model = ranker.load(path, run_in(tmp_path))
    assert model.names == rows.names and " " in "".join(rows.names)
    assert model.margins(wide, names).tolist() == np.float32(wanted).tolist()
    some = np.array([5, 0, 9])
    assert model.margins(wide, names, some).tolist() == np.float32(wanted)[some].tolist()
    assert model.margins(wide, names, some[:0]).size == 0


def test_rows_of_files_make_the_model_of_one_matrix(rows: TrainSet, tmp_path: Path) -> None:
    train, names = rows.fold != 1, [name.replace(" ", "%20") for name in rows.names]
    sizes = np.unique(rows.query[train], return_counts=True)[1]
    data = lgb.Dataset(
        rows.load(train, rows.names), rows.label[train], group=sizes, feature_name=names,
        params=FIXED | {"seed": 5},
    )  # fmt: skip
    params = dict(LAMBDA.params) | FIXED | {"seed": 5, "metric": ["ndcg", "auc"], "eval_at": [5]}
    path = trained(LAMBDA, rows, tmp_path)
    best = json.loads((tmp_path / "lambda" / "fold.json").read_text())["best_round"]
    model = lgb.train(params, data, best + 1)
    trees = [text.partition("end of trees")[0] for text in
             (model.model_to_string(), path.read_text())]  # fmt: skip
    assert trees[0] == trees[1] and "Tree=0" in trees[0]
    got = list(file_rows(rows, train, rows.names))
    assert np.array_equal(np.concatenate([part[0 : len(part)] for part in got]),
                          rows.load(train, rows.names), equal_nan=True)  # fmt: skip
    assert len(got) == 2 and np.array_equal(got[1][3], got[1][0:9][3], equal_nan=True)


def test_the_same_bytes_on_any_number_of_threads(rows: TrainSet, tmp_path: Path) -> None:
    files = []
    for threads in (1, 2):
        engine = replace(resolve("cpu"), threads=threads)
        folders = [tmp_path / f"{threads}_{fold}" for fold in range(4)]
        for folder in folders:
            folder.mkdir()
        with ThreadPoolExecutor(engine.models_at_a_time) as pool:
            made = pool.map(partial(trained, LAMBDA, rows, engine=engine), folders, range(4))
            files.append([path.read_bytes() for path in made])
    assert files[0] == files[1] and len(set(files[0])) == 4


def test_the_best_round_is_kept(rows: TrainSet, tmp_path: Path) -> None:
    params = (("objective", "lambdarank"), ("learning_rate", 0.5))
    ranker = replace(LAMBDA, params=params, num_boost_round=99)
    path = trained(ranker, rows, tmp_path)
    curve = pl.read_csv(tmp_path / "lambda" / "curve.csv")
    log = json.loads((tmp_path / "lambda" / "fold.json").read_text())
    assert curve.columns == ["round", "train_auc", "train_ndcg_5", "valid_auc", "valid_ndcg_5"]
    assert curve["round"].to_list() == list(range(4, 5 * curve.height, 5))
    row = int(curve["valid_ndcg_5"].arg_max())
    best = curve["round"][row]
    assert log["best_round"] == best and log["valid_ndcg_5"] == curve["valid_ndcg_5"][row]
    assert curve["round"][-1] == best + ranker.early_stopping_rounds < ranker.num_boost_round - 1
    assert lgb.Booster(model_file=str(path)).num_trees() == best + 1
    table = pl.read_csv(tmp_path / "lambda" / "importance.csv")
    model = lgb.Booster(model_file=str(path))
    order = [model.feature_name().index(name.replace(" ", "%20")) for name in table["feature"]]
    assert table["splits"].to_list() == model.feature_importance("split")[order].tolist()
    gain = model.feature_importance("gain")[order]
    assert (
        table["gain"].to_numpy() == pytest.approx(gain, rel=1e-4) and table["feature"][0] == "good"
    )
    assert (table["cover"] > 0).all()


def test_categories_are_sets_of_values(tmp_path: Path) -> None:
    """One of 40 kinds is good or bad by chance: a threshold cannot tell, a set of kinds can."""
    rng = np.random.default_rng(6)
    kind, n = rng.integers(0, 40, 2400), 2400
    is_good = rng.permutation(40) < 20
    X = {"kind": kind, "noise": rng.random(n)}
    rows = write_rows(tmp_path, X, is_good[kind] * 1, [12] * 200)
    X_valid, label = held_out(rows)
    params = (("objective", "binary"), ("num_leaves", 2), ("min_data_per_group", 5))
    stump = replace(LAMBDA, params=params, num_boost_round=1, eval_metric="auc")
    auc = []
    for ranker in (stump, replace(stump, name="sets", categories=("kind",))):
        score = margins(ranker, trained(ranker, rows, tmp_path), X_valid, rows.names)
        auc.append(roc_auc_score(label, score))
    assert auc[0] < 0.75 and auc[1] > 0.95
    unknown = np.array([[39, 0], [40, 0], [10**6, 0], [-1, 0], [np.nan, 0]], np.float32)
    score = margins(ranker, tmp_path / "sets.lgb", unknown, rows.names)
    assert len(set(score[1:].tolist())) == 1, "unknown values share a side"


def test_categories_are_kept_beside_the_best_features(rows: TrainSet, tmp_path: Path) -> None:
    ranker = replace(LAMBDA, max_features=1, categories=("noise",))
    X, _ = held_out(rows)
    model = ranker.load(trained(ranker, rows, tmp_path), run_in(tmp_path))
    assert model.names == ["noise", "good"] and len(set(model.margins(X, rows.names))) > 3


def test_rankers_share_datasets_but_not_labels(rows: TrainSet, tmp_path: Path) -> None:
    """A loss of two classes after one of grades, on the same datasets, is what it is alone."""
    rankers = [
        of_loss("binary"),
        LAMBDA,
        of_loss("regression"),
        replace(of_loss("binary"), name="b"),
    ]
    keys = [ranker.group_key() for ranker in rankers]
    assert len(set(keys)) == 2 and keys[0] == keys[1] == keys[3], "squares take no correction"
    others = [of_loss("binary", ("max_bin", 15)), replace(LAMBDA, categories=("good",))]
    assert len({ranker.group_key() for ranker in (*rankers, *others)}) == 4
    tasks = [FitTask(r, "x", 1, tmp_path / r.name, resolve("cpu"), 5) for r in rankers]
    shared = FoldDatasets.read(rankers[0], tasks[0], rows)
    for ranker, task in zip(rankers, tasks, strict=True):
        path = tmp_path / f"{ranker.name}.shared"
        ranker.fit(task, shared, path)
        assert path.read_text() == trained(ranker, rows, tmp_path).read_text()


def test_a_query_of_one_document_and_queries_of_one_grade(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    sizes = [1, 1, 9, 1, 3] * 24
    n = sum(sizes)
    good = rng.random(n)
    grades = np.floor(good * 4)
    query = np.repeat(np.arange(len(sizes)), sizes)
    grades[query % 5 == 4] = 0  # no relevant document
    grades[query % 10 == 2] = 2  # all alike
    rows = write_rows(tmp_path, {"good": good, "noise": rng.random(n)}, grades, sizes)
    X, label = held_out(rows)
    for ranker in (LAMBDA, of_loss("rank_xendcg"), of_loss("binary")):
        score = margins(ranker, trained(ranker, rows, tmp_path), X, rows.names)
        assert roc_auc_score(label > 0, score) > 0.6


def test_grades_that_lightgbm_cannot_rank_by_are_refused(rows: TrainSet, tmp_path: Path) -> None:
    halves = replace(rows, label=rows.label / 2)
    for ranker in (LAMBDA, of_loss("rank_xendcg"), of_loss("regression")):
        with pytest.raises(ValueError, match=r"x: LightGBM ranks by whole grades, but 0.5 is one"):
            trained(ranker, halves, tmp_path)
    trained(replace(of_loss("regression"), eval_metric="l2"), halves, tmp_path)
    trained(of_loss("binary"), halves, tmp_path)
    high = replace(rows, label=rows.label * 11)
    with pytest.raises(ValueError, match=r"no gain for grade 33; give label_gain .* grade 30"):
        trained(LAMBDA, high, tmp_path)
    gains = of_loss("lambdarank", ("label_gain", ",".join(map(str, range(34)))))
    trained(gains, high, tmp_path)
    with pytest.raises(ValueError, match="no gain for grade 3; give label_gain"):
        trained(of_loss("lambdarank", ("label_gain", "0,1,3")), rows, tmp_path)


def test_a_fold_without_a_positive_is_refused(rows: TrainSet, tmp_path: Path) -> None:
    none = replace(rows, label=np.where(rows.fold == 1, 0, rows.label))
    with pytest.raises(ValueError, match="objective x, fold 1: all"):
        trained(LAMBDA, none, tmp_path)
    no_zeros = replace(rows, label=rows.label + 1)
    trained(LAMBDA, no_zeros, tmp_path)
    with pytest.raises(ValueError, match="binary tells grades above 0 from 0, but all rows"):
        trained(of_loss("binary"), no_zeros, tmp_path)


def test_wrong_rows_are_refused_in_one_line(rows: TrainSet, tmp_path: Path) -> None:
    for ranker, message in (
        (of_loss("lambda_rank"), "objective lambda_rank is none of"),
        (of_loss("multiclass"), "objective multiclass is none of"),
        (of_loss("binary", ("metric", "auc")), "leave metric to the field eval_metric"),
        (replace(LAMBDA, params=()), "its params name no objective"),
        (replace(LAMBDA, categories=("colour",)), "categories .'colour'. are no features"),
    ):
        with pytest.raises(ValueError, match=f"ranker {ranker.name}: {message}"):
            replace(BARE, features=(PoolFeature(),), rankers=(ranker,))
    with pytest.raises(ValueError, match="ranker binary: LightGBM has no parameter num_leafs"):
        trained(of_loss("binary", ("num_leafs", 9)), rows, tmp_path)
    with pytest.raises(ValueError, match="ranker lambda: no eval_metric gini"):
        trained(replace(LAMBDA, eval_metric="gini"), rows, tmp_path)
    with pytest.raises(ValueError, match=r"ranker lambdarank: .*num_leaves"):
        trained(of_loss("lambdarank", ("num_leaves", 1)), rows, tmp_path)
