# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill the columns of GivenFeature and GivenFusionFeature."""

from __future__ import annotations

import math
from enum import CONTINUOUS, UNIQUE, IntEnum, verify

import numpy as np
from numba import njit, prange

from src.candidates.pool_kernel import RRF_K


@verify(UNIQUE, CONTINUOUS)
class Form(IntEnum):
    """What a column holds of a given value; recipes and names have the lower case of a name."""

    VALUE = 0
    RANK = 1  # share of the query's candidates with a smaller value
    ZSCORE = 2
    RECIPROCAL = 3


@verify(UNIQUE, CONTINUOUS)
class Fusion(IntEnum):
    """Columns of GivenFusionFeature."""

    N_LISTS = 0
    RRF = 1
    BORDA = 2


@njit(cache=True)
def _rank_shares(values):
    """Return for each value the share of all values that are smaller; 1 for NaN."""
    share = np.ones(values.size, np.float32)
    order = np.argsort(values, kind="mergesort")  # NaN last
    smaller = 0
    for place in range(order.size):
        value = values[order[place]]
        if math.isnan(value):
            break
        if place > 0 and value > values[order[place - 1]]:
            smaller = place
        share[order[place]] = smaller / values.size
    return share


@njit(cache=True)
def _z_scores(values):
    """Return the deviations from the mean of the known values, in standard deviations."""
    n, total, squares = 0, 0.0, 0.0
    for value in values:
        if not math.isnan(value):
            n, total = n + 1, total + value
    mean = total / max(n, 1)
    for value in values:
        if not math.isnan(value):
            squares += (value - mean) ** 2
    deviation = math.sqrt(squares / max(n, 1))
    out = np.zeros(values.size, np.float32)
    for r in range(values.size):
        if deviation > 0.0 and not math.isnan(values[r]):
            out[r] = (values[r] - mean) / deviation
    return out


@njit(parallel=True, cache=True)
def form_columns(offsets, values, forms, column, X):
    """Write every form of every column of the values: the columns of the first form come first.

    offsets: CSR of the queries. values: float32 (candidates, columns), NaN where missing. forms:
    int64, members of Form.
    """
    n_columns = values.shape[1]
    for q in prange(offsets.size - 1):
        first, end = offsets[q], offsets[q + 1]
        for c in range(n_columns):
            of_query = values[first:end, c].copy()
            for f in range(forms.size):
                out = X[first:end, column + f * n_columns + c]
                if forms[f] == Form.VALUE:
                    out[:] = of_query
                elif forms[f] == Form.RANK:
                    out[:] = _rank_shares(of_query)
                elif forms[f] == Form.ZSCORE:
                    out[:] = _z_scores(of_query)
                else:
                    for r in range(end - first):
                        known = not math.isnan(of_query[r])
                        out[r] = 1.0 / (RRF_K + of_query[r]) if known else 0.0


@njit(parallel=True, cache=True)
def fusion_columns(offsets, values, column, X):
    """Write the columns of Fusion; offsets, values: as for `form_columns`."""
    n_columns = values.shape[1]
    for q in prange(offsets.size - 1):
        first, end = offsets[q], offsets[q + 1]
        total = np.zeros((end - first, 3), np.float64)
        for c in range(n_columns):
            of_query = values[first:end, c].copy()
            share = _rank_shares(of_query)
            for r in range(end - first):
                if not math.isnan(of_query[r]):
                    total[r, Fusion.N_LISTS] += 1.0
                    total[r, Fusion.RRF] += 1.0 / (RRF_K + of_query[r])
                    total[r, Fusion.BORDA] += (1.0 - share[r]) / n_columns
        X[first:end, column : column + 3] = total
