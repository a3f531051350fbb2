"""One bottom for all objectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.nets.multi_task import MultiTask

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class SharedBottom(MultiTask):
    """All towers read the same hidden layers (Caruana, 1997)."""

    def trunk(self, width: int, heads: int) -> nn.Module:
        """Make the hidden layers."""
        from src.rankers.nets.modules.shared_bottom import SharedBottomTrunk

        return SharedBottomTrunk(self, width, heads)
