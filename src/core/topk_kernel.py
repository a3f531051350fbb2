# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Sorted lists of the best items, and the constant of reciprocal rank fusion."""

from __future__ import annotations

from numba import njit

RRF_K = 10.0
"""A list's vote for its rank r (from 0) is 1 / (RRF_K + r).

Cormack, Clarke and Buettcher (SIGIR 2009) take 60, for lists of a thousand documents. Lists here
have 20 to 100 items, and the first few matter most.
"""


@njit(cache=True)
def insert_top(item, score, n, y, s):
    """Put item y with score s into a row that holds n sorted items; returns the new n."""
    top = item.size
    if n == top and (s < score[n - 1] or (s == score[n - 1] and y > item[n - 1])):
        return n
    i = n if n < top else top - 1
    while i > 0 and (score[i - 1] < s or (score[i - 1] == s and item[i - 1] > y)):
        item[i] = item[i - 1]
        score[i] = score[i - 1]
        i -= 1
    item[i] = y
    score[i] = s
    return min(n + 1, top)
