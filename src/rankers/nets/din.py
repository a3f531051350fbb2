"""The deep interest network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.nets.base import InputSizes, Net

if TYPE_CHECKING:
    from src.rankers.nets.modules.layers import NetModule


@dataclass(frozen=True)
class DIN(Net):
    """Attention of a candidate over the last events of the session (Zhou et al., 2018).

    It reads all features too. A session without an event has an empty history.
    """

    needs_items = True

    dim: int = 16  # of the vectors of items, categories, event types and recency
    max_len: int = 10  # last events of the session that it reads
    hidden: tuple[int, ...] = (128, 64)

    def module(self, sizes: InputSizes) -> NetModule:
        """Make the attention and the layers on top."""
        from src.rankers.nets.modules.din import DINModule

        return DINModule(self, sizes)
