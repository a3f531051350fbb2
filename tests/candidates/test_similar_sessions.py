"""Which sessions a query is compared with.

pytest tests/candidates/test_similar_sessions.py
"""

from __future__ import annotations

import numpy as np

from src.candidates.similar_sessions_kernel import nearest_in_time
from src.data.events_kernel import LAST


def test_compared_sessions_end_nearest_in_time() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        low, n = 2, int(rng.integers(1, 9))
        entries = np.zeros((low + n + 2, 3), np.int32)
        last = np.sort(rng.integers(0, 9, n))[::-1]
        entries[low : low + n, LAST] = last
        now, size = int(rng.integers(0, 9)), int(rng.integers(1, 10))
        first = nearest_in_time(entries, low, low + n, now, size) - low
        late = int((last > now).sum())
        order = sorted([*range(late)[::-1], *range(late, n)], key=lambda p: abs(last[p] - now))
        assert sorted(order[:size]) == list(range(first, min(n, first + size)))
