"""The multi-gate mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.nets.multi_task import MultiTask

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class MMoE(MultiTask):
    """Each tower reads a mixture of shared experts, by a gate of its own (Ma et al., 2018)."""

    experts: int = 4

    def trunk(self, width: int, heads: int) -> nn.Module:
        """Make experts and gates."""
        from src.rankers.nets.modules.mmoe import MMoETrunk

        return MMoETrunk(self, width, heads)
