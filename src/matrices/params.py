"""Matrix rows as numbers for the kernel, which has the constants here compiled in."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from src.core.arrays import F64, I64
from src.data.units import DAY
from src.matrices.definition import NEAR, SCALE, Span
from src.matrices.rows import CovisitationMatrix

ALL = 2**62
NEAR_BITS = NEAR.bit_length() - 1

FORWARD, FIRST_ONLY, REACH, WITHIN, OLDEST, TAIL, ONCE, PLAIN, DECAYED, NORMED = range(10)
RAMP, STEP, START, SPAN = range(4)


class Rules(NamedTuple):
    """Numbers of matrix rows for the kernel, which takes few arrays better than many.

    whole (rows, 10) int64, real (rows, 4) float64: columns as named above; REACH and WITHIN bound
    what can vote at all. A PLAIN row's vote depends on two types only, and stands in `votes`.
    """

    whole: I64
    real: F64
    votes: I64  # (rows, types, types)
    weight: F64  # (rows, types, types)
    near: F64  # (rows, NEAR): decay of so many seconds
    far: F64  # (rows, longest): of so many times NEAR


def rules_of(rows: list[CovisitationMatrix], span: Span) -> Rules:
    """The numbers of rows over events of a span."""
    n_types = max(max(len(r.source_weight), len(r.target_weight)) for r in rows)
    weight = np.zeros((len(rows), n_types, n_types))
    near = np.ones((len(rows), NEAR))
    longest = max((_silent(row) for row in rows if row.half_life is not None), default=0)
    far = np.ones((len(rows), longest // NEAR + 1))
    whole, real = np.empty((len(rows), 10), np.int64), np.empty((len(rows), 4))
    for r, row in enumerate(rows):
        outer = np.outer(row.source_weight, row.target_weight)
        weight[r, : outer.shape[0], : outer.shape[1]] = outer
        if row.half_life is not None:
            near[r] = 0.5 ** (np.arange(NEAR, dtype=np.float64) / row.half_life)
            far[r] = 0.5 ** (np.arange(far.shape[1], dtype=np.float64) * NEAR / row.half_life)
        whole[r, FORWARD], whole[r, FIRST_ONLY] = row.direction == "forward", row.first_only
        (whole[r, REACH], whole[r, WITHIN]), whole[r, TAIL] = reach(row), row.tail or ALL
        whole[r, OLDEST], whole[r, ONCE] = _oldest(row, span), row.once
        whole[r, DECAYED], whole[r, NORMED] = row.half_life is not None, row.session_norm
        steady = row.half_life is None and row.recency == 0 and row.step_decay == 1
        whole[r, PLAIN] = steady and not row.session_norm
        real[r] = row.recency, row.step_decay, span.first, max(span.last - span.first, 1)
    return Rules(whole, real, np.floor(weight * SCALE + 0.5).astype(np.int64), weight, near, far)


def _oldest(row: CovisitationMatrix, span: Span) -> int:
    """Only later events count."""
    return span.first - 1 if row.last_days is None else span.last - int(row.last_days * DAY)


def _silent(row: CovisitationMatrix) -> int:
    """Farther apart than this, in seconds, a vote rounds to nothing."""
    if row.half_life is None:
        return ALL
    heaviest = max(row.source_weight) * max(row.target_weight) * (1.0 + max(row.recency, 0.0))
    return math.ceil(row.half_life * (math.log2(SCALE * max(heaviest, 1.0)) + 1)) + 1


def reach(row: CovisitationMatrix) -> tuple[int, int]:
    """How far apart, in positions and seconds, events of a pair may be: what a walk costs."""
    return (row.steps or ALL, min(ALL if row.within is None else row.within, _silent(row)))
