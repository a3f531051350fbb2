"""The gate between a backbone and a content tower, and the histories that training hides.

pytest tests/rankers/nets/test_content_gate.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graded import graded_lists, rows_of
from task_nets import ROWS, SMALL, Plain, batch, made
from torch import Tensor

from src.core.engines import resolve
from src.rankers.losses.per_task import PerTask
from src.rankers.losses.pointwise import BCE
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.base import InputSizes
from src.rankers.nets.content_gate import ContentGate, History
from src.rankers.nets.mlp import MLP
from src.rankers.nets.mmoe import MMoE
from src.rankers.nets.model import NetModel
from src.rankers.nets.modules.content_gate import ContentGateModule
from src.rankers.nets.portable import OF_LISTS, pad
from src.rankers.nets.trainer import OneNet

NAMES = ("user_n", "title_0", "item_n", "user_rate", "title_1", "user_rate")
SIZES = InputSizes(
    6, 9, (7, 4, 5), 1, names=NAMES, category_names=("user", "kind", "topic"),
    absent=(-1.0, 0.0, -1.5, 0.0, 0.0, 1.0), means=(0.0,) * 5, deviations=(0.0,) * 5,
)  # fmt: skip
USER, ITEM = History("user_n", ("user",)), History("item_n", items=True)
PLAIN: dict[str, Any] = {"hidden": (5, 4), "dropout": 0.0, "norm": "none", "dim": 2}
NET = ContentGate(
    MLP(**PLAIN), ("title_", "topic"), (USER, ITEM), ("kind",), (3,), 0.0, "none", 2,
    hidden_histories=0.4,
)  # fmt: skip
TASKS = replace(NET, backbone=MMoE(**SMALL))
IN_SCENES = SIZES._replace(objectives=2, scene=1)
CASES = pytest.mark.parametrize(
    ("net", "sizes"), [(NET, SIZES), (TASKS, SIZES._replace(objectives=2)), (TASKS, IN_SCENES)],
    ids=["one score", "tasks", "tasks in scenes"],
)  # fmt: skip


def gated(net: ContentGate, sizes: InputSizes) -> ContentGateModule:
    module = made(net, sizes)
    assert isinstance(module, ContentGateModule)
    return module


@CASES
def test_scores_are_those_of_loops(net: ContentGate, sizes: InputSizes) -> None:
    module, rows = gated(net, sizes), batch(sizes)
    plain, objectives = Plain(module), sizes.objectives
    with torch.no_grad():
        parts, m = module.parts(rows), module.backbone(rows).numpy().reshape(ROWS, -1)
        found = module(rows).numpy().reshape(ROWS, -1)
    numbers, codes = rows["numbers"].numpy(), rows["codes"].numpy()
    for row in range(ROWS):
        kind, topic = (plain.weights[f"gate_inputs.category.{c}.weight"] for c in (0, 1))
        of_topic = plain.weights["content.category.0.weight"][codes[row, 2]]
        content = np.append(numbers[row, [1, 4]], of_topic)
        q = plain.linear("tower.1", plain.layers("tower.0", content))
        own = [o * 4 + codes[row, 1] for o in range(objectives)]
        own = own if sizes.scene else list(range(objectives))
        read = numbers[row, [0, 1, 2, 4]], kind[codes[row, 1]], topic[codes[row, 2]]
        gate = plain.linear("gate", np.concatenate([*read, np.abs(m[row] - q[own])]))
        alpha = 1 / (1 + np.exp(-gate[own]))
        wanted = (1 - alpha) * m[row] + alpha * q[own]
        np.testing.assert_allclose(found[row], wanted, atol=1e-5)
        np.testing.assert_allclose(parts.alpha[row].numpy(), alpha, atol=1e-5)
    assert np.ptp(parts.alpha.numpy()) > 0.3


@CASES
def test_a_shut_gate_is_the_backbone_and_an_open_one_the_tower(
    net: ContentGate, sizes: InputSizes
) -> None:
    module, rows = gated(net, sizes), batch(sizes)
    parts = module.parts(rows)
    with torch.no_grad():
        module.gate.weight.zero_()
        for bias, branch in ((-200.0, parts.backbone), (200.0, parts.content)):
            module.gate.bias.fill_(bias)
            assert torch.equal(module.parts(rows).score, branch)


@CASES
def test_padded_lists_have_the_scores_of_their_rows(net: ContentGate, sizes: InputSizes) -> None:
    """An exported net scores these."""
    module, rows = gated(net, sizes), batch(sizes)
    lists = {n: value.numpy() for n, value in rows.items()}
    lists["query"] = np.repeat([0, 2], [5, ROWS - 5])
    lists["position"] = np.concatenate([np.arange(5), np.arange(ROWS - 5)])
    lists |= dict.fromkeys(OF_LISTS, np.zeros((3, 0), np.int64))
    padded = pad(lists, ["numbers", "codes", "item", "present"])
    scores = module.padded({name: torch.from_numpy(value) for name, value in padded.items()})
    found = scores[lists["query"], lists["position"]]
    torch.testing.assert_close(found, module(rows))


def test_hidden_histories_change_their_columns_and_nothing_in_scoring() -> None:
    module, rows = gated(NET, SIZES), batch(SIZES)
    rows["item"] = torch.arange(ROWS) % 8 + 1
    rows["codes"] = rows["codes"].clamp(min=1)
    new = torch.tensor([2, 9])
    rows["numbers"][new, 0] = -1.0
    user, item = module.histories
    after = user(rows)
    hidden = (after["codes"][:, 0] == 0).numpy()
    assert 0 < hidden.sum() < ROWS
    assert torch.equal(after["numbers"][:, [1, 2, 4]], rows["numbers"][:, [1, 2, 4]])
    assert torch.equal(after["codes"][:, 1:], rows["codes"][:, 1:])
    assert torch.equal(after["item"], rows["item"])
    own = [0, 3, 5]
    assert torch.equal(after["numbers"][~hidden], rows["numbers"][~hidden])
    like = rows["numbers"][new][:, own].tolist()
    assert {str(row) for row in after["numbers"][hidden][:, own].tolist()} <= set(map(str, like))
    after = item(rows)
    hidden = (after["item"] == 0).numpy()
    assert 0 < hidden.sum() < ROWS and torch.equal(after["codes"], rows["codes"])
    assert (after["numbers"][hidden, 2] == -1.5).all(), "no row of the batch is new: absent"
    assert torch.equal(module(rows), module(rows)), "nothing is hidden in scoring"
    module.train()
    assert not torch.equal(module(rows), module(rows))


def test_a_row_is_new_by_its_count_wherever_the_count_stands() -> None:
    """Columns come in the order of the table: another one of the history may be the first."""
    first = History("item_n", ("user_",))  # user_n is column 0, the count column 2
    module = gated(replace(NET, histories=(first,)), SIZES)
    numbers = torch.zeros(ROWS, 6)
    numbers[3, 2] = -1.5  # no row of the item
    numbers[5, 2] = -1.0  # what user_n would be without a row
    assert module.histories[0].new(numbers).nonzero()[:, 0].tolist() == [3]


def test_the_history_of_a_popular_item_is_hidden_less_often() -> None:
    counts = torch.tensor([0.0, 4.0, 9.0, 99.0])
    sizes = SIZES._replace(means=(1.0,) * 5, deviations=(2.0,) * 5, absent=(-0.5,) * 6)
    numbers = ((counts.log1p() - 1) / 2)[:, None].expand(4, 6)
    user, _ = gated(NET, sizes).histories
    torch.testing.assert_close(user.shares(numbers), 0.4 * torch.tensor([1.0, 1.0, 0.5, 0.05]))


def test_all_parts_read_the_same_hidden_rows() -> None:
    """A row without history scores as a new user with a new item does."""
    net = replace(NET, hidden_histories=0.999999)
    module, rows = gated(net, SIZES), batch(SIZES)
    new = dict(rows)
    new["numbers"] = rows["numbers"].clone()
    new["numbers"][:, [0, 2, 3, 5]] = torch.tensor([-1.0, -1.5, 0.0, 1.0])
    new["codes"] = rows["codes"] * torch.tensor([0, 1, 1])
    wanted = module.parts(new)
    assert all(torch.equal(a, b) for a, b in zip(module.train().parts(rows), wanted, strict=True))


def test_a_masked_label_has_no_gradient_in_any_branch() -> None:
    module, rows = gated(TASKS, IN_SCENES), batch(IN_SCENES)
    grades = torch.from_numpy(np.random.default_rng(3).integers(0, 2, (ROWS, 2))).float()
    grades[4], grades[[1, 2], 1] = torch.nan, torch.nan

    def gradients(rows: dict[str, Tensor]) -> list[Tensor]:
        module.zero_grad()
        for weight, scores in module.branches(rows):
            scores.retain_grad()
            (weight * PerTask(BCE(), (1.0, 0.5))(scores, grades, rows["offsets"])).backward(
                retain_graph=True
            )
            assert scores.grad is not None
            assert (scores.grad[[1, 2, 4], 1] == 0).all() and (scores.grad[:, 0] != 0).any()
        return [p.grad.to_dense().clone() for p in module.parameters() if p.grad is not None]

    before = gradients(rows)
    moved = rows["numbers"].clone()
    moved[4] += 100
    after = gradients({**rows, "numbers": moved})
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


ROW = NetRanker(
    "x",
    replace(NET, content=("a",), histories=(History("rank", ("b",)),), gate=("taste",)),
    Softmax(),
    batch_size=16,
    epochs=2,
)


def test_the_loss_counts_both_branches(tmp_path: Path) -> None:
    row = replace(ROW, net=replace(ROW.net, hidden_histories=0.0, branch_weight=0.3))
    data = rows_of(row, graded_lists(tmp_path), tmp_path)
    model = NetModel.new(row, data.rows.scaler, 1, resolve("cpu"), 1)
    queries, draws = np.arange(20), torch.Generator()
    rows = model.tensors(data.rows.batch(queries))
    parts = model.nets[0].parts(rows)
    losses = [
        Softmax()(scores[:, 0], rows["label"], rows["offsets"]).item()
        for scores in (parts.score, parts.backbone, parts.content)
    ]
    found = OneNet(model, data, 0, [1]).train(queries, draws)
    assert found == pytest.approx(losses[0] + 0.3 * (losses[1] + losses[2]), rel=1e-5)


@pytest.mark.parametrize(("change", "words"), [
    ({"content": ("text",)}, "no column begins with text"),
    ({"histories": (History("clicks"),)}, "no number column is named clicks"),
    ({"content": ("title_", "user_rate")}, "user_rate is content, and of the history of user_n"),
])  # fmt: skip
def test_columns_that_are_missing_or_of_both_kinds_are_refused(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        replace(NET, **change).module(SIZES)


def test_a_gate_without_content_is_refused() -> None:
    with pytest.raises(ValueError, match="content, histories and hidden are not empty"):
        ContentGate(MLP(), (), (USER,))
