"""Which candidates the rankers learn from.

pytest tests/rankers/test_sampling.py
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import polars as pl
import pytest
from planted import BARE

from src.candidates.pool import Pool
from src.rankers.sampling import Sampler, labels_of, samplers


@pytest.fixture(scope="module")
def pool() -> Pool:
    """40 queries of up to 60 candidates, the first number of a session 100."""
    rng = np.random.default_rng(5)
    size = rng.integers(1, 60, 40)
    item = np.concatenate([rng.permutation(90)[:n] for n in size]).astype(np.int32)
    rrf_score, ranks = np.zeros(item.size, np.float32), np.zeros((item.size, 1), np.uint16)
    offsets = np.concatenate([[0], np.cumsum(size)])
    return Pool(100, offsets, item, rrf_score, ranks, ranks.astype(np.float32))


def rows(pool: Pool) -> list[tuple[int, int]]:
    return list(zip(pool.session.tolist(), pool.item.tolist(), strict=True))


def ninth(pool: Pool) -> pl.DataFrame:
    """Every ninth candidate is a positive, of grade 1, 2, 1, 2, ..."""
    table = pl.DataFrame({"session": pool.session, "item": pool.item})[::9]
    grade = 1 + pl.int_range(pl.len()) % 2
    return table.with_columns(grade=grade.cast(pl.Float32))


def sampled(pool: Pool, rate: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Labels and kept rows, the same in batches as whole; every fifth session has no positive."""
    truth = ninth(pool)
    truth = truth.filter(pl.col("session") % 5 > 0)
    sampler, label = Sampler(rate, seed), labels_of(pool, truth)
    grade = {(session, item): grade for session, item, grade in truth.rows()}
    assert label.tolist() == [grade.get(pair, 0) for pair in rows(pool)]
    batches = pool.batch(0, 7), pool.batch(7, 40)
    kept = [sampler.sample(batch, labels_of(batch, truth)) for batch in batches]
    assert np.concatenate(kept).tolist() == sampler.sample(pool, label).tolist()
    return label, np.concatenate(kept)


def test_sampler(pool: Pool) -> None:
    label, kept = sampled(pool, 5.0)
    positive = label > 0
    assert kept[positive].all() and positive.sum() > 50
    assert (kept & ~positive).sum() == pytest.approx(5.0 * positive.sum(), rel=0.1)
    with_positive = set(pool.session[positive].tolist())
    assert set(pool.session[kept].tolist()) == with_positive < set(pool.session.tolist())
    assert sampled(pool, 5.0)[1].tolist() == kept.tolist() != sampled(pool, 5.0, 2)[1].tolist()
    every = np.isin(pool.session, list(with_positive))
    assert sampled(pool, 1e9)[1].tolist() == every.tolist()


def test_sampler_of_some_queries(pool: Pool) -> None:
    """Whole queries, drawn by hash: in batches as at once."""
    truth = ninth(pool)
    every, half = Sampler(2.0, 1), Sampler(2.0, 1, 0.5)
    label = labels_of(pool, truth)
    kept = half.sample(pool, label)
    drawn = np.isin(pool.session, pool.session[kept])
    assert kept.tolist() == (every.sample(pool, label) & drawn).tolist()
    n = np.unique(pool.session).size
    assert 0.3 * n < np.unique(pool.session[kept]).size < 0.7 * n
    batches = [half.sample(b, labels_of(b, truth)) for b in (pool.batch(0, 7), pool.batch(7, 40))]
    assert np.concatenate(batches).tolist() == kept.tolist()


def test_a_budget_of_rows_sets_negatives_then_queries() -> None:
    recipe = replace(BARE, max_train_rows=12_000, negatives_per_positive=15.0)
    made = samplers(recipe, [0, 100, 3000, 10_000], 10**6)
    rates = [(s.negative_rate, s.query_rate) for s in made]
    assert rates == [(15.0, 1.0), (15.0, 1.0), (3.0, 1.0), (2.0, pytest.approx(0.4))]


def test_given_candidates_are_drawn_alike() -> None:
    """They are in the order of their items, which says nothing."""
    for given in (True, False):
        (sampler,) = samplers(replace(BARE, given=given), [10], 1000)
        assert sampler.alike == given


def test_whole_lists_are_all_candidates_of_as_many_queries_as_fit(pool: Pool) -> None:
    recipe, n = replace(BARE, negatives_per_positive=inf), pool.item.size
    (every,) = samplers(replace(recipe, max_train_rows=n), [7], n)
    label = np.zeros(n, np.float32)
    label[:5] = 2
    assert every.sample(pool, label).all(), "queries without a positive too"
    (half,) = samplers(replace(recipe, max_train_rows=n // 2), [7], n)
    kept = half.sample(pool, label)
    drawn = np.isin(pool.session, pool.session[kept])
    assert (kept == drawn).all() and 0.3 * n < kept.sum() < 0.7 * n
    assert every.expected_rows(7, n) == n == 2 * half.expected_rows(7, n)
    assert Sampler(3.0, 1).expected_rows(7, n) == 28
