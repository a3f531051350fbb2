"""What a masked label and a scene of multi-task nets keep apart.

pytest tests/rankers/nets/test_masks_and_scenes.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import BARE
from task_nets import IN_SCENES, NETS, ROWS, SCENES, SMALL, batch, made
from torch import Tensor

from src.rankers.losses.per_task import PerTask
from src.rankers.losses.pointwise import BCE
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.content_gate import ContentGate, History
from src.rankers.nets.esmm import ESMM
from src.rankers.nets.mlp import MLP
from src.rankers.nets.mmoe import MMoE
from src.rankers.nets.multi_task import MultiTask
from src.rankers.nets.ple import PLE
from src.rankers.nets.scaling import known_values


def labels(seed: int = 2) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 2, (ROWS, 2)).astype(np.float32))


@pytest.mark.parametrize("loss", [BCE(), Softmax()], ids=repr)
@pytest.mark.parametrize("net", NETS, ids=lambda net: type(net).__name__)
def test_a_masked_label_has_no_gradient_at_all(net: MultiTask, loss: BCE | Softmax) -> None:
    """Its row may be any row, and its label any label: exactly the same gradients, or zero."""
    module, rows, grades = made(net), batch(), labels()
    grades[[1, 2, 7], 1] = torch.nan
    grades[4] = torch.nan

    def step(numbers: Tensor) -> tuple[Tensor, Tensor]:
        scores = module({**rows, "numbers": numbers})
        scores.retain_grad()
        value = PerTask(loss, (1.0, 0.5))(scores, grades, rows["offsets"])
        value.backward()
        assert scores.grad is not None
        return scores.grad, value.detach()

    of_scores, value = step(rows["numbers"])
    assert (of_scores[[1, 2, 4, 7], 1] == 0).all() and (of_scores[4] == 0).all()
    assert (of_scores[:, 1] != 0).any() and torch.isfinite(of_scores).all()
    gradients = [p.grad.clone() for p in module.parameters() if p.grad is not None]
    module.zero_grad()
    changed = rows["numbers"].clone()
    changed[4] += 100
    _, other = step(changed)
    assert other == value
    again = [p.grad for p in module.parameters() if p.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(gradients, again, strict=True))


def test_the_loss_is_the_weighted_sum_over_what_is_known() -> None:
    rng = np.random.default_rng(5)
    scores, grades = torch.from_numpy(rng.normal(size=(ROWS, 2)).astype(np.float32)), labels()
    grades[:5, 1] = torch.nan
    whole = BCE()(scores[:, 0], grades[:, 0], torch.tensor([0, 5, 5, ROWS]))
    share = (ROWS - 5) / ROWS
    rest = BCE()(scores[5:, 1], grades[5:, 1], torch.tensor([0, ROWS - 5]))
    found = PerTask(BCE(), (2.0, 0.25))(scores, grades, torch.tensor([0, 5, 5, ROWS]))
    torch.testing.assert_close(found, 2 * whole + 0.25 * share * rest)
    nothing = PerTask(BCE(), (1.0, 1.0))(scores, grades * torch.nan, torch.tensor([0, ROWS]))
    assert nothing == 0


@pytest.mark.parametrize("net", NETS, ids=lambda net: type(net).__name__)
def test_a_row_of_a_scene_changes_no_other_tower(net: MultiTask) -> None:
    module, rows = made(net, IN_SCENES), batch()
    rows["codes"][:, 1] = 2
    module.train()(rows).sum().backward()
    for head, tower in enumerate(module.towers):
        moved = [p.grad is not None and bool((p.grad != 0).any()) for p in tower.parameters()]
        assert moved[-1] if head % SCENES == 2 else not any(moved)
    of_linear = module.linear.weight.grad
    assert (of_linear[[0, 1, 3, 4, 5, 7]] == 0).all() and (of_linear[[2, 6]] != 0).any()
    before = module.eval()(rows)
    with torch.no_grad():
        for head in (0, 1, 3, 4, 5, 7):
            for value in module.towers[head].parameters():
                value.normal_()
    assert torch.equal(module(rows), before)


def test_small_and_unknown_scenes_share_a_tower() -> None:
    """They have code 0; in training a share of all rows has it too."""
    scene = np.repeat([4, 7, 9], [30, 2, 12]).astype(np.float32)
    assert known_values(scene, 10).tolist() == [4, 9] and known_values(scene, 1).size == 3
    module, rows = made(MMoE(**{**SMALL, "hidden_scenes": 0.5}), IN_SCENES), batch()
    rows["codes"][:, 1] = 3
    assert torch.equal(module.hidden_scenes(rows["codes"]), rows["codes"]), "not in scoring"
    hidden = module.train().hidden_scenes(rows["codes"])[:, 1]
    assert set(hidden.tolist()) == {0, 3} and (rows["codes"][:, 1] == 3).all()
    module.zero_grad()
    module(rows).sum().backward()
    moved = [bool((t[-1].weight.grad != 0).any()) for t in module.towers]
    assert moved == [True, False, False, True] * 2


def test_rows_that_do_not_fit_are_refused() -> None:
    row = NetRanker("x", MMoE(scene="kind"), BCE())
    with pytest.raises(ValueError, match="ranker x: add its scene kind to categories"):
        row.check(BARE)
    replace(row, categories=("kind",)).check(BARE)
    with pytest.raises(ValueError, match="ranker x: a multi-task net tells objectives; not shared"):
        NetRanker("x", PLE(), BCE(), shared=True).check(BARE)
    with pytest.raises(ValueError, match=r"ranker x: weights of no objective: \['likes'\]"):
        NetRanker("x", PLE(weights=(("likes", 2.0),)), BCE()).check(BARE)
    refused = "ranker x: ESMM multiplies probabilities, so its loss is BCE"
    gated = ContentGate(ESMM(), ("x",), (History("rank"),))
    for net in (ESMM(), gated):
        NetRanker("x", net, BCE()).check(BARE)
        with pytest.raises(ValueError, match=refused):
            NetRanker("x", net, Softmax()).check(BARE)
    with pytest.raises(ValueError, match="experts and levels are 1 or more"):
        MMoE(experts=0)


def test_rows_are_shared_only_where_labels_and_codes_are_the_same() -> None:
    multi = NetRanker("x", MMoE(scene="kind", scene_rows=20), BCE(), categories=("kind",))
    single = replace(multi, net=MLP(), shared=True)
    others = [replace(multi, net=replace(multi.net, **change)) for change in (
        {"scene": ""}, {"scene_rows": 21})]  # fmt: skip
    assert len({row.group_key() for row in (single, multi, *others)}) == 4
    assert replace(multi, loss=Softmax()).group_key() == multi.group_key()
