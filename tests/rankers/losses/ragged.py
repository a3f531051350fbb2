"""Ragged lists for the tests of losses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def offsets_of(sizes: Sequence[int]) -> Tensor:
    """Offsets of lists of these sizes: int64 (lists + 1)."""
    return torch.tensor([0, *sizes]).cumsum(0)


def random_lists(
    generator: torch.Generator, count: int, longest: int, levels: int,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, list[int]]:  # fmt: skip
    """Draw lists of 1 to `longest` items: normal scores, grades below `levels`, sizes."""
    sizes = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    scores = torch.randn(sum(sizes), generator=generator, dtype=torch.float64)
    grades = torch.randint(levels, (sum(sizes),), generator=generator)
    return scores.to(dtype), grades.to(dtype), sizes
