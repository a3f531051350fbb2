"""Ragged lists as padded tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

FLOOR = 0.5
"""Pads have this share of the lowest finite score: exp of it is 0, and nothing becomes NaN."""


@dataclass(frozen=True)
class Lists:
    """Lists as tables (lists, longest); pads stand behind the items of a list.

    scores: float32, or float64 if given so; pads are far below any score. grades: float32, pads 0.
    mask: whether a cell is an item. size: items of each list, int64 (lists). noise: uniform draws
    of each item, float64 (lists, longest, draws).
    """

    scores: Tensor
    grades: Tensor
    mask: Tensor
    size: Tensor
    noise: Tensor

    @classmethod
    def of(cls, scores: Tensor, grades: Tensor, offsets: Tensor, noise: Tensor) -> Self:
        """Pad the rows of ragged lists.

        scores, grades: (rows). offsets: int64 (lists + 1). noise: float64 (rows, draws). Raises
        ValueError where the lengths differ.
        """
        rows = int(offsets[-1])
        if scores.shape != (rows,) or grades.shape != (rows,):
            shapes = f"scores {tuple(scores.shape)}, grades {tuple(grades.shape)}"
            raise ValueError(f"{shapes}: both need one value for each of {rows} rows of the lists")
        size = offsets.diff()
        position = torch.arange(max([1, *size.tolist()]), device=scores.device)
        mask = position < size[:, None]
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        floor = FLOOR * torch.finfo(scores.dtype).min
        table = scores.new_full(mask.shape, floor).masked_scatter(mask, scores)
        graded = table.new_zeros(mask.shape).masked_scatter(mask, grades.to(scores.dtype))
        draws = noise.new_zeros(*mask.shape, noise.shape[1])
        draws[mask] = noise
        return cls(table, graded, mask, size, draws)

    @property
    def count(self) -> int:
        return len(self.size)

    @property
    def longest(self) -> int:
        return self.scores.shape[1]

    @property
    def lowest(self) -> Tensor:
        """Return the lowest grade of each list; infinity for an empty one."""
        return self.grades.masked_fill(~self.mask, torch.inf).amin(1)

    @property
    def highest(self) -> Tensor:
        """Return the highest grade of each list; minus infinity for an empty one."""
        return self.grades.masked_fill(~self.mask, -torch.inf).amax(1)

    def keep(self, rows: Tensor | slice) -> Self:
        """Keep some lists; as many columns stay as the longest of them needs."""
        size = self.size[rows]
        longest = max([1, *size.tolist()])
        tables = {name: getattr(self, name)[rows][:, :longest]
                  for name in ("scores", "grades", "mask", "noise")}  # fmt: skip
        return replace(self, size=size, **tables)
