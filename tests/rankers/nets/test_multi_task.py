"""The scores of multi-task nets against loops in numpy.

pytest tests/rankers/nets/test_multi_task.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from task_nets import IN_SCENES, ROWS, SCENES, SIZES, SMALL, Plain, batch, made

from src.rankers.nets.base import InputSizes
from src.rankers.nets.esmm import ESMM
from src.rankers.nets.mlp import MLP
from src.rankers.nets.mmoe import MMoE
from src.rankers.nets.modules.esmm import chain
from src.rankers.nets.modules.layers import NetModule
from src.rankers.nets.multi_task import MultiTask
from src.rankers.nets.ple import PLE


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
    row = {"hidden": (5, 4), "dropout": 0.0, "norm": "none", "dim": 2}
    net, plain = made(MMoE(experts=1, tower=(), **row), sizes), MLP(**row).module(sizes)
    state = net.state_dict()
    for name, value in plain.state_dict().items():
        twin = name.replace("top.0.", "trunk.experts.layers.0.").replace("top.1.", "towers.0.1.")
        value.copy_(state[twin])
    assert torch.allclose(net(batch())[:, 0], plain(batch()), atol=1e-5)


def test_the_probability_of_a_step_is_the_product_of_all_rates() -> None:
    module, rows = made(ESMM(**SMALL)), batch()
    scores = module(rows).double().sigmoid()
    rates = super(type(module), module).scored(rows).double().sigmoid()
    torch.testing.assert_close(scores[:, 0], rates[:, 0])
    torch.testing.assert_close(scores[:, 1], rates[:, 0] * rates[:, 1], rtol=1e-5, atol=1e-7)
    sure = chain(torch.tensor([[30.0, 30.0], [-80.0, -60.0], [90.0, -5.0]]))
    wanted = [[30, 30 - np.log(2)], [-80, -140], [90, -5]]
    np.testing.assert_allclose(sure, wanted, rtol=1e-5)
