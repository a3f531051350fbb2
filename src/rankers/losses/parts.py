"""Mean over lists whose tables of pairs do not fit into memory together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from src.rankers.losses.lists import Lists

MAX_CELLS = 2**22
"""Cells of pairs (lists x longest x longest) that are computed at a time, 16 MiB in float32."""

Values = Callable[[Lists], Tensor]


def mean_in_parts(values: Values, lists: Lists) -> Tensor:
    """Compute the mean of `values`, (lists), for lists of similar lengths together.

    Of a large batch, each part is computed with its gradient, and only the gradient is kept.
    """
    parts = list(_parts(lists.size))
    if sum(_cells(lists.size[part]) for part in parts) > MAX_CELLS:
        mean: Tensor = _MeanInParts.apply(lists.scores, lists, parts, values)  # type: ignore[no-untyped-call]
        return mean
    return torch.cat([values(lists.keep(part)) for part in parts]).mean()


def _cells(size: Tensor) -> int:
    return len(size) * int(size.max()) ** 2


def _parts(size: Tensor) -> Iterator[Tensor]:
    """Yield indices of lists whose lengths have the same power of 2, in parts of MAX_CELLS."""
    bucket = (size - 1).double().log2().floor()
    for length in sorted(set(bucket.tolist())):
        alike = (bucket == length).nonzero()[:, 0]
        yield from alike.split(max(1, MAX_CELLS // int(size[alike].max()) ** 2))


class _MeanInParts(torch.autograd.Function):
    """Holds the tables of one part at a time, and a gradient of the size of the scores."""

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, lists: Lists, parts: list[Tensor], values: Values
    ) -> Tensor:
        """Add up the values of the parts, and keep their gradient."""
        total, gradient = scores.new_zeros(()), torch.zeros_like(scores)
        for part in parts:
            kept = lists.keep(part)
            with torch.set_grad_enabled(ctx.needs_input_grad[0]):
                leaf = kept.scores.detach().requires_grad_(ctx.needs_input_grad[0])
                value = values(replace(kept, scores=leaf)).sum()
            if leaf.requires_grad:
                gradient[part, : kept.longest] = torch.autograd.grad(value, leaf)[0]
            total += value.detach()
        ctx.save_for_backward(gradient / lists.count)
        return total / lists.count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *of_mean: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return of_mean[0] * gradient, None, None, None
