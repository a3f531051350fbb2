"""Columns of the pool, of the session, and of its events on the candidate.

pytest tests/features/test_session_features.py
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from plain_features import RECIPE, RETRIEVERS, at, pairs, plain_weight
from planted import DAY, history

from src.candidates.pool import Pool
from src.core.arrays import F32
from src.data.split_data import SplitData
from src.data.units import HOUR
from src.features.base import WEIGHTINGS


def test_pool_columns(pool: Pool, X: F32) -> None:
    assert X[:, at("rrf_score")].tolist() == pool.rrf_score.tolist()
    assert X[:, at("pool_rank")].tolist() == [p for n in np.diff(pool.offsets) for p in range(n)]
    for r, row in enumerate(RETRIEVERS):
        np.testing.assert_array_equal(X[:, at(f"rank_{row.name}")], pool.ranks[:, r].tolist())
        assert X[:, at(f"score_{row.name}")].tolist() == pool.scores[:, r].tolist()


def test_session_columns(data: SplitData, pool: Pool, X: F32) -> None:
    for i, (session, item) in enumerate(pairs(pool)):
        items, ts, types = zip(*history(data, session), strict=True)
        gaps, now = [b - a for a, b in pairwise(ts)], ts[-1]
        own = [j for j in range(len(items)) if items[j] == item]
        ago = [now - ts[j] for j in own] or [-1]
        wanted = {
            "session_events": len(ts), "session_items": len(set(items)),
            "session_seconds": now - ts[0], "session_last_gap": gaps[-1] if gaps else -1,
            "session_hour": now // HOUR % 24, "session_weekday": now // DAY % 7,
            "session_visits": 1 + sum(gap > 2 * HOUR for gap in gaps),
            "session_last_type": types[-1],
            "session_mean_gap": np.float32(now - ts[0]) / np.float32(max(len(gaps), 1)),
            "session_again": np.float32(1) - np.float32(len(set(items))) / np.float32(len(ts)),
            "session_item_count": len(own),
            "session_item_back": len(ts) - 1 - own[-1] if own else -1,
            "session_item_seconds": ago[-1],
            "session_item_last_type": types[own[-1]] if own else -1,
            "session_item_first_seconds": ago[0],
        }  # fmt: skip
        visit = max((j + 1 for j, gap in enumerate(gaps) if gap > 2 * HOUR), default=0)
        wanted |= {"session_visit_events": len(ts) - visit,
                   "session_visit_seconds": now - ts[visit]}  # fmt: skip
        for t, name in enumerate(RECIPE.types):
            wanted[f"session_{name}"] = types.count(t)
            wanted[f"session_item_{name}"] = sum(types[j] == t for j in own)
            since = [now - ts[j] for j in range(len(ts)) if types[j] == t]
            wanted[f"session_since_{name}"] = since[-1] if since else -1
            since = [now - ts[j] for j in own if types[j] == t]
            wanted[f"session_item_since_{name}"] = since[-1] if since else -1
        assert {name: X[i, at(name)] for name in wanted} == wanted
        events = history(data, session)
        for weighting in WEIGHTINGS:
            weight = sum(plain_weight(weighting, events, j) for j in own)
            found = X[i, at(f"session_item_weight_{weighting}")]
            assert found == pytest.approx(weight, rel=1e-5)
