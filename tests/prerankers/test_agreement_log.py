"""Agreement of two orders: known values, SciPy, and the bounds of ranks.

pytest tests/prerankers/test_agreement_log.py
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from src.prerankers.agreement import hit_rate, kendall_tau, ndcg, pair_accuracy, ranks

N = 150
ITEM = np.arange(N)


def test_the_same_order_agrees_fully() -> None:
    score = np.random.default_rng(0).normal(size=N)
    rank = ranks(score, ITEM)
    assert [hit_rate(rank, rank, k, n) for k, n in ((10, 10), (10, 60), (20, 150))] == [1, 1, 1]
    assert ndcg(rank, rank, 20) == pair_accuracy(score, score) == 1
    assert kendall_tau(score, score) == pytest.approx(1)


def test_a_random_order_hits_n_of_all() -> None:
    rng = np.random.default_rng(1)
    ranker = ranks(rng.normal(size=N), ITEM)
    others = [rng.normal(size=N) for _ in range(2000)]
    hits = [hit_rate(ranker, ranks(other, ITEM), 10, 60) for other in others]
    assert np.mean(hits) == pytest.approx(60 / N, abs=4 * np.std(hits) / len(hits) ** 0.5)
    accuracy = [pair_accuracy(ranker, other) for other in others[:50]]
    assert np.mean(accuracy) == pytest.approx(0.5, abs=0.02)


def test_the_reverse_order_disagrees_fully() -> None:
    rank = ranks(np.arange(N), ITEM)
    assert hit_rate(rank, N - 1 - rank, 10, N - 10) == 0
    assert kendall_tau(rank, -rank) == pytest.approx(-1) and pair_accuracy(rank, -rank) == 0


def test_ndcg_by_hand() -> None:
    """Three candidates; the pre-ranker lists the ranker's third, then its first."""
    found = ndcg(np.array([0, 1, 2]), np.array([1, 2, 0]), 2)
    half = 1 / np.log2(3)
    assert found == pytest.approx((1 / 3 + half) / (1 + half / 2))


@pytest.mark.parametrize("seed", range(5))
def test_tau_and_pairs_with_ties(seed: int) -> None:
    """Tau-b is SciPy's; pairs are counted by a plain loop."""
    a, b = np.random.default_rng(seed).integers(6, size=(2, 25)).astype(np.float32)
    assert kendall_tau(a, b) == kendalltau(a, b).statistic
    pairs = [(i, j) for i in range(25) for j in range(i)]
    alike = [0.5 + np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) / 2 for i, j in pairs]
    assert pair_accuracy(a, b) == pytest.approx(np.mean(alike))


def test_ties_go_by_item_and_small_pools_have_values() -> None:
    assert ranks(np.array([1, 2, 1, 2]), np.array([7, 9, 3, 8])).tolist() == [3, 1, 2, 0]
    one = np.zeros(1, np.int64)
    assert hit_rate(one, one, 10, 60) == ndcg(one, one, 20) == 1
    assert np.isnan(kendall_tau(one, one)) and np.isnan(pair_accuracy(one, one))
