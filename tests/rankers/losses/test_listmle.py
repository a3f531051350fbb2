"""ListMLE: enumeration of orders and subsets, golden values of ties, weights and cuts.

pytest tests/rankers/losses/test_listmle.py
"""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest
import torch
from ragged import offsets_of
from torch import Tensor

from src.rankers.losses.exact_ties import log_probability
from src.rankers.losses.listmle import ListMLE, Ties

GOLDEN = (0.12573022, -0.13210486, 0.64042265, 0.10490012, -0.53566937)
"""Scores of five items whose grades are 2, 2, 1, 1, 0."""


def loss_of(row: ListMLE, scores: Tensor, grades: Tensor) -> float:
    return row(scores, grades, offsets_of([len(scores)]), torch.Generator().manual_seed(0)).item()


def minus_log_p(scores: list[float], stages: int | None = None) -> float:
    """-ln P of the order of the scores as they stand, or of its first stages."""
    stages = len(scores) if stages is None else stages
    return sum(math.log(sum(map(math.exp, scores[i:]))) - scores[i] for i in range(stages))


def by_descent(n: int) -> Tensor:
    return torch.arange(n, 0, -1, dtype=torch.float64)


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_probabilities_of_all_orders_add_up_to_1(n: int) -> None:
    scores = torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    orders = torch.tensor(list(permutations(range(n))))
    every = scores[orders].flatten(), by_descent(n).repeat(len(orders))
    lists = zip(*(t.view(-1, n) for t in every), strict=True)
    total = sum(math.exp(-loss_of(ListMLE("shuffle", reduction="sum"), *one)) for one in lists)
    assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("ties", ["unique", "shuffle", "exact", "efron", "breslow"])
