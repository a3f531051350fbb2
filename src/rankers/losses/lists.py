"""Ragged lists as padded tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

FLOOR = 0.5
"""Pads have this share of the lowest finite score: exp of it is 0, and nothing becomes NaN."""


def floor_of(scores: Tensor) -> float:
    """Return the score of pads, by the dtype of scores."""
    return FLOOR * torch.finfo(scores.dtype).min


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
        table = scores.new_full(mask.shape, floor_of(scores)).masked_scatter(mask, scores)
        graded = table.new_zeros(mask.shape).masked_scatter(mask, grades.to(scores.dtype))
        draws = noise.new_zeros(*mask.shape, noise.shape[1])
        draws[mask] = noise
        return cls(table, graded, mask, size, draws)

    @property
    def count(self) -> int:
        return len(self.size)

    @property
    def floor(self) -> float:
        return floor_of(self.scores)

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

    def take(self, order: Tensor) -> Self:
        """Reorder the items of each list; order: int64 (lists, longest)."""
        noise = self.noise.gather(1, order[:, :, None].expand_as(self.noise))
        scores, grades, mask = (t.gather(1, order) for t in (self.scores, self.grades, self.mask))
        return replace(self, scores=scores, grades=grades, mask=mask, noise=noise)

    def by_grade(self, tie_breaker: Tensor | None = None) -> Self:
        """Sort the items of each list by grade, highest first; pads stay behind.

        tie_breaker: (lists, longest) orders items of the same grade; None: as they stand.
        """
        lists = self if tie_breaker is None else self.take(tie_breaker.argsort(1))
        grades = lists.grades.masked_fill(~lists.mask, -torch.inf)
        return lists.take(grades.argsort(dim=1, descending=True, stable=True))

    def ranks(self) -> Tensor:
        """Return the rank of each item by score, from 1: int64. Equal scores rank as they stand."""
        order = self.scores.detach().argsort(dim=1, descending=True, stable=True)
        position = torch.arange(1, self.longest + 1, device=order.device)
        return torch.empty_like(order).scatter_(1, order, position.expand_as(order))

    def some(self, flag: Tensor) -> tuple[Tensor, Tensor]:
        """Return columns of the flagged items, (lists, most of a list), and which are no fill."""
        columns = flag.byte().argsort(dim=1, descending=True, stable=True)
        columns = columns[:, : max([1, *flag.sum(1).tolist()])]
        return columns, flag.gather(1, columns)


@dataclass(frozen=True)
class Groups:
    """Items of the same grade in lists that are sorted by grade: int64 (lists, longest) each.

    start, end: first column of the item's group, and the one behind the group.
    """

    start: Tensor
    end: Tensor

    @classmethod
    def of(cls, lists: Lists) -> Self:
        """Find the groups; pads are groups of their own."""
        grades = lists.grades.masked_fill(~lists.mask, -torch.inf)
        position = torch.arange(lists.longest, device=grades.device)
        edge = torch.ones_like(grades[:, :1], dtype=torch.bool)
        new = torch.cat([edge, grades[:, 1:] != grades[:, :-1]], 1)
        is_last = torch.cat([new[:, 1:], edge], 1)
        start = position.where(new, 0).cummax(1).values
        end = (position + 1).where(is_last, lists.longest).flip(1).cummin(1).values.flip(1)
        return cls(start, end)

    @property
    def size(self) -> Tensor:
        return self.end - self.start

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of the item's group: float64."""
        total = torch.nn.functional.pad(values.double().cumsum(1), (1, 0))
        return (total.gather(1, self.end) - total.gather(1, self.start)) / self.size
