"""Softmax cross-entropy and ListNet: by hand, by loops, and the bits of the padded table.

pytest tests/rankers/losses/test_softmax.py
"""

from __future__ import annotations

import math

import pytest
import torch
from ragged import offsets_of, random_lists
from torch import Tensor

from src.rankers.losses.listnet import ListNet
from src.rankers.losses.softmax import Softmax


def table_loss(scores: Tensor, grades: Tensor, sizes: list[int]) -> Tensor:
    """The mean over positives, read from a table that holds minus infinity."""
    query = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    position = torch.cat([torch.arange(n) for n in sizes])
    table = scores.new_full((len(sizes), max(sizes)), -float("inf"))
    table = table.index_put((query, position), scores).log_softmax(dim=1)
    return -table[query, position][grades == 1].mean()


def test_by_hand() -> None:
    scores = torch.log(torch.tensor([3.0, 1.0, 2.0, 4.0, 2.0]))
    wanted = -torch.tensor([3 / 4, 2 / 8, 4 / 8]).log()
    lists = scores, torch.tensor([1.0, 0, 1, 1, 0]), offsets_of([2, 3])
    assert Softmax()(*lists).item() == pytest.approx(wanted.mean().item())
    over_lists = (wanted[0] + wanted[1:].mean()) / 2
    assert Softmax(over="lists")(*lists).item() == pytest.approx(over_lists.item())


def test_a_single_item_is_no_list_where_lists_weigh_the_same() -> None:
    lists = torch.tensor([0.3, 0.1, 0.7]), torch.tensor([1.0, 1.0, 0.0])
    beside = Softmax(over="lists")(*lists, offsets_of([1, 2]))
    assert beside == Softmax(over="lists")(*(t[1:] for t in lists), offsets_of([2]))


def test_gains_are_weights() -> None:
    scores, grades = torch.log(torch.tensor([3.0, 1.0, 4.0])), torch.tensor([2.0, 1.0, 0.0])
    shares = -torch.tensor([3 / 8, 1 / 8]).log()
    for gain, weights in (("linear", [2, 1]), ("exponential", [3, 1])):
        wanted = (shares * torch.tensor(weights)).sum() / sum(weights)
        for over in ("positives", "lists"):
            row = Softmax(gain=gain, over=over)
            assert row(scores, grades, offsets_of([3])).item() == pytest.approx(wanted.item())


@pytest.mark.parametrize("seed", range(20))
def test_over_positives_has_the_bits_of_a_table(seed: int) -> None:
    """Whatever the lengths: lists without a positive stand in the table, too."""
    generator = torch.Generator().manual_seed(seed)
    scores, grades, sizes = random_lists(generator, count=40, longest=90, levels=2)
    gradients = []
    for loss in (
        lambda s: Softmax()(s, grades, offsets_of(sizes)),
        lambda s: table_loss(s, grades, sizes),
    ):
        leaf = scores.clone().requires_grad_()
        value = loss(leaf)
        value.backward()
        assert leaf.grad is not None
        gradients.append((value.item(), leaf.grad))
    assert gradients[0][0] == gradients[1][0]
    assert torch.equal(gradients[0][1], gradients[1][1])


def test_listnet_of_the_worked_example() -> None:
    """y = (3, 2, 1), s = (2.9, 1.5, 1.1): cross-entropy .84961, entropy .83240."""
    lists = torch.tensor([2.9, 1.5, 1.1]), torch.tensor([3.0, 2.0, 1.0]), offsets_of([3])
    assert ListNet()(*lists).item() == pytest.approx(0.84961, abs=5e-6)
    perfect = torch.tensor([3.0, 2.0, 1.0]), *lists[1:]
    assert ListNet()(*perfect).item() == pytest.approx(0.83240, abs=5e-6)


def test_listnets_gradient_is_share_minus_target_by_temperature() -> None:
    scores = torch.tensor([2.9, 1.5, 1.1, 0.3], dtype=torch.float64, requires_grad=True)
    grades = torch.tensor([3.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    row = ListNet(temperature=0.5, grade_temperature=2.0)
    row(scores, grades, offsets_of([4])).backward()
    wanted = ((scores / 0.5).softmax(0) - (grades / 2).softmax(0)) / 0.5
    torch.testing.assert_close(scores.grad, wanted.detach())


def test_one_positive_among_200_gets_little_of_listnets_target_and_all_of_softmax() -> None:
    grades = torch.zeros(200)
    grades[7] = 1
    pull = {}
    for row in (ListNet(), Softmax()):
        scores = torch.zeros(200, requires_grad=True)
        row(scores, grades, offsets_of([200])).backward()
        assert scores.grad is not None
        pull[type(row).__name__] = 1 / 200 - scores.grad[7].item()
    assert pull["ListNet"] == pytest.approx(math.e / (math.e + 199), abs=1e-6)  # 1.35 %
    assert pull["Softmax"] == pytest.approx(1)
