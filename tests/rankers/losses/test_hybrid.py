"""Hybrids: one scale for all terms, and the warm-up.

pytest tests/rankers/losses/test_hybrid.py
"""

from __future__ import annotations

import math

import pytest
import torch
from ragged import offsets_of, random_lists
from torch import Tensor

from src.rankers.losses.approx_ndcg import ApproxNDCG
from src.rankers.losses.base import Loss
from src.rankers.losses.hybrid import Hybrid
from src.rankers.losses.listmle import ListMLE
from src.rankers.losses.pairs import RankNet
from src.rankers.losses.pointwise import BCE
from src.rankers.losses.softmax import Softmax

SUMS: tuple[tuple[float, Loss], ...] = (
    (0.7, ListMLE(reduction="sum")),
    (0.3, RankNet()),
)


def lists(scale: float = 0.1) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    scores, grades, sizes = random_lists(generator, 6, 200, levels=4)
    return scores * scale, grades, offsets_of(sizes)


def norms(row: Hybrid, scale: float = 0.1) -> list[float]:
    """Norms of the gradients of the terms."""
    scores, grades, offsets = lists(scale)
    scores.requires_grad_()
    return [
        torch.autograd.grad(part, scores, retain_graph=True)[0].norm().item()
        for part in row.parts(scores, grades, offsets)
    ]


def test_unbalanced_is_the_plain_sum() -> None:
    some = lists()
    wanted = 0.7 * SUMS[0][1](*some) + 0.3 * SUMS[1][1](*some)
    assert Hybrid(SUMS, balanced=False)(*some).item() == pytest.approx(wanted.item())


def test_balanced_terms_cost_their_weights_for_equal_scores() -> None:
    scores, grades, offsets = lists()
    parts = Hybrid(SUMS).parts(0 * scores, grades, offsets)
    assert [part.item() for part in parts] == pytest.approx([0.7, 0.3])
    pairs = SUMS[1][1](scores, grades, offsets).item()
    found = Hybrid(SUMS).parts(scores, grades, offsets)[1].item()
    assert found == pytest.approx(0.3 * pairs / math.log(2))


def test_a_sum_over_stages_drowns_a_mean_over_pairs_unless_balanced() -> None:
    """70 and 30 are asked for; shares of gradient norms have that order, since values balance."""
    share = {}
    for balanced in (False, True):
        of_list, of_pairs = norms(Hybrid(SUMS, balanced=balanced))
        share[balanced] = of_pairs / (of_list + of_pairs)
    assert share[False] < 0.01 and 0.2 < share[True] < 0.7


def test_the_warm_up_fades_out_over_its_share_of_the_steps() -> None:
    row = Hybrid(((2.0, ApproxNDCG(0.1, 1.0)),), warm_up=Softmax(), warm_up_share=0.2)
    start, half, after = (row.at(p) for p in (0.0, 0.1, 0.2))
    assert [weight for weight, _ in start.terms] == [0.0, 1.0]
    assert [weight for weight, _ in half.terms] == pytest.approx([1.0, 0.5])
    assert [weight for weight, _ in after.terms] == [2.0]
    assert half.terms[1][1] == Softmax() and start.warm_up is None
    assert half.terms[0][1] == ApproxNDCG(0.1, 1.0).at(0.1), "terms have their schedule"
    some = lists()
    wanted = Hybrid(((1.0, Softmax()),))(*some)
    assert start(*some).item() == pytest.approx(wanted.item())


def test_a_term_that_says_nothing_leaves_the_others() -> None:
    """All grades are equal: ranks say nothing, rows still do."""
    scores = torch.tensor([0.3, -0.2], requires_grad=True)
    row = Hybrid(((0.5, RankNet()), (0.5, BCE())))
    value = row(scores, torch.ones(2), offsets_of([2]))
    value.backward()
    alone = BCE()(scores.detach(), torch.ones(2), offsets_of([2])) / math.log(2)
    assert value.item() == pytest.approx(alone.item() / 2)
    assert scores.grad is not None and scores.grad.all()


@pytest.mark.parametrize("bad", [(), ((-1.0, BCE()),)])
def test_weights_are_checked(bad: tuple[tuple[float, Loss], ...]) -> None:
    with pytest.raises(ValueError, match="it needs terms"):
        Hybrid(bad)
    with pytest.raises(ValueError, match="warm_up_share"):
        Hybrid(SUMS, warm_up_share=0.0)
