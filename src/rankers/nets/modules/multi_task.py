"""Heads over a trunk: an objective each, or an objective within a scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from src.rankers.nets.base import InputSizes
from src.rankers.nets.modules.layers import (
    Dropout,
    NetModule,
    RowInputs,
    hidden_layers,
    item_vectors,
)

if TYPE_CHECKING:
    from src.rankers.nets.multi_task import MultiTask


class MultiTaskModule(NetModule):
    """A trunk, and for each head a tower over its output and a linear term of the inputs.

    Head `o * scenes + s` is of objective o in the scene of code s. Code 0 is that of unknown
    scenes, and of hidden ones in training.
    """

    def __init__(self, row: MultiTask, sizes: InputSizes) -> None:
        super().__init__()
        self.scene, self.hide = sizes.scene, Dropout(row.hidden_scenes)
        scenes = 1 if sizes.scene is None else sizes.categories[sizes.scene]
        self.shape = sizes.objectives, scenes
        heads = sizes.objectives * scenes
        self.inputs = RowInputs(sizes, row.dim, item=item_vectors(sizes, row.dim))
        self.trunk = row.trunk(self.inputs.width, heads)
        self.linear = nn.Linear(self.inputs.width, heads)
        self.towers = nn.ModuleList(_tower(row) for _ in range(heads))

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Score the rows of a batch of QueryRows.batch: (rows, objectives)."""
        return self.scored({**batch, "codes": self.hidden_scenes(batch["codes"])})

    def scored(self, batch: dict[str, Tensor]) -> Tensor:
        """Score the rows of a batch whose scenes are already hidden: (rows, objectives)."""
        x = self.inputs(batch)
        pairs = zip(self.towers, self.trunk(x).unbind(1), strict=True)
        of_heads = self.linear(x) + torch.cat([tower(h) for tower, h in pairs], 1)
        return self.own(of_heads, batch["codes"])

    def own(self, of_heads: Tensor, codes: Tensor) -> Tensor:
        """Pick the heads of each row's scene: (rows, heads) to (rows, objectives)."""
        of_scenes = of_heads.reshape(-1, *self.shape)
        if self.scene is None:
            return of_scenes[:, :, 0]
        own = codes[:, self.scene, None, None].long().expand(-1, self.shape[0], 1)
        return of_scenes.gather(2, own)[:, :, 0]

    def hidden_scenes(self, codes: Tensor) -> Tensor:
        """Replace the scene of some rows by the unknown one, in training."""
        if self.scene is None or not self.training:
            return codes
        kept = self.hide(torch.ones(len(codes), device=codes.device)) > 0
        codes = codes.clone()
        codes[:, self.scene] *= kept
        return codes


def _tower(row: MultiTask) -> nn.Sequential:
    width: int = row.hidden[-1]
    layers = hidden_layers(width, row.tower, row.dropout)
    return nn.Sequential(layers, nn.Linear((width, *row.tower)[-1], 1))
