"""The bootstrap: its width against the binomial, groups, shared sessions; paired differences.

pytest tests/metrics/test_bootstrap.py
"""

from __future__ import annotations

import numpy as np
import pytest

from src.metrics import bootstrap as module
from src.metrics.bootstrap import bootstrap, paired_difference, total_score
from src.metrics.paired import paired_delta
from src.metrics.query_scores import QueryScores


def coin(n: int, share: float, seed: int) -> QueryScores:
    """n sessions, of which about `share` have their one positive in the list."""
    value = (np.random.default_rng(seed).random(n) < share).astype(float)
    return QueryScores(np.arange(n), value, np.ones(n))


def test_it_contains_the_score_and_is_about_right() -> None:
    objectives = [coin(2000, 0.5, 1), coin(2000, 0.2, 2)]
    low, high = bootstrap(objectives, [0.25, 0.75], seed=3, draws=400)
    scores = [s.score() for s in objectives]
    scores.append(0.25 * scores[0] + 0.75 * scores[1])
    assert ((low < scores) & (scores < high)).all()
    sd = [np.sqrt(0.5 * 0.5 / 2000), np.sqrt(0.2 * 0.8 / 2000)]  # binomial
    sd.append(np.hypot(0.25 * sd[0], 0.75 * sd[1]))
    assert (high - low) / (2 * 1.96 * np.array(sd)) == pytest.approx(1, abs=0.15)


def test_it_shrinks_with_more_sessions() -> None:
    (low, high), (low16, high16) = (
        bootstrap([coin(n, 0.4, 1)], [1.0], seed=3, draws=400) for n in (500, 8000)
    )
    assert (high - low)[0] / (high16 - low16)[0] == pytest.approx(4, rel=0.25)


def test_groups_of_sessions_have_the_same_width(monkeypatch: pytest.MonkeyPatch) -> None:
    objectives = [coin(9000, 0.5, 1), coin(9000, 0.2, 2)]
    low, high = bootstrap(objectives, [0.25, 0.75], seed=3, draws=800)
    monkeypatch.setattr(module, "GROUPS", 900)
    low_g, high_g = bootstrap(objectives, [0.25, 0.75], seed=3, draws=800)
    assert (high_g - low_g) / (high - low) == pytest.approx(1, abs=0.15)
    assert (low_g + high_g) / (low + high) == pytest.approx(1, abs=0.01)


def test_it_draws_sessions_not_rows() -> None:
    """Objectives of the same sessions move together: the total of equal ones is each of them."""
    a, b = coin(300, 0.4, 1), coin(300, 0.4, 1)
    low, high = bootstrap([a, b], [0.5, 0.5], seed=3, draws=200)
    assert low == pytest.approx([low[0]] * 3) and high == pytest.approx([high[0]] * 3)
    # an objective that only some sessions have
    part = QueryScores(a.session[::3], a.value[::3], a.ideal[::3])
    low, high = bootstrap([a, part], [1.0, 0.0], seed=3, draws=200)
    assert low[2] == low[0] and high[1] - low[1] > high[0] - low[0]


def test_it_is_reproducible() -> None:
    first, again, other = (bootstrap([coin(200, 0.4, 1)], [1.0], s, draws=50) for s in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_paired_difference_is_the_difference_of_the_scores() -> None:
    a, b = coin(300, 0.5, 1), coin(300, 0.3, 2)
    delta = paired_difference(a, b.value)
    assert delta.score() == pytest.approx(a.score() - b.score())
    assert total_score([delta, a], [0.5, 0.5]) == pytest.approx(a.score() - b.score() / 2)


def test_a_delta_is_that_of_the_weighted_total() -> None:
    rng, session = np.random.default_rng(2), np.arange(400)
    one, two, base = (QueryScores(session, rng.random(400) + shift, np.ones(400))
                      for shift in (0.2, -0.5, 0.0))  # fmt: skip
    delta, low, high = paired_delta([one, two], [base, base], [0.75, 0.25], seed=1)
    wanted = 0.75 * (one.score() - base.score()) + 0.25 * (two.score() - base.score())
    assert delta == pytest.approx(wanted) and low < delta < high < low + 0.2
    assert paired_delta([two], [base], [1.0], seed=1).delta_high < low
