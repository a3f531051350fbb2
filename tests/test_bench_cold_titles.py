"""The benchmark of cold titles: no column knows what is later, or of a hidden movie.

pytest tests/test_bench_cold_titles.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bench.cold_rows import Ratings, Window
from bench.cold_titles import auc_of, ndcg_of
from src.embeddings.base import unit

RNG = np.random.default_rng(4)
N, ITEMS, USERS = 600, 30, 12
VECTORS = unit(RNG.normal(size=(ITEMS, 5)).astype(np.float32))


def ratings() -> Ratings:
    user, ts = RNG.integers(USERS, size=N), RNG.integers(300, size=N)  # many of one second
    order = np.lexsort((ts, user))
    return Ratings(
        user[order], RNG.integers(ITEMS, size=N), ts[order], RNG.integers(2, size=N) * 1.0,
        ts[order] // 30, [""] * ITEMS, np.zeros(ITEMS), np.zeros((ITEMS, 1), np.float32),
    )  # fmt: skip


def window_of(r: Ratings) -> Window:
    hidden = np.arange(ITEMS) < 5
    return Window(r, 6, hidden, ~hidden | (np.arange(ITEMS) < 3))


def columns(window: Window) -> np.ndarray:
    return np.hstack([window.plain(), window.nearness(VECTORS)])


def test_columns_equal_plain_loops() -> None:
    r = ratings()
    w = window_of(r)
    known = [i for i in range(N) if r.item[i] >= 5]
    before = [i for i in known if r.window[i] < 6]
    prior, X = np.mean(r.click[before]), columns(w)
    assert set(w.rows) == {i for i in range(N) if r.window[i] == 6 and r.item[i] not in (3, 4)}
    for x, row in zip(X, w.rows, strict=True):
        past = [i for i in known if r.user[i] == r.user[row] and r.ts[i] < r.ts[row]]
        same = [i for i in before if r.item[i] == r.item[row]]
        likes, shown = sum(r.click[past]), sum(r.click[same])
        wanted = [np.log1p(len(past)), (likes + 5 * prior) / (len(past) + 5),
                  np.log1p(len(same)), (shown + 5 * prior) / (len(same) + 5), 0]  # fmt: skip
        cos = [float(VECTORS[r.item[row]] @ VECTORS[r.item[i]]) for i in past]
        pairs = list(zip(cos, r.click[past], strict=True))
        weight = sum(max(c, 0) for c in cos)
        wanted.append(sum(max(c, 0) * (y - prior) for c, y in pairs) / (weight + 1))
        other = sum(c * (1 - y) for c, y in pairs) / (len(past) - likes + 1)
        wanted.append(sum(c * y for c, y in pairs) / (likes + 1) - other)
        wanted.append(max([0.0, *(c for c, y in pairs if y)]))
        np.testing.assert_allclose(x, wanted, atol=1e-6)


@pytest.mark.parametrize("what", ["later", "hidden"])
def test_ratings_that_are_not_known_move_nothing(what: str) -> None:
    """Those of a second and later, of one row at a time; those of hidden movies, at any time."""
    r = ratings()
    w, X = window_of(r), columns(window_of(r))
    for n in range(0, w.rows.size, 5):
        far = r.ts >= r.ts[w.rows[n]] if what == "later" else w.hidden[r.item]
        flipped = replace(r, click=np.where(far, 1 - r.click, r.click))
        np.testing.assert_array_equal(columns(window_of(flipped))[n], X[n])


def test_metrics_are_those_of_scikit_learn() -> None:
    click, user = RNG.integers(2, size=N) * 1.0, RNG.integers(USERS, size=N)
    score = RNG.integers(40, size=N) / 40  # with ties
    weights = RNG.integers(4, size=USERS) * 1.0
    wanted = roc_auc_score(click, score, sample_weight=weights[user])
    assert auc_of(click, score, user)(weights) == pytest.approx(wanted)
    assert ndcg_of(click, click, user)(weights) == 1
    two = ndcg_of(np.array([0.0, 1, 1]), np.array([3.0, 2, 1]), np.zeros(3, np.int64))
    best = 1 + 1 / np.log2(3)
    assert two(np.ones(1)) == pytest.approx((1 / np.log2(3) + 0.5) / best)


def test_raw_files(tmp_path: Path) -> None:
    (tmp_path / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        '8\t"Babe\t1995\tComedy Drama\n9\tNo\tunkonwn\tDrama\n'
    )
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float", "2\t9\t4\t7",
            "10\t8\t3\t5", "2\t8\t5\t6"]  # fmt: skip
    (tmp_path / "ml-100k.inter").write_text("\n".join(rows))
    r = Ratings.read(tmp_path)
    assert r.texts == ['"Babe; Comedy Drama', "No; Drama"] and np.isnan(r.year[1])
    assert r.user.tolist() == [2, 2, 10] and r.item.tolist() == [0, 1, 0]
    assert r.click.tolist() == [1, 1, 0] and r.genres.tolist() == [[1, 1], [0, 1]]
