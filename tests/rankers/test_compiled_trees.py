"""Compiled trees score as XGBoost does, bit by bit.

pytest tests/rankers/test_compiled_trees.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

from src.candidates.pool import Pool
from src.rankers.base import mean_scores
from src.rankers.batches import CandidateBatch
from src.rankers.compiled_trees import CompiledTrees, load
from src.rankers.compiled_trees_kernel import ROWS as BLOCK
from src.rankers.xgb import SOFTMAX, XGBoostRanker
from src.rankers.xgb_trainer import boost

ROWS, COLUMNS = 3 * BLOCK + 7, 12


def table(missing: float) -> np.ndarray:
    """Values on a grid, so that many are exactly a threshold; some are missing."""
    rng = np.random.default_rng(8)
    X = rng.integers(-4, 5, (ROWS, COLUMNS)).astype(np.float32) / 3
    X[rng.random(X.shape) < missing] = np.nan
    return X


def booster(X: np.ndarray, rounds: int = 9, **params: object) -> xgb.Booster:
    rng = np.random.default_rng(9)
    label = (np.nan_to_num(X)[:, :3].sum(axis=1) + rng.normal(size=ROWS) > 0.5).astype(int)
    by_query = {"qid": np.arange(ROWS) // 20} if "rank" in str(params["objective"]) else {}
    rows = xgb.DMatrix(X, label, feature_names=[f"c{n}" for n in range(COLUMNS)], **by_query)
    return xgb.train({"min_child_weight": 0, "seed": 1, **params}, rows, rounds)


def one_query(X: np.ndarray, names: list[str]) -> CandidateBatch:
    n = len(X)
    item, ranks = np.arange(n, dtype=np.int32), np.zeros((n, 0), np.uint16)
    pool = Pool(0, np.array([0, n]), item, np.zeros(n, np.float32), ranks, ranks.astype("f4"))
    return CandidateBatch(None, pool, names, X, np.arange(n))  # type: ignore[arg-type]


@pytest.mark.parametrize("objective", ["binary:logistic", "rank:ndcg"])
@pytest.mark.parametrize("depth", [1, 3, 6, 8])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_scores_are_xgboosts(objective: str, depth: int, missing: float, tmp_path: Path) -> None:
    X = table(missing)
    model = booster(X, objective=objective, max_depth=depth)
    model.save_model(tmp_path / "model.ubj")
    trees = load(tmp_path / "model.ubj", 1)
    assert isinstance(trees, CompiledTrees) and trees.column.shape[1] == 2**depth - 1
    other = table(0.2)
    other[:, 5] = np.nan  # missing where it never was
    rng = np.random.default_rng(0)
    wide, place = np.full((ROWS, 40), 7, np.float32), rng.permutation(40)[:COLUMNS]
    for rows in (X, other):
        wanted = model.inplace_predict(rows, predict_type="margin", validate_features=False)
        assert len(set(wanted.tolist())) > 1
        wide[:, place] = rows
        names = [f"x{n}" for n in range(40)]
        for n, column in enumerate(place):
            names[column] = f"c{n}"
        some = rng.permutation(ROWS)[: BLOCK + 3]
        assert trees.margins(wide, names).tolist() == wanted.tolist()
        assert trees.margins(wide, names, some).tolist() == wanted[some].tolist()
        assert trees.margins(wide, names, some[:0]).size == 0


def test_more_thresholds_than_8_bits_hold() -> None:
    names = [f"c{n}" for n in range(COLUMNS)]
    X = np.random.default_rng(7).normal(size=(ROWS, COLUMNS)).astype(np.float32)
    X[::5, 0] = np.nan
    few, many = (
        booster(X, rounds, objective="binary:logistic", max_depth=8, max_bin=700, reg_lambda=0)
        for rounds in (2, 90)
    )
    for model, dtype in ((few, np.uint8), (many, np.uint16)):
        trees = CompiledTrees.compile(model)
        assert trees and trees.threshold.dtype == dtype
        wanted = model.inplace_predict(X, predict_type="margin", validate_features=False)
        assert trees.margins(X, names).tolist() == wanted.tolist()


LINKED = ("reg:logistic", "count:poisson", "reg:gamma", "reg:tweedie", "reg:squarederror")


@pytest.mark.parametrize("objective", LINKED)
def test_the_base_score_is_a_margin(objective: str) -> None:
    X, names = table(0.1), [f"c{n}" for n in range(COLUMNS)]
    label = 0.1 + 0.8 * np.random.default_rng(9).random(ROWS)
    rows = xgb.DMatrix(X, label, feature_names=names)
    model = xgb.train({"objective": objective, "max_depth": 3}, rows, 4)
    trees = CompiledTrees.compile(model)
    wanted = model.predict(rows, output_margin=True)
    assert trees and trees.margins(X, names).tolist() == wanted.tolist()


def test_scores_of_a_loss_of_our_own() -> None:
    X, names = table(0.1), [f"c{n}" for n in range(COLUMNS)]
    row = XGBoostRanker("own", (("objective", SOFTMAX), ("max_depth", 4)))
    rng = np.random.default_rng(9)
    label, query = rng.integers(0, 2, ROWS), np.arange(ROWS) // 20
    rows = xgb.QuantileDMatrix(X, label, qid=query, feature_names=names)
    model = boost(row, rows, 5, {"seed": 1})
    trees = CompiledTrees.compile(model)
    wanted = model.inplace_predict(X, predict_type="margin", validate_features=False)
    assert trees and trees.margins(X, names).tolist() == wanted.tolist()


def test_the_mean_of_models_and_trees_that_only_are_a_leaf(tmp_path: Path) -> None:
    X, names = table(0.1), [f"c{n}" for n in range(COLUMNS)]
    stump = booster(X, objective="binary:logistic", max_depth=3, gamma=1e9)
    tree = booster(X, objective="binary:logistic", max_depth=3)
    models = [CompiledTrees.compile(stump), CompiledTrees.compile(tree)]
    wanted = [
        model.inplace_predict(X, predict_type="margin", validate_features=False)
        for model in (stump, tree)
    ]
    assert np.ptp(wanted[0]) == 0 and models[0] and models[1]
    mean = np.mean(wanted, axis=0, dtype=np.float64).astype(np.float32)
    assert mean_scores([m for m in models if m], one_query(X, names)).tolist() == mean.tolist()


def test_too_deep_trees_stay_xgboosts(tmp_path: Path) -> None:
    X, names = table(0.1), [f"c{n}" for n in range(COLUMNS)]
    model = booster(X, 3, objective="rank:ndcg", max_depth=12, reg_lambda=0)
    assert CompiledTrees.compile(model) is None
    model.save_model(tmp_path / "model.ubj")
    wanted = model.inplace_predict(X, predict_type="margin", validate_features=False)
    found = load(tmp_path / "model.ubj", 1).margins(X, names)
    assert found.tolist() == wanted.tolist()
