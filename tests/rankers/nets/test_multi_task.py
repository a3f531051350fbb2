"""Multi-task nets against loops in numpy; what a mask and a scene keep apart.

pytest tests/rankers/nets/test_multi_task.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import BARE
from torch import Tensor

from src.rankers.losses.per_task import PerTask
from src.rankers.losses.pointwise import BCE
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.base import InputSizes
from src.rankers.nets.esmm import ESMM
from src.rankers.nets.mlp import MLP
from src.rankers.nets.mmoe import MMoE
from src.rankers.nets.modules.esmm import chain
from src.rankers.nets.modules.layers import NetModule
from src.rankers.nets.multi_task import MultiTask
from src.rankers.nets.ple import PLE
from src.rankers.nets.scaling import known_values
from src.rankers.nets.shared_bottom import SharedBottom

NUMBERS, SCENES, ROWS = 3, 4, 12  # SCENES: codes, 0 is the unknown one
SMALL = {"hidden": (5, 4), "tower": (3,), "dropout": 0.0, "dim": 2, "hidden_scenes": 0.0}
NETS: list[MultiTask] = [SharedBottom(**SMALL), MMoE(**SMALL), PLE(**SMALL), ESMM(**SMALL)]
SIZES = InputSizes(NUMBERS, 1, (6, SCENES), 1, objectives=2)
IN_SCENES = SIZES._replace(scene=1)


def made(net: MultiTask, sizes: InputSizes = SIZES) -> NetModule:
    """A net whose biases and gates are not 0 or alike."""
    torch.manual_seed(3)
    module = net.module(sizes)
    for value in module.parameters():
        torch.nn.init.normal_(value, std=0.7)
    return module.eval()


def batch(sizes: InputSizes = SIZES) -> dict[str, Tensor]:
    rng = np.random.default_rng(1)
    codes = [rng.integers(0, n, ROWS) for n in sizes.categories]
    arrays = {
        "numbers": rng.normal(size=(ROWS, sizes.numbers)).astype(np.float32),
        "codes": np.stack(codes, 1).astype(np.int32), "item": np.zeros(ROWS, np.int32),
        "offsets": np.array([0, 5, 5, ROWS]),
    }  # fmt: skip
    return {name: torch.from_numpy(value) for name, value in arrays.items()}


class Plain:
    """A net's weights by name, and its layers as loops."""

    def __init__(self, net: NetModule) -> None:
        self.weights = {n: v.detach().numpy().astype(float) for n, v in net.named_parameters()}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        W, b = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return np.array([sum(w * v for w, v in zip(row, x, strict=True)) for row in W]) + b

    def layers(self, name: str, x: np.ndarray) -> np.ndarray:
        """Hidden layers: each is linear, norm, ReLU, dropout."""
        number = 0
        while f"{name}.{4 * number}.weight" in self.weights:
            x = np.maximum(self.linear(f"{name}.{4 * number}", x), 0)
            number += 1
        return x

    def score(self, head: int, x: np.ndarray, h: np.ndarray) -> float:
        tower = self.linear(f"towers.{head}.1", self.layers(f"towers.{head}.0", h))[0]
        return tower + self.linear("linear", x)[head]


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum()


def mixed(gate: np.ndarray, experts: list[np.ndarray]) -> np.ndarray:
    return sum(weight * expert for weight, expert in zip(softmax(gate), experts, strict=True))


def of_mmoe(net: NetModule, inputs: np.ndarray, heads: int) -> np.ndarray:
    """Scores of all heads, (rows, heads), row by row and expert by expert."""
    plain, experts = Plain(net), MMoE().experts
    table = np.zeros((len(inputs), heads))
    for row, x in enumerate(inputs):
        expert = [plain.layers(f"trunk.experts.layers.{e}", x) for e in range(experts)]
        gates = plain.linear("trunk.gates", x)
        for head in range(heads):
            gate = gates[head * experts : (head + 1) * experts]
            table[row, head] = plain.score(head, x, mixed(gate, expert))
    return table


