"""What holds for every loss: gradients, invariances, lists that say nothing, huge scores.

pytest tests/rankers/losses/test_every_loss.py
"""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from ragged import offsets_of, random_lists
from rows import HYBRIDS, LISTWISE, OVER_POSITIVES, POINTWISE, ROWS
from torch import Tensor
from worlds import ROOT

from src.rankers.losses import parts
from src.rankers.losses.base import Loss
from src.rankers.losses.lambdas import LambdaRank
from src.rankers.losses.listmle import ListMLE
from src.rankers.losses.pairs import RankNet

every_row = pytest.mark.parametrize("row", ROWS, ids=str)
DETERMINISTIC = [row for row in [*POINTWISE, *LISTWISE] if not getattr(row, "draws", 0)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_lists(seed: int = 1, longest: int = 9) -> tuple[Tensor, Tensor, list[int]]:
    return random_lists(seeded(seed), 12, longest, levels=4, dtype=torch.float64)


def value_and_gradient(
    row: Loss, scores: Tensor, grades: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    leaf = scores.clone().requires_grad_()
    value = row(leaf, grades, offsets, seeded())
    value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


@every_row
def test_gradient_is_that_of_differences(row: Loss) -> None:
    scores, grades, sizes = random_lists(seeded(2), 5, 7, levels=3, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda s: row(s, grades, offsets_of(sizes), seeded()), scores.requires_grad_()
    )


@pytest.mark.parametrize("row", [*OVER_POSITIVES, *LISTWISE], ids=str)
def test_a_constant_added_to_a_list_changes_nothing(row: Loss) -> None:
    scores, grades, sizes = some_lists()
    shift = torch.repeat_interleave(torch.arange(12.0) * 7 - 40, torch.tensor(sizes))
    both = [value_and_gradient(row, s, grades, offsets_of(sizes)) for s in (scores, scores + shift)]
    torch.testing.assert_close(both[0], both[1])


@pytest.mark.parametrize("row", DETERMINISTIC, ids=str)
def test_the_order_of_rows_within_a_list_does_not_matter(row: Loss) -> None:
    scores, grades, sizes = some_lists()
    first = offsets_of(sizes)[:-1].tolist()
    order = torch.cat(
        [a + torch.randperm(n, generator=seeded(a)) for a, n in zip(first, sizes, strict=True)]
    )
    value, gradient = value_and_gradient(row, scores, grades, offsets_of(sizes))
    other = value_and_gradient(row, scores[order], grades[order], offsets_of(sizes))
    torch.testing.assert_close((value, gradient[order]), other)


@pytest.mark.parametrize("row", DETERMINISTIC, ids=str)
def test_a_batch_is_the_mean_of_its_lists(row: Loss) -> None:
    """So a list has the same value beside longer lists, which pad it."""
    scores, grades, sizes = some_lists()
    pairs = zip(scores.split(sizes), grades.split(sizes), strict=True)
    says = [(s, g) for s, g in pairs if row in POINTWISE or g.unique().numel() > 1]
    assert len(says) < len(sizes) or row in POINTWISE
    wanted = torch.stack([row(s, g, offsets_of([len(s)])) for s, g in says]).mean()
    torch.testing.assert_close(row(scores, grades, offsets_of(sizes)), wanted)


@every_row
def test_lists_that_say_nothing_cost_nothing_and_have_a_gradient(row: Loss) -> None:
    for sizes in ([], [0], [1], [0, 1, 1], [4]):
        scores = torch.full((sum(sizes),), 1e30)
        value, gradient = value_and_gradient(row, scores, 0 * scores, offsets_of(sizes))
        if row in POINTWISE and sum(sizes):
            assert value > 0
        else:
            assert value == 0 and not gradient.any(), sizes


@every_row
def test_empty_and_single_lists_beside_others_change_nothing(row: Loss) -> None:
    scores, grades, sizes = some_lists()
    sizes = [n for n in sizes if n > 1]
    rows = sum(sizes)
    scores, grades = scores[:rows], grades[:rows]
    value = row(scores, grades, offsets_of(sizes), seeded())
    beside = row(scores, grades, offsets_of([*sizes, 0, 0]), seeded())
    torch.testing.assert_close(beside, value)


@every_row
@pytest.mark.parametrize("scale", [1e2, 1e4, 1e30])
def test_huge_scores_are_finite_in_float32(row: Loss, scale: float) -> None:
    """Squares of 1e30 are infinite, and so is the loss of a regression; nothing is NaN."""
    scores, grades, sizes = random_lists(seeded(3), 12, 9, levels=4)
    value, gradient = value_and_gradient(row, scores * scale, grades, offsets_of(sizes))
    assert not value.isnan() and gradient.isfinite().all()


@every_row
def test_equal_scores_are_no_trouble(row: Loss) -> None:
    _, grades, sizes = random_lists(seeded(3), 12, 9, levels=4)
    value, gradient = value_and_gradient(row, 0 * grades, grades, offsets_of(sizes))
    assert value.isfinite() and gradient.isfinite().all() and gradient.any()


@every_row
def test_half_precision_is_computed_in_float32(row: Loss) -> None:
    scores, grades, sizes = random_lists(seeded(3), 12, 9, levels=4)
    scores = scores.to(torch.bfloat16)
    wanted = row(scores.float(), grades, offsets_of(sizes), seeded())
    with torch.autocast("cpu", torch.bfloat16):
        found = row(scores, grades, offsets_of(sizes), seeded())
    assert found.dtype == torch.float32 and torch.equal(found, wanted)


@every_row
def test_a_seed_gives_the_same_bytes(row: Loss) -> None:
    scores, grades, sizes = random_lists(seeded(3), 12, 9, levels=2)
    runs = [value_and_gradient(row, scores, grades, offsets_of(sizes)) for _ in range(2)]
    assert torch.equal(runs[0][0], runs[1][0]) and torch.equal(runs[0][1], runs[1][1])


@pytest.mark.parametrize("row", [ListMLE("shuffle"), RankNet(sampled=1), HYBRIDS[0]], ids=str)
def test_what_draws_needs_a_generator(row: Loss) -> None:
    with pytest.raises(ValueError, match=r"draws: pass a torch\.Generator"):
        row(torch.zeros(2), torch.arange(2), offsets_of([2]))


@every_row
def test_parts_of_a_large_batch_add_up(row: Loss, monkeypatch: pytest.MonkeyPatch) -> None:
    scores, grades, sizes = some_lists()
    whole = value_and_gradient(row, scores, grades, offsets_of(sizes))
    monkeypatch.setattr(parts, "MAX_CELLS", 200)
    in_parts = value_and_gradient(row, scores, grades, offsets_of(sizes))
    torch.testing.assert_close(whole, in_parts)
    alone = row(scores, grades, offsets_of(sizes), seeded())
    assert torch.equal(alone, in_parts[0]) and not alone.requires_grad


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"scores \(3,\), grades \(2,\).* 3 rows"):
        ROWS[0](torch.zeros(3), torch.zeros(2), offsets_of([3]))


def test_grades_beyond_the_gains_are_refused() -> None:
    for row in (LambdaRank(), ListMLE(weights="gain")):
        with pytest.raises(ValueError, match=r"grade 40 is above 31.* linear gain"):
            row(torch.zeros(2), torch.tensor([40.0, 0.0]), offsets_of([2]))
    assert LambdaRank(gain="linear")(torch.zeros(2), torch.tensor([40.0, 0.0]), offsets_of([2])) > 0


def test_rows_do_not_load_torch() -> None:
    code = "import sys; sys.path.insert(0, 'tests/rankers/losses'); import rows; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
