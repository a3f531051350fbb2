"""Planted data on which losses differ: ties, top and tail, long and short lists, far starts.

pytest tests/rankers/losses/test_planted_conflicts.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ragged import offsets_of
from scipy.stats import kendalltau
from torch import Tensor

from src.rankers.losses.approx_ndcg import ApproxNDCG
from src.rankers.losses.base import Loss
from src.rankers.losses.lambdas import LambdaRank
from src.rankers.losses.listmle import ListMLE
from src.rankers.losses.pairs import RankNet


def fit(
    row: Loss, X: Tensor, grades: Tensor, offsets: Tensor, steps: int = 150, start: float = 0.0
) -> Tensor:
    """Train a linear scorer, X (rows, features), by Adam; the schedule of the loss is followed."""
    w = torch.full((X.shape[1],), start, dtype=X.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.05)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        optimizer.zero_grad()
        row.at(step / steps)(X @ w, grades, offsets, generator).backward()
        optimizer.step()
    return w.detach()


def ndcg_at_10(scores: Tensor, grades: Tensor) -> float:
    """Of one list."""
    discounts = 1 / np.log2(np.arange(2, 12))
    dcg = [((2 ** grades[o] - 1)[:10].numpy() * discounts).sum()
           for o in (scores.argsort(descending=True), grades.argsort(descending=True))]  # fmt: skip
    return float(dcg[0] / dcg[1])


@pytest.fixture(scope="module")
def tied() -> tuple[Tensor, Tensor, Tensor]:
    """300 lists of 20, ranked by x and noise: 1, 1, 9 and 9 items of grades 3, 2, 1 and 0.

    The second feature is the order of the input.
    """
    rng = np.random.default_rng(1)
    x, index = rng.normal(size=(300, 20)), np.tile(np.linspace(-1, 1, 20), (300, 1))
    place = (-x - rng.gumbel(size=x.shape)).argsort(1).argsort(1)
    grades = np.array([3.0, 2.0, *[1.0] * 9, *[0.0] * 9])[place]
    X = torch.tensor(np.stack([x, index], 2)).flatten(0, 1)
    return X, torch.tensor(grades).flatten(), offsets_of([20] * 300)


@pytest.mark.parametrize("ties", ["unique", "shuffle", "exact", "efron", "breslow"])
def test_the_order_of_equal_grades_in_the_input_is_not_learned(
    ties: str, tied: tuple[Tensor, Tensor, Tensor]
) -> None:
    """Only the exact likelihood finds the size of what it learns: 1."""
    x, index = fit(ListMLE(ties=ties), *tied).tolist()
    assert x > 0.5 and abs(index) < 0.1
    assert (abs(x - 1) < 0.1) == (ties == "exact")


def test_a_stable_sort_would_learn_the_order_of_the_input(
    tied: tuple[Tensor, Tensor, Tensor],
) -> None:
    """What stands first is put above its equals, by a millionth of a grade."""
    X, grades, offsets = tied
    _, index = fit(ListMLE(), X, grades - 1e-6 * X[:, 1], offsets).tolist()
    assert index < -1


@pytest.fixture(scope="module")
def conflict() -> tuple[Tensor, Tensor, Tensor]:
    """40 lists of 50: feature a orders the 5 best rightly and all others wrongly, b is -a."""
    rng = np.random.default_rng(2)
    place = np.arange(50)
    a = np.where(place < 5, 1.5 - 0.1 * place, (place - 27) / 22.0)
    features = np.stack([a, -a], 1) + 0.05 * rng.normal(size=(40, 50, 2))
    grades = torch.tensor(np.where(place < 5, 6.0, 2.0) - place / 25).repeat(40)
    return torch.tensor(features).flatten(0, 1), grades, offsets_of([50] * 40)


def test_losses_of_the_top_win_ndcg_and_the_whole_likelihood_wins_kendall(
    conflict: tuple[Tensor, Tensor, Tensor],
) -> None:
    X, grades, _ = conflict
    found = {}
    for name, row in (
        ("whole", ListMLE()), ("top", ListMLE(top_k=5)), ("lambda", LambdaRank(k=10)),
    ):  # fmt: skip
        lists = zip((X @ fit(row, *conflict)).split(50), grades.split(50), strict=True)
        scores = [(ndcg_at_10(s, y), kendalltau(s, y).statistic) for s, y in lists]
        found[name] = np.mean(scores, 0)
    for name in ("top", "lambda"):
        assert found[name][0] > found["whole"][0] + 0.3
        assert found["whole"][1] > found[name][1] + 0.5


@pytest.mark.parametrize("kind", [ListMLE, RankNet])
def test_few_long_lists_outweigh_many_short_ones_only_in_sums(
    kind: type[ListMLE | RankNet],
) -> None:
    """The feature of 6 lists of 200 is right the wrong way round, of 60 lists of 10 as it is."""
    rng, sizes = np.random.default_rng(3), [200] * 6 + [10] * 60
    X = rng.normal(size=(sum(sizes), 1))
    sign = np.repeat([-1.0, 1.0], [1200, 600])
    grades = np.digitize(sign * X[:, 0] + rng.normal(size=len(X)), [0.5, 1.5]).astype(float)
    rows = torch.tensor(X), torch.tensor(grades), offsets_of(sizes)
    assert fit(kind(), *rows).item() > 0.3
    assert fit(kind(reduction="sum"), *rows).item() < -0.3


def test_a_cold_approx_ndcg_is_stuck_far_from_the_optimum_and_annealing_gets_there() -> None:
    """All items stand in the reverse of their order, 3 apart."""
    X = torch.arange(20, dtype=torch.float64)[:, None]
    grades = torch.arange(20).double() / 5
    lists = grades, offsets_of([20])
    start = torch.full((1,), -3.0, dtype=torch.float64, requires_grad=True)
    cold = ApproxNDCG(temperature=0.01, start_temperature=None)
    cold(X @ start, *lists).backward()
    assert start.grad is not None and start.grad.abs() < 1e-8
    stuck = fit(cold, X, *lists, start=-3.0)
    annealed = fit(ApproxNDCG(0.01, start_temperature=10.0), X, *lists, start=-3.0)
    assert ndcg_at_10(X @ stuck, grades) < 0.3
    assert ndcg_at_10(X @ annealed, grades) == pytest.approx(1)
