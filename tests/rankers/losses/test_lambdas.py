"""LambdaRank and LambdaLoss: swaps of ranks, golden values, LightGBM's and XGBoost's gradients.

pytest tests/rankers/losses/test_lambdas.py
"""

from __future__ import annotations

import math

import lightgbm as lgb
import numpy as np
import pytest
import torch
import xgboost as xgb
from ragged import offsets_of

from src.rankers.losses.gains import gains_of
from src.rankers.losses.lambdas import LambdaLoss, LambdaRank, NDCGPairs

SAME = torch.tensor([0.5, 0.3, 0.5])


def dcg(gains: list[float], ranks: list[int]) -> float:
    return sum(g / math.log2(1 + r) for g, r in zip(gains, ranks, strict=True))


def by_loops(row: NDCGPairs, scores: list[float], grades: list[float]) -> float:
    """Swap the ranks of every pair of one list, and compute its DCG again."""
    n = len(scores)
    ranks = [1 + sum(t > s for t in scores) for s in scores]
    gains = [2**y - 1 for y in grades]
    ideal = dcg(sorted(gains, reverse=True)[: row.k], list(range(1, n + 1))[: row.k])
    k, total, weights = row.k or n, 0.0, 0.0
    for i in range(n):
        for j in range(n):
            if grades[i] > grades[j] and min(ranks[i], ranks[j]) <= k:
                swapped = [ranks[{i: j, j: i}.get(item, item)] for item in range(n)]
                weight = abs(dcg(gains, ranks) - dcg(gains, swapped)) / ideal
                if isinstance(row, LambdaLoss):
                    d = abs(ranks[i] - ranks[j])
                    step = 1 / math.log2(1 + d) - 1 / math.log2(2 + d)
                    loss2 = step * (gains[i] - gains[j]) / ideal
                    weight = loss2 if row.scheme == "ndcg_loss2" else weight + row.mu * loss2
                total += weight * math.log1p(math.exp(-row.sigma * (scores[i] - scores[j])))
                weights += weight
    return total if row.reduction == "sum" else total / weights


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("k", [None, 1, 3])
@pytest.mark.parametrize(
    ("kind", "fields"),
    [(LambdaRank, {}), (LambdaLoss, {"scheme": "ndcg_loss2"}), (LambdaLoss, {"mu": 3.0})],
)
def test_weights_are_changes_of_ndcg(
    kind: type[NDCGPairs], fields: dict, k: int | None, reduction: str
) -> None:
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(9, generator=generator, dtype=torch.float64)
    grades = torch.randint(4, (9,), generator=generator)
    row = kind(sigma=1.5, k=k, reduction=reduction, **fields)
    wanted = by_loops(row, scores.tolist(), grades.tolist())
    assert row(scores, grades, offsets_of([9])).item() == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("scheme", "golden"), [("ndcg_loss1", 2.9272112), ("ndcg_loss2++", 1.1244146)]
)
def test_golden_values(scheme: str, golden: float) -> None:
    """Of allRank, whose logarithms have the base 2."""
    value = LambdaLoss(scheme=scheme, reduction="sum")(SAME, SAME, offsets_of([3]))
    assert value.item() / math.log(2) == pytest.approx(golden, abs=1e-6)


def test_an_item_outside_of_the_top_is_pulled_in() -> None:
    """The relevant item has rank 4, the cut is at 2; its pairs with the two best count, only."""
    scores = torch.tensor([4.0, 3.0, 2.0, 1.0], requires_grad=True)
    row = LambdaRank(k=2, reduction="sum")
    row(scores, torch.tensor([0.0, 0, 0, 1]), offsets_of([4])).backward()
    assert scores.grad is not None
    assert scores.grad[3] < -0.5 and scores.grad[2] == 0 and (scores.grad[:2] > 0).all()


