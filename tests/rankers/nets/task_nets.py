"""Small multi-task nets with drawn weights, and rows for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from src.rankers.nets.base import InputSizes
from src.rankers.nets.esmm import ESMM
from src.rankers.nets.mmoe import MMoE
from src.rankers.nets.modules.layers import NetModule
from src.rankers.nets.multi_task import MultiTask
from src.rankers.nets.ple import PLE
from src.rankers.nets.shared_bottom import SharedBottom

NUMBERS, SCENES, ROWS = 3, 4, 12  # SCENES: codes, 0 is the unknown one
SMALL: dict[str, Any] = {
    "hidden": (5, 4), "tower": (3,), "dropout": 0.0, "norm": "none", "dim": 2, "hidden_scenes": 0.0,
}  # fmt: skip
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
