"""Agreement of ratings: biases, residuals and weights against plain loops.

pytest tests/matrices/test_agreement.py
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import A, B, C, D, E, Events, small_split, whole

from src.data import paths
from src.data.ratings import SHRINKAGE, Ratings
from src.data.split_data import SplitData
from src.matrices import agreement
from src.matrices.agreement import AgreementMatrix

N_SESSIONS = 40
ROW = AgreementMatrix("agreement", shrinkage=2.0, top_n=3)


def planted_ratings(seed: int = 4) -> tuple[list[Events], list[float]]:
    """Sessions of one of two tastes: who likes A likes B and not C; NaN where there is none."""
    draw = np.random.default_rng(seed)
    sessions, ratings = [], []
    for _ in range(N_SESSIONS):
        taste = draw.choice([-1, 1])
        items = draw.choice(5, size=int(draw.integers(1, 8)))
        sessions.append([(int(item), 1000 + n, 0) for n, item in enumerate(items)])
        liking = {A: taste, B: taste, C: -taste, D: 0, E: 1}
        ratings += [3.0 + liking[int(i)] + draw.choice([-0.5, 0, 0.5]) for i in items]
    values = np.where(draw.random(len(ratings)) < 0.1, np.nan, ratings)
    return sessions, values.tolist()


@pytest.fixture
def data(tmp_path: Path) -> SplitData:
    sessions, ratings = planted_ratings()
    data = small_split(tmp_path, sessions, 3)
    path = paths.events(data.run, "valid")
    rating = pl.Series("rating", ratings, dtype=pl.Float32, nan_to_null=True)
    whole(path, pl.read_parquet(path).with_columns(rating))
    return data


def rated(data: SplitData) -> Iterator[tuple[int, int, float]]:
    """Session, item and rating of every rated event."""
    s, (_, ratings) = data.sessions, planted_ratings()
    for session in range(s.n_sessions):
        for i in range(s.offsets[session], s.offsets[session + 1]):
            if not math.isnan(ratings[i]):
                yield session, int(s.item[i]), ratings[i]


def test_biases_and_residuals(data: SplitData) -> None:
    rows, found = list(rated(data)), Ratings.read(data)
    mean = sum(r for *_, r in rows) / len(rows)
    assert found.mean == pytest.approx(mean)
    for item in range(5):
        own = [r - mean for _, i, r in rows if i == item]
        assert found.item[item] == pytest.approx(sum(own) / (len(own) + SHRINKAGE))
        assert found.item_count[item] == len(own)
    for session in range(N_SESSIONS):
        own = [r - mean - found.item[i] for s, i, r in rows if s == session]
        assert found.session[session] == pytest.approx(sum(own) / (len(own) + SHRINKAGE))
    wanted = [r - mean - found.item[i] - found.session[s] for s, i, r in rows]
    unrated = np.isnan(planted_ratings()[1])
    np.testing.assert_allclose(found.residual[~unrated], wanted, atol=1e-6)
    assert np.isnan(found.residual[unrated]).all() and unrated.any()


def plain_weights(data: SplitData) -> dict[tuple[int, int], float]:
    residual, s = Ratings.read(data).residual, data.sessions
    of = [
        {
            int(s.item[i]): residual[i]
            for i in range(s.offsets[n], s.offsets[n + 1])
            if not math.isnan(residual[i])
        }  # the last one
        for n in range(N_SESSIONS)
    ]
    weights = {}
    for x in range(5):
        for y in range(5):
            both = [(own[x], own[y]) for own in of if x in own and y in own]
            if x == y or not both:
                continue
            product = sum(a * b for a, b in both)
            length = math.sqrt(sum(a * a for a, _ in both) * sum(b * b for _, b in both))
            weights[x, y] = product / max(length, 1e-6) * len(both) / (len(both) + ROW.shrinkage)
    return weights


def test_weights(data: SplitData, tmp_path: Path) -> None:
    ROW.write(data, {tmp_path / "found.parquet": ROW})
    found = pl.read_parquet(tmp_path / "found.parquet").rows()
    wanted = plain_weights(data)
    for x in range(5):
        best = sorted((-w, y) for (item, y), w in wanted.items() if item == x and w > 0)[:3]
        assert [y for item, y, _ in found if item == x] == [y for _, y in best]
        weights = [w for item, _, w in found if item == x]
        np.testing.assert_allclose(weights, [-w for w, _ in best], rtol=1e-5)
    assert {(x, y) for x, y, _ in found} >= {(A, B), (B, A)}, "one taste"
    assert wanted[A, C] < 0, "the other taste is no neighbour"


def test_ranges_change_nothing(data: SplitData, monkeypatch) -> None:
    residual = Ratings.read(data).residual
    whole_table = pl.concat(ROW.tables(data.sessions, residual))
    monkeypatch.setattr(agreement, "RANGE", 2)
    assert pl.concat(ROW.tables(data.sessions, residual)).equals(whole_table)


def test_fields_are_checked() -> None:
    with pytest.raises(ValueError, match="matrix m: shrinkage is at least 0, not -1"):
        AgreementMatrix("m", shrinkage=-1.0)
