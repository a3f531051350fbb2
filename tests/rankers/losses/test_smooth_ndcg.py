"""ApproxNDCG and NeuralNDCG: loops, golden values, limits, the schedule of the temperature.

pytest tests/rankers/losses/test_smooth_ndcg.py
"""

from __future__ import annotations

import math

import pytest
import torch
from ragged import offsets_of
from torch import Tensor

from src.rankers.losses.approx_ndcg import ApproxNDCG
from src.rankers.losses.base import Loss
from src.rankers.losses.lists import Lists
from src.rankers.losses.neural_ndcg import NeuralNDCG, soft_permutation
from src.rankers.losses.parts import MAX_CELLS
from src.rankers.losses.sinkhorn import STEPS, doubly_stochastic, scales

SAME = torch.tensor([0.5, 0.3, 0.5])


def one_list(seed: int, n: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n, generator=generator, dtype=torch.float64)
    return scores, torch.randint(4, (n,), generator=generator), offsets_of([n])


def ndcg(scores: Tensor, grades: Tensor, k: int | None = None) -> float:
    """NDCG by a sort."""

    def dcg(order: Tensor) -> float:
        gains = (2 ** grades[order][:k] - 1).tolist()
        return sum(gain / math.log2(2 + i) for i, gain in enumerate(gains))

    return dcg(scores.argsort(descending=True)) / dcg(grades.argsort(descending=True))


def test_approx_ndcg_is_the_loop() -> None:
    scores, grades, offsets = one_list(1)
    value, ideal = 0.0, 0.0
    for i, gain in enumerate((2.0**grades - 1).tolist()):
        others = [s for j, s in enumerate(scores.tolist()) if j != i]
        rank = 1 + sum(1 / (1 + math.exp((scores[i].item() - s) / 0.3)) for s in others)
        value += gain / math.log2(1 + rank)
    for i, grade in enumerate(grades.sort(descending=True).values.tolist()):
        ideal += (2**grade - 1) / math.log2(2 + i)
    found = ApproxNDCG(temperature=0.3)(scores, grades, offsets).item()
    assert found == pytest.approx(1 - value / ideal)


def test_golden_value_of_approx_ndcg() -> None:
    value = ApproxNDCG(temperature=1.0)(SAME, SAME, offsets_of([3])).item()
    assert value - 1 == pytest.approx(-0.8499220, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("row", "k"),
    [(ApproxNDCG(temperature=1e-4), None), (NeuralNDCG(temperature=1e-4), None),
     (NeuralNDCG(temperature=1e-4, k=3), 3)],
    ids=str,
)  # fmt: skip
def test_a_cold_one_is_ndcg(row: Loss, k: int | None, seed: int) -> None:
    scores, grades, offsets = one_list(seed)
    assert row(scores, grades, offsets).item() == pytest.approx(1 - ndcg(scores, grades, k))


def test_the_temperature_falls_by_a_constant_factor() -> None:
    row = ApproxNDCG(temperature=0.01, start_temperature=1.0)
    wanted = [1.0, 0.1, 0.01]
    assert [row.at(p).temperature for p in (0.0, 0.5, 1.0)] == pytest.approx(wanted)
    assert row.at(0.5).at(0.9) == row.at(0.5)
    fixed = ApproxNDCG(start_temperature=None)
    assert fixed.at(0.3) is fixed
    lists = one_list(1)
    assert row.at(1.0)(*lists).item() == pytest.approx(row(*lists).item())


def two_lists() -> Lists:
    """Of five and three items: the second one is padded."""
    scores = torch.randn(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Lists.of(scores, torch.zeros(8), offsets_of([5, 3]), torch.zeros(8, 0))


def test_neural_sort_is_its_formula() -> None:
    lists = two_lists()
    tables = soft_permutation(lists, 0.7)
    for table, n, first in ((tables[0], 5, 0), (tables[1], 3, 5)):
        scores = lists.scores[int(first > 0), :n]
        spread = (scores[:, None] - scores).abs().sum(1)
        wanted = [(((n + 1 - 2 * r) * scores - spread) / 0.7).softmax(0) for r in range(1, n + 1)]
        torch.testing.assert_close(table[:n, :n], torch.stack(wanted))
        assert not table[n:].any() and not table[:, n:].any()


def test_sinkhorn_makes_rows_and_columns_sum_to_1() -> None:
    table = doubly_stochastic(soft_permutation(two_lists(), 1.0))
    sums = torch.tensor([[1.0] * 5, [1, 1, 1, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(table.sum(1), sums, atol=1e-5, rtol=0)
    torch.testing.assert_close(table.sum(2), sums, atol=1e-5, rtol=0)


def test_the_lean_gradient_of_sinkhorn_is_that_of_its_steps() -> None:
    table = soft_permutation(two_lists(), 1.0)
    weights = torch.randn(2, 2, 5, generator=torch.Generator().manual_seed(1)).double()

    def by_steps(table: Tensor) -> tuple[Tensor, Tensor]:
        row = torch.ones_like(table[:, 0])
        for _ in range(STEPS):
            column = 1 / (table.mT @ row[:, :, None])[:, :, 0]
            row = 1 / (table @ column[:, :, None])[:, :, 0]
        return row, column

    for list_, n in ((0, 5), (1, 3)):
        gradients = []
        for how in (scales, by_steps):
            leaf = table[list_ : list_ + 1, :n, :n].clone().requires_grad_()
            row, column = how(leaf)
            (weights[0, list_, :n] * row + weights[1, list_, :n] * column).sum().backward()
            gradients.append(leaf.grad)
        torch.testing.assert_close(*gradients)


def test_lists_of_a_thousand_items_are_computed_in_parts() -> None:
    """Twenty lists of 1,000 are more cells than a part may have."""
    assert MAX_CELLS < 20 * 1000**2
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(20_000, generator=generator, requires_grad=True)
    grades = torch.zeros(20, 1000)
    grades[:, :3] = torch.tensor([2.0, 1, 1])
    value = ApproxNDCG()(scores, grades.flatten(), offsets_of([1000] * 20))
    value.backward()
    assert value.grad_fn is not None and "MeanInParts" in value.grad_fn.name()
    assert 0 < value.item() < 1 and scores.grad is not None and scores.grad.isfinite().all()