def of_cgc(net: NetModule, inputs: np.ndarray, heads: int) -> np.ndarray:
    """Customised gate control, as the paper has it: one level without a shared path."""
    plain, row = Plain(net), PLE()
    table, level = np.zeros((len(inputs), heads)), "trunk.levels.0"
    for r, x in enumerate(inputs):
        shared = [plain.layers(f"{level}.shared.layers.{e}", x) for e in range(row.shared)]
        for head in range(heads):
            own = [plain.layers(f"{level}.own.{head}.layers.{e}", x) for e in range(row.own)]
            h = mixed(plain.linear(f"{level}.gates.{head}", x), [*own, *shared])
            table[r, head] = plain.score(head, x, h)
    return table


def of_ple(net: NetModule, inputs: np.ndarray, heads: int) -> np.ndarray:
    """Two levels: the shared path of the first mixes the experts of all."""
    plain, row = Plain(net), PLE()
    table = np.zeros((len(inputs), heads))
    for r, x in enumerate(inputs):
        at, shared = [x] * heads, x
        for level in ("trunk.levels.0", "trunk.levels.1"):
            own = [
                [plain.layers(f"{level}.own.{h}.layers.{e}", at[h]) for e in range(row.own)]
                for h in range(heads)
            ]
            common = [plain.layers(f"{level}.shared.layers.{e}", shared) for e in range(row.shared)]
            gates = [plain.linear(f"{level}.gates.{h}", at[h]) for h in range(heads)]
            if level.endswith("0"):
                gate = plain.linear(f"{level}.shared_gate", shared)
                shared = mixed(gate, [*(e for experts in own for e in experts), *common])
            at = [mixed(gates[h], [*own[h], *common]) for h in range(heads)]
        table[r] = [plain.score(h, x, at[h]) for h in range(heads)]
    return table


@pytest.mark.parametrize(
    ("net", "twin"),
    [(MMoE(**SMALL), of_mmoe), (PLE(**SMALL), of_ple), (PLE(**SMALL, levels=1), of_cgc)],
    ids=["mmoe", "ple", "cgc"],
)
@pytest.mark.parametrize("sizes", [SIZES, IN_SCENES], ids=["tasks", "tasks in scenes"])
def test_scores_are_those_of_loops(net: MultiTask, twin: object, sizes: InputSizes) -> None:
    module, rows = made(net, sizes), batch()
    with torch.no_grad():
        inputs, found = module.inputs(rows).numpy(), module(rows).numpy()
    heads = 2 if sizes.scene is None else 2 * SCENES
    wanted = twin(module, inputs.astype(float), heads)  # type: ignore[operator]
    if sizes.scene is not None:
        scene = rows["codes"][:, sizes.scene].numpy()
        wanted = np.stack([wanted[np.arange(ROWS), o * SCENES + scene] for o in (0, 1)], 1)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.ptp(found, axis=0).min() > 0.1


def test_one_expert_and_one_task_are_a_plain_perceptron() -> None:
    sizes = SIZES._replace(objectives=1)
    row = {"hidden": (5, 4), "dropout": 0.0, "dim": 2}
    net, plain = (
        made(MMoE(experts=1, tower=(), **row), sizes),
        MLP(norm="none", **row).module(sizes),
    )
    state = net.state_dict()
    for name, value in plain.state_dict().items():
        twin = name.replace("top.0.", "trunk.experts.layers.0.").replace("top.1.", "towers.0.1.")
        value.copy_(state[twin])
    assert torch.allclose(net(batch())[:, 0], plain(batch()), atol=1e-5)


def test_the_probability_of_a_step_is_the_product_of_all_rates() -> None:
    module, rows = made(ESMM(**SMALL)), batch()
    scores = module(rows).double().sigmoid()
    rates = super(type(module), module).forward(rows).double().sigmoid()
    torch.testing.assert_close(scores[:, 0], rates[:, 0])
    torch.testing.assert_close(scores[:, 1], rates[:, 0] * rates[:, 1], rtol=1e-5, atol=1e-7)
    sure = chain(torch.tensor([[30.0, 30.0], [-80.0, -60.0], [90.0, -5.0]]))
    wanted = [[30, 30 - np.log(2)], [-80, -140], [90, -5]]
    np.testing.assert_allclose(sure, wanted, rtol=1e-5)


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
    with pytest.raises(ValueError, match="experts and levels are 1 or more"):
        MMoE(experts=0)
