"""A cross-encoder: candidates and the query's last items in one transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.nets.base import InputSizes, Net

if TYPE_CHECKING:
    from src.rankers.nets.modules.layers import NetModule


@dataclass(frozen=True)
class CrossEncoder(Net):
    """Compares the vectors of a candidate and of the last items, such as those of their texts.

    Each layer lets a candidate read the last items, and the other candidates of the query. The last
    items do not read the candidate, unlike in the cross-encoders of texts (Nogueira & Cho, "Passage
    Re-ranking with BERT", 2019): so a query is read once for all its candidates. All features are
    read too. An item without a vector, and a session without an event, are no special case.
    """

    vectors: tuple[str, ...] = ()  # embeddings whose vectors of an item, joined, are read; some
    max_len: int = 10  # last events of the session that it reads
    width: int = 64  # of an item between the layers
    heads: int = 4
    layers: int = 2
    dropout: float = 0.1
    dim: int = 16  # of the vectors of categories

    def __post_init__(self) -> None:
        if self.width % self.heads or not self.vectors:
            raise ValueError("CrossEncoder: name vectors; width is a multiple of heads")

    def module(self, sizes: InputSizes) -> NetModule:
        """Make the layers; ValueError inside of another net, which hands it no vectors."""
        if not sizes.vector:
            raise ValueError("CrossEncoder reads vectors of items: it is no part of another net")
        from src.rankers.nets.modules.cross_encoder import CrossEncoderModule

        return CrossEncoderModule(self, sizes)
