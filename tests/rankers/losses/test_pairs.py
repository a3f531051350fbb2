"""RankNet: loops over pairs, samples against all pairs.

pytest tests/rankers/losses/test_pairs.py
"""

from __future__ import annotations

import math

import pytest
import torch
from ragged import offsets_of, random_lists
from torch import Tensor

from src.rankers.losses.pairs import RankNet

GAPS = {"equal": lambda a, b: 1.0, "grade": lambda a, b: a - b, "gain": lambda a, b: 2**a - 2**b}


def by_loops(row: RankNet, scores: list[float], grades: list[float]) -> float:
    """The weighted mean, or sum, over pairs of one list."""
    total = weights = 0.0
    for s, y in zip(scores, grades, strict=True):
        for t, z in zip(scores, grades, strict=True):
            if y > z:
                weight = GAPS[row.weight](y, z)
                total += weight * math.log1p(math.exp(-row.sigma * (s - t)))
                weights += weight
    return total if row.reduction == "sum" else total / weights


def one_list(seed: int, n: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n, generator=generator, dtype=torch.float64)
    return scores, torch.randint(4, (n,), generator=generator), offsets_of([n])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weight", GAPS)
def test_all_pairs_are_the_loops(weight: str, reduction: str) -> None:
    row = RankNet(sigma=1.7, weight=weight, reduction=reduction)
    lists = one_list(1)
    wanted = by_loops(row, lists[0].tolist(), lists[1].tolist())
    assert row(*lists).item() == pytest.approx(wanted)


def test_golden_value() -> None:
    same = torch.tensor([0.5, 0.3, 0.5])
    assert RankNet(reduction="sum")(same, same, offsets_of([3])).item() == pytest.approx(1.1962777)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weight", GAPS)
def test_a_sample_has_the_mean_of_all_pairs(weight: str, reduction: str) -> None:
    """For the loss and for its gradient, within 4 standard errors."""
    whole, sample = (RankNet(weight=weight, reduction=reduction, sampled=n) for n in (None, 2))
    scores, grades, offsets = one_list(2)
    generator, draws = torch.Generator().manual_seed(3), []
    for row in [whole] + 600 * [sample]:
        leaf = scores.clone().requires_grad_()
        value = row(leaf, grades, offsets, generator)
        value.backward()
        assert leaf.grad is not None
        draws.append(torch.cat([value.detach()[None], leaf.grad]))
    drawn = torch.stack(draws[1:])
    error = drawn.std(0) / math.sqrt(len(drawn))
    assert ((drawn.mean(0) - draws[0]).abs() < 4 * error).all() and (error > 0).all()


def test_a_sample_has_no_pair_of_equal_grades() -> None:
    """Such a pair would cost 50, others cost nothing; pads of a longer list are no partners."""
    scores, grades = torch.tensor([50.0, 0, -100, -150, 1, 0]), torch.tensor([1.0, 1, 0, 0, 1, 0])
    row, generator = RankNet(sampled=20), torch.Generator().manual_seed(0)
    values = [row(scores, grades, offsets_of([4, 2]), generator).item() for _ in range(20)]
    assert values == pytest.approx([math.log1p(math.exp(-1)) / 2] * 20)


def test_long_lists_weigh_as_much_as_short_ones() -> None:
    scores, grades, sizes = random_lists(torch.Generator().manual_seed(4), 2, 30, levels=3)
    assert min(sizes) > 1
    parts = zip(scores.split(sizes), grades.split(sizes), strict=True)
    wanted = [by_loops(RankNet(), s.tolist(), g.tolist()) for s, g in parts]
    assert RankNet()(scores, grades, offsets_of(sizes)).item() == pytest.approx(sum(wanted) / 2)
