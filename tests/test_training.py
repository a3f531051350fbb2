"""Which rows the rankers learn from.

pytest tests/test_training.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from src.candidates.pool import Pool
from src.datasets import RECIPES
from src.rankers import sampling as training
from src.rankers.sampling import Sampler, piece


@pytest.fixture(scope="module")
def made() -> Pool:
    """40 queries of up to 60 candidates, the first number of a session 100."""
    rng = np.random.default_rng(5)
    size = rng.integers(1, 60, 40)
    item = np.concatenate([rng.permutation(90)[:n] for n in size]).astype(np.int32)
    vote, ranks = np.zeros(item.size, np.float32), np.zeros((item.size, 1), np.uint8)
    offsets = np.concatenate([[0], np.cumsum(size)])
    return Pool(100, offsets, item, vote, ranks, ranks.astype(np.float32))


def rows(pool: Pool) -> list[tuple[int, int]]:
    return list(zip(pool.session.tolist(), pool.item.tolist(), strict=True))


def sampled(made: Pool, share: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Labels and kept rows, the same in blocks as whole; every fifth session has no truth."""
    truth = pl.DataFrame({"session": made.session, "item": made.item})[::9]
    sampler = Sampler(truth.filter(pl.col("session") % 5 > 0), share, seed)
    label = sampler.label(made)
    assert label.tolist() == [pair in set(sampler.truth.rows()) for pair in rows(made)]
    kept = [sampler.sample(p, sampler.label(p)) for p in (piece(made, 0, 7), piece(made, 7, 40))]
    assert np.concatenate(kept).tolist() == sampler.sample(made, label).tolist()
    return label, np.concatenate(kept)


def test_sampler(made: Pool) -> None:
    label, kept = sampled(made, 5.0)
    assert kept[label == 1].all() and label.sum() > 50
    assert (kept & (label == 0)).sum() == pytest.approx(5.0 * label.sum(), rel=0.1)
    with_truth = set(made.session[label == 1].tolist())
    assert set(made.session[kept].tolist()) == with_truth < set(made.session.tolist())
    assert sampled(made, 5.0)[1].tolist() == kept.tolist() != sampled(made, 5.0, 2)[1].tolist()
    assert sampled(made, 1e9)[1].tolist() == np.isin(made.session, list(with_truth)).tolist()


def test_sampler_of_some_queries(made: Pool) -> None:
    """Whole queries, drawn by hash: in blocks as at once."""
    truth = pl.DataFrame({"session": made.session, "item": made.item})[::9]
    every, some = Sampler(truth, 2.0, 1), Sampler(truth, 2.0, 1, 0.5)
    label = every.label(made)
    kept = some.sample(made, label)
    mine = np.isin(made.session, made.session[kept])
    assert kept.tolist() == (every.sample(made, label) & mine).tolist()
    n = np.unique(made.session).size
    assert 0.3 * n < np.unique(made.session[kept]).size < 0.7 * n
    blocks = [some.sample(p, some.label(p)) for p in (piece(made, 0, 7), piece(made, 7, 40))]
    assert np.concatenate(blocks).tolist() == kept.tolist()


def test_a_budget_of_rows_sets_negatives_then_queries(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(training, "ground_truth", lambda *_: [pl.DataFrame()] * 4)
    counted = tmp_path / "positives.json"
    counted.write_text(json.dumps({"none": 0, "few": 100, "many": 3000, "more": 10_000}))
    run = SimpleNamespace(recipe=replace(RECIPES["otto"], train_rows=12_000, negatives=15.0))
    found = [(s.negatives, s.queries) for s in training.samplers(run, "valid", counted)]
    assert found == [(15.0, 1.0), (15.0, 1.0), (3.0, 1.0), (2.0, pytest.approx(0.4))]
