"""Progressive layered extraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.nets.multi_task import MultiTask

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class PLE(MultiTask):
    """Each head mixes experts of its own and shared ones, level by level (Tang et al., 2020).

    Below the last level, a shared path mixes the experts of all heads. One level is CGC.
    """

    levels: int = 2
    own: int = 2  # experts of a head and level
    shared: int = 2  # shared experts of a level

    def trunk(self, width: int, heads: int) -> nn.Module:
        """Make the levels."""
        from src.rankers.nets.modules.ple import PLETrunk

        return PLETrunk(self, width, heads)
