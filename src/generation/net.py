"""The generator's net: an encoder of the items so far, a decoder of the codes of the next item.

The encoder is a causal transformer over items; an item is the sum of the vectors of its codes. So
one pass over a session trains all its places at once. The decoder of a level is a layer that reads
the state of a place and the codes so far. Only codes that go on to an item share the probability:
those of all items add up to 1.

Place 0 is a start vector, which a session without an event has too. The text of the session, if it
is read, is added there.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from src.core.arrays import F32

STD = 0.05  # of the vectors at first
_draws = threading.local()


@dataclass(frozen=True)
class Shape:
    """Sizes of a net: number of codes of each level, width, layers and heads of the encoder."""

    sizes: tuple[int, ...]
    dim: int
    layers: int
    heads: int
    max_len: int  # events, at most, that are read
    dropout: float = 0.0
    own: int = 0  # items that are read by a vector of their own too; 0: by their codes alone
    text: int = 0  # numbers of the vector of a session's text; 0: no text is read


def draw_dropout_from(rng: np.random.Generator) -> None:
    """Set what this thread's dropout draws from; torch's own would depend on the other threads."""
    _draws.rng = rng


class Dropout(nn.Module):
    """Sets a share of its input, in 256ths, to 0 in training; the rest grows: the mean stays."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.dropped = round(256 * share)

    def forward(self, x: Tensor) -> Tensor:
        """Return x with zeros."""
        if not self.training or not self.dropped:
            return x
        drawn = np.frombuffer(_draws.rng.bytes(x.numel()), np.uint8) >= self.dropped
        factor = drawn.astype(np.float32) * np.float32(256 / (256 - self.dropped))
        return x * torch.from_numpy(factor.reshape(x.shape)).to(x.device)


class Decoder(nn.Module):
    """Predicts a code from the state of a place and the codes so far."""

    def __init__(self, shape: Shape, level: int) -> None:
        super().__init__()
        self.state = nn.Linear(shape.dim, 2 * shape.dim)
        self.codes = nn.ModuleList(
            nn.Embedding(size, 2 * shape.dim) for size in shape.sizes[:level]
        )
        self.out = nn.Linear(2 * shape.dim, shape.dim)
        self.norm, self.drop = nn.LayerNorm(shape.dim), Dropout(shape.dropout)

    def forward(self, state: Tensor, owner: Tensor, prefix: Tensor) -> Tensor:
        """Return a vector for each prefix (n, level): (n, dim). owner: row of its state."""
        hidden = self.state(state)[owner]
        for place, table in enumerate(self.codes):
            hidden = hidden + table(prefix[:, place])
        out: Tensor = self.norm(state[owner] + self.out(self.drop(functional.gelu(hidden))))
        return out


class GeneratorNet(nn.Module):
    """Encodes items, and decodes the codes of the next one."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        dim, every = shape.dim, range(len(shape.sizes))
        self.codes = nn.ModuleList(nn.Embedding(size, dim) for size in shape.sizes)
        self.own = nn.Embedding(shape.own, dim)
        self.start = nn.Parameter(torch.zeros(dim))
        self.place = nn.Embedding(shape.max_len + 1, dim)
        self.layers = nn.ModuleList(_layer(shape) for _ in range(shape.layers))
        self.norm, self.drop = nn.LayerNorm(dim), Dropout(shape.dropout)
        self.decoders = nn.ModuleList(Decoder(shape, level) for level in every)
        self.biases = nn.ParameterList(torch.zeros(size) for size in shape.sizes)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=STD)
        nn.init.zeros_(self.own.weight)
        self.text = nn.Linear(shape.text, dim, bias=False) if shape.text else None

    @torch.no_grad()
    def begin_at(self, centres: Sequence[F32]) -> None:
        """Set the vectors of the codes of the first levels to centres (codes, any dim).

        They are projected at random and scaled by one factor; the first ones lose their mean. So an
        item is near those like it before the first batch.
        """
        first, *rest = centres
        project = torch.randn(first.shape[1], self.shape.dim) / self.shape.dim**0.5
        first = first - first.mean(axis=0)
        scale = STD / max(float(first.std()), 1e-6)
        for level, centre in enumerate((first, *rest)):
            weight = self.get_parameter(f"codes.{level}.weight")
            weight[: len(centre)] = torch.from_numpy(centre) @ project * scale

    def items(self, codes: Tensor) -> Tensor:
        """Return the vectors of items: (..., dim), 0 for -1.

        codes: int64 (..., levels + 1), those of the levels and the number of the item.
        """
        tables = [*self.codes, self.own] if self.shape.own else self.codes
        total = sum(table(codes[..., level].clamp(min=0)) for level, table in enumerate(tables))
        return total * (codes[..., :1] >= 0)

    def encode(self, codes: Tensor, text: Tensor | None = None) -> Tensor:
        """Encode events to states (n, s + 1, dim): before the first event, and after each.

        codes: int64 (n, s, levels + 1), as `items` reads them, oldest event first; an event of
        codes -1 is not read. text: (n, shape.text), the vectors of the sessions' texts.
        """
        n, s = codes.shape[:2]
        start = self.start.expand(n, 1, -1)
        if self.text is not None:
            start = start + self.text(text)[:, None]
        x = torch.cat([start, self.items(codes)], 1)
        x = self.drop(x * self.shape.dim**0.5 + self.place.weight[: s + 1])
        later = torch.full((s + 1, s + 1), -torch.inf, device=x.device).triu(1)
        for layer in self.layers:
            x = layer(x, src_mask=later)
        states: Tensor = self.norm(x)
        return states

    def log_probabilities(
        self, state: Tensor, owner: Tensor, prefix: Tensor, allowed: Tensor
    ) -> Tensor:
        """Return natural logarithms of the probabilities of the next code: (n, codes).

        state: (states, dim). prefix: int64 (n, codes so far); owner: int64 (n), row of its state.
        allowed: bool (n, codes), as in Trie.allowed; others get -inf.
        """
        level = prefix.shape[1]
        out = self.decoders[level](state, owner, prefix)
        logits = out @ self.codes[level].weight.T + self.biases[level]
        return functional.log_softmax(logits.masked_fill(~allowed, -torch.inf), -1)


def _layer(shape: Shape) -> nn.TransformerEncoderLayer:
    """Make a layer that normalises first, with dropout of our own."""
    layer = nn.TransformerEncoderLayer(
        shape.dim, shape.heads, 2 * shape.dim, dropout=0.0, activation="gelu", batch_first=True,
        norm_first=True,
    )  # fmt: skip
    for name in ("dropout", "dropout1", "dropout2"):
        setattr(layer, name, Dropout(shape.dropout))
    return layer