def test_without_ties_all_are_the_loop(ties: Ties) -> None:
    scores = torch.randn(7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = minus_log_p(scores.tolist())
    assert loss_of(ListMLE(ties, reduction="sum"), scores, by_descent(7)) == pytest.approx(wanted)
    assert loss_of(ListMLE(ties), scores, by_descent(7)) == pytest.approx(wanted / 6)


def test_golden_value_of_two_items() -> None:
    value = loss_of(ListMLE(reduction="sum"), torch.tensor([0.5, 0.3]), torch.tensor([1.0, 0.0]))
    assert value == pytest.approx(0.5981389, abs=1e-6)


@pytest.mark.parametrize(
    ("ties", "golden"), [("exact", 3.1027556), ("efron", 4.5259254), ("breslow", 5.2658575)]
)
def test_golden_values_of_ties(ties: Ties, golden: float) -> None:
    grades = torch.tensor([2, 2, 1, 1, 0], dtype=torch.float64)
    value = loss_of(ListMLE(ties, reduction="sum"), torch.tensor(GOLDEN).double(), grades)
    assert value == pytest.approx(golden, abs=2e-7)


def test_shuffle_is_the_mean_over_tie_orders() -> None:
    """The mean is 4.5074877; the log-likelihood of one of four orders is 4.4890499."""
    lists = [GOLDEN[:2], GOLDEN[2:4], GOLDEN[4:]]
    orders = [[*a, *b, *lists[2]] for a in permutations(lists[0]) for b in permutations(lists[1])]
    costs = [minus_log_p(order) for order in orders]
    assert np.mean(costs) == pytest.approx(4.5074877, abs=1e-7)
    likelihood = sum(math.exp(-cost) for cost in costs)
    assert -math.log(likelihood) == pytest.approx(3.1027556, abs=1e-7)
    copies, grades = 4000, torch.tensor([2.0, 2, 1, 1, 0])
    row, generator = ListMLE("shuffle", reduction="sum"), torch.Generator().manual_seed(5)
    many = torch.tensor(GOLDEN).repeat(copies), grades.repeat(copies), offsets_of([5] * copies)
    error = np.std(costs) / math.sqrt(copies)
    assert abs(row(*many, generator).item() - np.mean(costs)) < 3 * error
    one = {round(loss, 4) for loss in costs}
    drawn = {round(row(*(t[:5] for t in many[:2]), offsets_of([5]), generator).item(), 4)
             for _ in range(40)}  # fmt: skip
    assert drawn == one, "every order is drawn"


def test_unique_compares_with_itself_and_lower_grades() -> None:
    scores = torch.randn(12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    grades = torch.tensor([0, 2, 1, 1, 0, 2, 2, 1, 0, 0, 1, 2])
    cost, count = 0.0, 0
    for s, y in zip(scores.tolist(), grades.tolist(), strict=True):
        lower = [math.exp(other) for other in scores[grades < y].tolist()]
        cost += math.log(math.exp(s) + sum(lower)) - s
        count += bool(lower)
    assert loss_of(ListMLE(), scores, grades) == pytest.approx(cost / count)


def test_top_k_is_the_probability_of_the_first_k() -> None:
    """Of all orders that begin with these k items, summed."""
    scores = torch.randn(5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for k in (1, 2, 4, 5, 9):
        marginal = sum(
            math.exp(-minus_log_p([*scores[:k].tolist(), *rest]))
            for rest in permutations(scores[k:].tolist())
        )
        for ties in ("unique", "shuffle", "exact"):
            value = loss_of(ListMLE(ties, top_k=k, reduction="sum"), scores, by_descent(5))
            assert value == pytest.approx(-math.log(marginal))
        mean = loss_of(ListMLE(top_k=k), scores, by_descent(5))
        assert mean == pytest.approx(-math.log(marginal) / min(k, 4))


def test_a_cut_within_equal_grades_is_the_mean_over_their_orders() -> None:
    """Three items of a grade, one of them beyond the cut: each counts two thirds."""
    scores = torch.tensor([0.3, -1.0, 0.7, 0.1, 0.4], dtype=torch.float64)
    grades = torch.tensor([1.0, 1, 1, 0, 0], dtype=torch.float64)
    whole = loss_of(ListMLE(reduction="sum"), scores, grades)
    assert loss_of(ListMLE(top_k=2, reduction="sum"), scores, grades) == pytest.approx(
        whole * 2 / 3
    )
    assert loss_of(ListMLE(top_k=2), scores, grades) == pytest.approx(whole / 3)


@pytest.mark.parametrize(
    ("weights", "stage_weights"),
    [("log", [1, 1 / math.log2(3), 1 / 2]), ("gain", [2**4 - 1, 2**3 - 1, 2**2 - 1])],
)
def test_position_aware_weights(weights: str, stage_weights: list[float]) -> None:
    scores = [0.3, -1.0, 0.7, 0.1]
    stages = [minus_log_p(scores, i + 1) - minus_log_p(scores, i) for i in range(3)]
    for ties in ("unique", "shuffle"):
        value = loss_of(ListMLE(ties, weights=weights), torch.tensor(scores), by_descent(4))
        assert value == pytest.approx(np.average(stages, weights=stage_weights), rel=1e-5)


def test_equal_scores_pull_by_harmonic_numbers() -> None:
    """-1 + H_n - H_(n-k), n = 200: from -.995 of the best item to 4.88 of the worst."""
    scores = torch.zeros(200, requires_grad=True)
    row = ListMLE(reduction="sum")
    row(scores, by_descent(200), offsets_of([200])).backward()
    harmonic = np.concatenate([[0], np.cumsum(1 / np.arange(1, 201))])
    wanted = -1 + harmonic[200] - harmonic[199 - np.arange(200)]
    assert scores.grad is not None
    np.testing.assert_allclose(scores.grad, wanted, atol=1e-5)
    assert wanted[0] == pytest.approx(-0.995) and wanted[-1] == pytest.approx(4.878, abs=1e-3)


def test_the_tail_of_a_list_still_learns_far_below_its_head() -> None:
    """A sum of e^(s - max) with a small constant would lose what lies 30 below."""
    scores = torch.tensor([30.0, 0.0, 0.0], requires_grad=True)
    ListMLE(reduction="sum")(scores, by_descent(3), offsets_of([3])).backward()
    assert scores.grad is not None and scores.grad[1].item() == pytest.approx(-0.5)


def by_subsets(weights: list[float]) -> float:
    """ln P of a group by inclusion and exclusion: sum over subsets of (-1)^|S| / (1 + sum of S)."""
    return math.log(
        math.fsum(
            (-1) ** size / (1 + sum(subset))
            for size in range(len(weights) + 1)
            for subset in combinations(weights, size)
        )
    )


def test_quadrature_is_the_sum_over_subsets() -> None:
    rng = np.random.default_rng(0)
    groups = [rng.lognormal(mean, 1.0, size) for mean in (-1, 0, 2, 5) for size in (1, 2, 5, 9)]
    rows = torch.tensor(np.log(np.concatenate(groups)))
    group = torch.arange(len(groups)).repeat_interleave(torch.tensor([len(g) for g in groups]))
    found = log_probability(rows, group)
    np.testing.assert_allclose(found, [by_subsets(g.tolist()) for g in groups], atol=1e-8)


@pytest.mark.parametrize("items", [1, 3, 50, 1000])
@pytest.mark.parametrize("shift", [-200.0, -30.0, 0.0, 30.0, 200.0])
def test_quadrature_of_equal_items_is_a_beta_function(items: int, shift: float) -> None:
    """With a = e^shift: P = prod over i of i a / (1 + i a)."""
    log_weight = torch.full((items,), shift, dtype=torch.float64)
    found = log_probability(log_weight, torch.zeros(items, dtype=torch.long)).item()
    wanted = -np.log1p(np.exp(-shift) / np.arange(1, items + 1)).sum()
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9)
