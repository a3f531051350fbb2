# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Keep a sorted list of the best items."""

from __future__ import annotations

from numba import njit


@njit(cache=True)
def insert_top(item, score, n, y, s):
    """Insert item y with score s into a list that holds n items, best first; return the new n.

    item, score: of the list, its length at most. Ties go by item id.
    """
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
