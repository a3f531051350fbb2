"""A backbone, a content tower, and the gate between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from src.rankers.nets.base import InputSizes
from src.rankers.nets.modules.hidden_history import HiddenHistory
from src.rankers.nets.modules.layers import NetModule, RowInputs, flat, hidden_layers
from src.rankers.nets.modules.multi_task import MultiTaskModule

if TYPE_CHECKING:
    from src.rankers.nets.content_gate import ContentGate


class Parts(NamedTuple):
    """Parts of a score, each (rows, objectives); a net of one score has one objective."""

    backbone: Tensor
    content: Tensor
    alpha: Tensor

    @property
    def score(self) -> Tensor:
        """The scores of both branches, mixed."""
        return (1 - self.alpha) * self.backbone + self.alpha * self.content


class ContentGateModule(NetModule):
    """Mixes the scores of both branches; a history is hidden from all parts alike."""

    def __init__(self, row: ContentGate, sizes: InputSizes) -> None:
        super().__init__()
        self.branch_weight, self.one_score = row.branch_weight, not row.multi_task
        histories = [HiddenHistory(h, row.hidden_histories, sizes) for h in row.histories]
        counts = tuple(history.count for history in row.histories)
        content, gate = sizes.named(row.content), sizes.named((*counts, *row.gate, *row.content))
        for history in histories:
            history.check_apart(*content)
        self.histories = nn.ModuleList(histories)
        self.backbone = row.backbone.module(sizes)
        self.content = RowInputs(sizes, row.dim, *content)
        self.gate_inputs = RowInputs(sizes, row.dim, *gate)
        scenes = 1 if sizes.scene is None else sizes.categories[sizes.scene]
        heads = sizes.objectives * scenes
        layers = hidden_layers(self.content.width, row.hidden, row.dropout, row.norm)
        self.tower = nn.Sequential(layers, nn.Linear(row.hidden[-1], heads))
        self.gate = nn.Linear(self.gate_inputs.width + sizes.objectives, heads)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Score the rows of a batch of QueryRows.batch: (rows), or (rows, objectives)."""
        return self.as_scores(self.parts(batch).score)

    def branches(self, batch: dict[str, Tensor]) -> list[tuple[float, Tensor]]:
        """Return the scores, and those of both branches."""
        parts = self.parts(batch)
        weights = (1.0, parts.score), *((self.branch_weight, branch) for branch in parts[:2])
        return [(weight, self.as_scores(scores)) for weight, scores in weights]

    def parts(self, batch: dict[str, Tensor]) -> Parts:
        """Compute all parts of the scores of the rows of a batch."""
        if self.training:
            for history in self.histories:
                batch = history(batch)
        if isinstance(self.backbone, MultiTaskModule):
            batch = {**batch, "codes": self.backbone.hidden_scenes(batch["codes"])}
            return self.mixed(self.backbone.scored(batch), batch)
        return self.mixed(self.backbone(batch)[:, None], batch)

    def padded(self, batch: dict[str, Tensor]) -> Tensor:
        """Score padded lists, as the backbone does."""
        scores: Tensor = self.backbone.padded(batch)
        shape = scores.shape
        scores = scores.flatten(0, 1)
        scores = scores[:, None] if self.one_score else scores
        return self.mixed(scores, flat(batch)).score.reshape(shape)

    def mixed(self, backbone: Tensor, batch: dict[str, Tensor]) -> Parts:
        """Compute the other parts; backbone: its scores, (rows, objectives)."""
        content = self.own(self.tower(self.content(batch)), batch)
        return Parts(backbone, content, self.alpha(backbone, content, batch))

    def alpha(self, backbone: Tensor, content: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Compute the share of the content: (rows, objectives)."""
        apart = (backbone - content).abs().detach()
        inputs = torch.cat([self.gate_inputs(batch), apart], 1)
        return self.own(self.gate(inputs), batch).sigmoid()

    def own(self, of_heads: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Pick the heads of each row's scene, as the backbone does: (rows, objectives)."""
        if isinstance(self.backbone, MultiTaskModule):
            return self.backbone.own(of_heads, batch["codes"])
        return of_heads

    def as_scores(self, scores: Tensor) -> Tensor:
        """Return what `forward` does, of (rows, objectives)."""
        return scores[:, 0] if self.one_score else scores
