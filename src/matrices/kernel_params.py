"""Convert rows of co-visitation matrices to arrays for the counting kernel."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from src.core.arrays import F64, I64
from src.data.units import DAY
from src.matrices.self_merge import FINE, SCALE
from src.matrices.span import Span

if TYPE_CHECKING:
    from src.matrices.covisitation import CovisitationMatrix

UNBOUNDED = 2**62
FINE_BITS = FINE.bit_length() - 1


class Ints(IntEnum):
    """Columns of `KernelParams.ints`."""

    FIRST_ONLY = 0
    MAX_STEPS = 1  # pairs further apart, or with a gap of MAX_GAP seconds, do not vote
    MAX_GAP = 2
    AFTER = 3  # only events after this second count
    LAST_EVENTS = 4
    DEDUPE = 5
    PLAIN = 6  # a vote depends on the two types only, and is in `votes`
    DECAYED = 7
    NORMED = 8


class Floats(IntEnum):
    """Columns of `KernelParams.floats`."""

    TIME_WEIGHT = 0
    STEP_DECAY = 1
    SPAN_FIRST = 2
    SPAN_LENGTH = 3
    BACKWARD = 4


class KernelParams(NamedTuple):
    """Parameters of matrix rows for the kernel."""

    ints: I64  # (rows, Ints)
    floats: F64  # (rows, Floats)
    votes: I64  # (rows, types of x, types of y): weight * SCALE, rounded
    weight: F64  # (rows, types of x, types of y): source_weight * target_weight
    decay_fine: F64  # (rows, FINE): decay by seconds
    decay_coarse: F64  # (rows, n): decay by multiples of FINE seconds


def kernel_params(rows: list[CovisitationMatrix], span: Span) -> KernelParams:
    """Compute the parameters of rows, for events of the span."""
    n_types = max(max(len(r.source_weight), len(r.target_weight)) for r in rows)
    weight = np.zeros((len(rows), n_types, n_types))
    fine = np.ones((len(rows), FINE))
    longest = max((_silent_gap(row) for row in rows if row.half_life is not None), default=0)
    coarse = np.ones((len(rows), longest // FINE + 1))
    ints = np.empty((len(rows), len(Ints)), np.int64)
    floats = np.empty((len(rows), len(Floats)), np.float64)
    for r, row in enumerate(rows):
        outer = np.outer(row.source_weight, row.target_weight)
        weight[r, : outer.shape[0], : outer.shape[1]] = outer
        if row.half_life is not None:
            fine[r] = 0.5 ** (np.arange(FINE, dtype=np.float64) / row.half_life)
            coarse[r] = 0.5 ** (np.arange(coarse.shape[1], dtype=np.float64) * FINE / row.half_life)
        max_steps, max_gap = reach(row)
        steady = row.half_life is None and row.time_weight == 0 and row.step_decay == 1
        steady &= row.backward in (0, 1) and not row.session_norm
        ints[r, Ints.FIRST_ONLY] = row.first_only
        ints[r, Ints.MAX_STEPS], ints[r, Ints.MAX_GAP] = max_steps, max_gap
        ints[r, Ints.AFTER] = _after(row, span)
        ints[r, Ints.LAST_EVENTS] = UNBOUNDED if row.last_events is None else row.last_events
        ints[r, Ints.DEDUPE], ints[r, Ints.PLAIN] = row.dedupe, steady
        ints[r, Ints.DECAYED] = row.half_life is not None
        ints[r, Ints.NORMED] = row.session_norm
        length = max(span.last - span.first, 1)
        floats[r] = row.time_weight, row.step_decay, span.first, length, row.backward
    votes = np.floor(weight * SCALE + 0.5).astype(np.int64)
    return KernelParams(ints, floats, votes, weight, fine, coarse)


def _after(row: CovisitationMatrix, span: Span) -> int:
    """Return the second after which events count."""
    return span.first - 1 if row.last_days is None else span.last - int(row.last_days * DAY)


def _silent_gap(row: CovisitationMatrix) -> int:
    """Return a gap in seconds at which every vote of the row rounds to 0."""
    if row.half_life is None:
        return UNBOUNDED
    heaviest = max(row.source_weight) * max(row.target_weight) * (1.0 + max(row.time_weight, 0.0))
    return math.ceil(row.half_life * (math.log2(SCALE * max(heaviest, 1.0)) + 1)) + 1


def reach(row: CovisitationMatrix) -> tuple[int, int]:
    """Return the largest distance of a pair, in positions and seconds: the cost of a walk."""
    gap = UNBOUNDED if row.max_gap_s is None else row.max_gap_s
    steps = UNBOUNDED if row.max_steps is None else row.max_steps
    return steps, min(gap, _silent_gap(row))