@pytest.fixture(params=[0.0, 1.0], ids=["equal scores", "any scores"])
def queries(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes of queries; the score and the grade of each row."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(2, 30, 20)
    return sizes, request.param * rng.normal(size=sizes.sum()), rng.integers(0, 4, sizes.sum())


def gradient(k: int, sizes: np.ndarray, scores: np.ndarray, grades: np.ndarray) -> np.ndarray:
    """The gradient of the sum over queries."""
    leaf, offsets = torch.tensor(scores, requires_grad=True), offsets_of(sizes.tolist())
    useful = sum(len(np.unique(g)) > 1 for g in np.split(grades, np.cumsum(sizes)))
    loss = LambdaRank(k=k, reduction="sum")(leaf, torch.tensor(grades), offsets)
    (useful * loss).backward()
    assert leaf.grad is not None
    return leaf.grad.numpy()


@pytest.mark.parametrize("k", [5, 1000])
def test_gradients_of_lightgbm(queries: tuple[np.ndarray, np.ndarray, np.ndarray], k: int) -> None:
    """The first tree has its sums: minus the value of a leaf times the weight of the leaf."""
    sizes, scores, grades = queries
    wanted, X = gradient(k, *queries), np.random.default_rng(1).normal(size=(scores.size, 1))
    params = {
        "objective": "lambdarank", "lambdarank_norm": False, "lambdarank_truncation_level": k,
        "num_leaves": 100, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0.1, "lambda_l2": 0,
        "learning_rate": 1.0, "max_bin": 1000, "min_data_in_bin": 1, "num_threads": 1,
        "verbose": -1,
    }  # fmt: skip
    rows = lgb.Dataset(X, grades, group=sizes, init_score=scores, params=params)
    model = lgb.train(params, rows, 1)
    table = model.trees_to_dataframe()
    table = table[table.left_child.isna()]
    leaf = model.predict(X, pred_leaf=True).ravel()
    assert len(table) > 40
    for name, value, weight in zip(table.node_index, table.value, table.weight, strict=True):
        rows_of_leaf = leaf == int(name.split("-L")[1])
        assert -value * weight == pytest.approx(wanted[rows_of_leaf].sum(), abs=1e-4)


@pytest.mark.parametrize("k", [5, 1000])
def test_gradients_of_xgboost(queries: tuple[np.ndarray, np.ndarray, np.ndarray], k: int) -> None:
    """The same for XGBoost, whose leaves have their weight as cover."""
    sizes, scores, grades = queries
    wanted, X = gradient(k, *queries), np.random.default_rng(1).normal(size=(scores.size, 1))
    params = {
        "objective": "rank:ndcg", "lambdarank_pair_method": "topk", "nthread": 1,
        "lambdarank_num_pair_per_sample": k, "lambdarank_normalization": False,
        "lambdarank_score_normalization": False, "eta": 1.0, "max_depth": 8, "reg_lambda": 0,
        "min_child_weight": 0.1, "base_score": 0.0,
    }  # fmt: skip
    rows = xgb.DMatrix(X, grades, group=sizes, base_margin=scores)
    model = xgb.train(params, rows, 1)
    table = model.trees_to_dataframe()
    table = table[table.Feature == "Leaf"]
    leaf = model.predict(rows, pred_leaf=True).ravel()
    assert len(table) > 20
    for name, value, weight in zip(table.Node, table.Gain, table.Cover, strict=True):
        assert -value * weight == pytest.approx(wanted[leaf == name].sum(), abs=1e-4)


def test_gains_of_grades_near_0() -> None:
    """2^y - 1 would be 0 in float32 for a grade above 0, and its list have no gain at all."""
    grades = torch.tensor([0.0, 1e-9, 0.0])
    assert gains_of(grades, "exponential").tolist() == pytest.approx([0, 1e-9 * math.log(2), 0])
    value = LambdaRank()(torch.tensor([0.5, 0.3, 0.1]), grades, offsets_of([3]))
    assert torch.isfinite(value) and value > 0
    assert gains_of(torch.arange(4.0), "exponential").tolist() == [0, 1, 3, 7]
