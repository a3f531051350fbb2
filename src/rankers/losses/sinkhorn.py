"""Sinkhorn's scaling of tables to rows and columns that sum to 1, with a lean gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

STEPS = 30
TINY = 1e-10  # a row or column with a smaller sum stays as it is: pads


def doubly_stochastic(table: Tensor) -> Tensor:
    """Scale rows and columns in turn (Sinkhorn and Knopp, 1967): (lists, n, n), of no negatives."""
    row, column = scales(table)
    return row[:, :, None] * table * column[:, None]


def scales(table: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factors of rows and of columns, (lists, n) each, after STEPS steps."""
    row, column = _Sinkhorn.apply(table)  # type: ignore[no-untyped-call]
    return row, column


class _Sinkhorn(torch.autograd.Function):
    """Keeps vectors of each step: the gradient is one product of them, not a table per step."""

    @staticmethod
    def forward(ctx: Any, table: Tensor) -> tuple[Tensor, Tensor]:
        row, rows, columns = torch.ones_like(table[:, :, 0]), [], []
        for _ in range(STEPS):
            rows.append(row)
            column = _inverse(_times(table.mT, row))
            row = _inverse(_times(table, column))
            columns.append(column)
        ctx.save_for_backward(table, torch.stack([*rows, row], 2), torch.stack(columns, 2))
        return row, column

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Go back through the steps; the gradients of the factors are those of their inverses."""
        table, rows, columns = ctx.saved_tensors
        of_row, of_column = gradients
        by_rows, by_columns = [], []
        for t in reversed(range(STEPS)):
            of_sum = -of_row * rows[:, :, t + 1].square()  # of table @ column
            by_columns.append(of_sum)
            of_column = (of_column if t == STEPS - 1 else 0) + _times(table.mT, of_sum)
            of_sum = -of_column * columns[:, :, t].square()  # of table.T @ row
            by_rows.append(of_sum)
            of_row = _times(table, of_sum)
        last = torch.stack(by_columns, 2) @ columns.flip(2).mT
        return last + rows[:, :, :-1].flip(2) @ torch.stack(by_rows, 2).mT


def _times(table: Tensor, vector: Tensor) -> Tensor:
    return torch.bmm(vector[:, None], table.mT)[:, 0]


def _inverse(total: Tensor) -> Tensor:
    """Return 1 / total, 0 where the total is TINY."""
    return torch.where(total > TINY, 1 / total.clamp(min=TINY), 0.0)
