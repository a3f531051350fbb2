"""Base class of nets that give each objective a score of its own."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.nets.base import InputSizes, Net, TaskWeights
from src.rankers.nets.mlp import Norm

if TYPE_CHECKING:
    from torch import nn

    from src.rankers.nets.modules.layers import NetModule

COUNTS = ("experts", "levels", "own", "shared")
"""Fields of some kinds that are at least 1."""


@dataclass(frozen=True)
class MultiTask(Net):
    """One net for all objectives: a trunk, then a tower and a linear term for each head.

    A head is an objective, or an objective within a scene: a category of the row that the ranker
    reads. The scene of a candidate picks the head. Scenes of few rows and unknown ones share a
    head; it learns from all scenes, by rows whose scene is hidden.

    A kind is a subclass with a trunk. The loss is summed over objectives; a row without a label for
    an objective has no part in its loss.
    """

    multi_task = True

    hidden: tuple[int, ...] = (128, 64)  # layers of the trunk, or of each expert in it
    tower: tuple[int, ...] = (32,)  # hidden layers of a head
    dropout: float = 0.1  # share of the hidden units that are 0 in training
    norm: Norm = "batch"  # of the trunk or the experts; a tower has none
    dim: int = 16  # of the vectors of items and categories
    weights: TaskWeights = ()
    scene: str = ""
    scene_rows: int = 1000  # of the rows to which the scaler is fitted
    hidden_scenes: float = 0.1  # share of the rows whose scene is unknown in training

    def __post_init__(self) -> None:
        if not self.hidden or min(vars(self).get(name, 1) for name in COUNTS) < 1:
            raise ValueError(
                f"{self}: hidden has a layer at least, experts and levels are 1 or more"
            )

    def module(self, sizes: InputSizes) -> NetModule:
        """Make the trunk and the heads."""
        from src.rankers.nets.modules.multi_task import MultiTaskModule

        return MultiTaskModule(self, sizes)

    @abstractmethod
    def trunk(self, width: int, heads: int) -> nn.Module:
        """Make what is below the towers: it maps (rows, width) to (rows, heads, hidden[-1])."""
