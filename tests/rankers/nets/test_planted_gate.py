"""The gate on a planted log: it trusts content where there is no history.

pytest tests/rankers/nets/test_planted_gate.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.gate import NETS, trained
from bench.gate_world import WORLDS, as_of, planted_log


def test_alpha_falls_with_the_history_of_the_item(tmp_path: Path) -> None:
    log = planted_log(WORLDS["new items are rare in training"], seed=1, rows=8000)
    zero, few, warm, _ = trained(NETS["gate"], log, tmp_path, seed=1).alpha
    assert zero > few + 0.02 and few > warm + 0.04


def test_a_planted_row_does_not_count_itself() -> None:
    item, label = np.array([3, 1, 3, 3, 1]), np.array([1.0, 0, 0, 1, 1])
    count, rate = as_of(item, label)
    assert count.tolist() == [0, 0, 1, 2, 1]
    assert np.isnan(rate[:2]).all() and rate[2:].tolist() == [1, 0.5, 0]
