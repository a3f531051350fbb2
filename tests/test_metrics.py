"""Scores against fractions done by hand and the organisers' own tables; the bootstrap."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from src.metrics import scores as metrics
from src.metrics.scores import QueryScores, bootstrap, tally

SCHEMA = {"session": pl.Int32, "item": pl.Int32}

# test_evaluate.py of the organisers (github.com/otto-de/recsys-dataset): k = 3, session 4 without
# a prediction, an empty label where a session has none
PREDICTED = {
    "clicks": {1: [1, 2, 3], 2: [1000003, 2, 3], 3: [1, 2, 3]},
    "carts": {1: [1, 2, 3], 2: [1000004, 2, 3, 1000007], 3: [1000007, 1000004, 3]},
    "orders": {1: [1, 32, 33], 2: [1, 2, 3], 3: [1, 2, 3]},
}
CARTS = [1000000, 1000004, 1000007]
LABELS = {
    "clicks": {2: [1000003], 3: [1000003], 4: [1000003]},
    "carts": {2: CARTS, 3: CARTS, 4: CARTS},
    "orders": {1: [0, 1, 2, 3, 4, 5, 16, 17, 18, 19, 20], 2: [1000000, 1000004]},
}
WEIGHTS = {"clicks": 0.1, "carts": 0.3, "orders": 0.6}


def lists_of(predicted: dict[int, list[int]]) -> pl.LazyFrame:
    rows = [(s, a, r) for s, item_ids in predicted.items() for r, a in enumerate(item_ids)]
    return pl.LazyFrame(rows, {**SCHEMA, "rank": pl.Int32}, orient="row")


def truth_of(labels: dict[int, list[int]]) -> pl.LazyFrame:
    rows = [(s, a) for s, item_ids in labels.items() for a in item_ids]
    return pl.LazyFrame(rows, SCHEMA, orient="row")


def one(predicted: dict[int, list[int]], labels: dict[int, list[int]], *how: object) -> QueryScores:
    return tally(lists_of(predicted), truth_of(labels), *how)  # type: ignore[arg-type]


# --- recall -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "hits", "chances"), [("clicks", 1, 3), ("carts", 3, 9), ("orders", 1, 5)]
)
def test_organisers_table(objective: str, hits: int, chances: int) -> None:
    t = one(PREDICTED[objective], LABELS[objective], "recall", 3)
    assert (t.hits.sum(), t.chances.sum()) == (hits, chances)
    assert t.score() == pytest.approx(hits / chances)


def test_organisers_total() -> None:
    scores = {o: one(PREDICTED[o], LABELS[o], "recall", 3).score() for o in WEIGHTS}
    total = sum(scores[o] * w for o, w in WEIGHTS.items())
    assert total == pytest.approx(0.1 / 3 + 0.3 * 3 / 9 + 0.6 / 5)


def test_organisers_num_events_at_10() -> None:
    chances = {o: one(PREDICTED[o], LABELS[o], "recall", 10).chances.sum() for o in WEIGHTS}
    assert chances == {"clicks": 3, "carts": 9, "orders": 12}  # 11 orders of session 1 count 10


def test_rows_align_with_the_sessions_of_the_truth() -> None:
    t = one(PREDICTED["orders"], LABELS["orders"], "recall", 3)
    assert t.session.tolist() == [1, 2]  # a session without a truth has no row
    assert t.hits.tolist() == [1, 0] and t.chances.tolist() == [3, 2]
    assert t.score(np.array([False, True])) == 0 and t.score(np.array([True, False])) == 1 / 3
    assert t.score(np.array([False, False])) == 0  # and no division by zero


def test_a_rank_beyond_k_is_no_hit() -> None:
    lists, labels = {7: [10, 11, 12]}, {7: [12]}
    for metric in ("recall", "mrr"):
        assert one(lists, labels, metric, 2).score() == 0
        assert one(lists, labels, metric, 3).score() > 0


def test_item_0_counts() -> None:
    """The official script asks `if event['clicks']` and so loses item 0, which is a real item."""
    t = one({1: [0, 5]}, {1: [0]}, "recall", 3)
    assert (t.hits.tolist(), t.chances.tolist()) == ([1], [1])
    assert one({1: [5, 0]}, {1: [0]}, "mrr", 3).score() == 0.5


def test_duplicates_in_a_list_count_once() -> None:
    t = one({1: [8, 8, 8]}, {1: [8, 9]}, "recall", 3)
    assert (t.hits.tolist(), t.chances.tolist()) == ([1], [2])


def test_an_item_of_another_session_is_no_hit() -> None:
    assert one({1: [5], 2: [6]}, {1: [6], 2: [5]}, "recall", 1).score() == 0


def test_no_list_at_all_and_no_truth_at_all() -> None:
    t = one({}, {1: [5], 2: [5, 6]}, "recall", 20)
    assert (t.hits.sum(), t.chances.sum()) == (0, 3)
    assert one({1: [5]}, {}, "recall", 20).score() == 0


# --- mrr ----------------------------------------------------------------------------------------


def test_mrr_by_hand() -> None:
    lists = {1: [5, 6, 7], 2: [5, 6, 7], 3: [5, 6, 7], 4: [9, 9, 5]}
    labels = {1: [5], 2: [7], 3: [8], 4: [9, 5], 5: [5]}  # session 5 has no list
    t = one(lists, labels, "mrr", 5)
    assert t.hits.tolist() == pytest.approx([1, 1 / 3, 0, 1, 0])  # the best hit only
    assert t.chances.tolist() == [1] * 5
    assert t.score() == pytest.approx((1 + 1 / 3 + 1) / 5)


def test_unknown_metric() -> None:
    with pytest.raises(ValueError, match="unknown metric 'ndcg': use"):
        one({1: [5]}, {1: [5]}, "ndcg", 5)


# --- bootstrap ----------------------------------------------------------------------------------


def coin(n: int, share: float, seed: int) -> QueryScores:
    """n sessions, of which about `share` have their one truth in the list."""
    hits = (np.random.default_rng(seed).random(n) < share).astype(float)
    return QueryScores(np.arange(n), hits, np.ones(n))


def test_bootstrap_contains_the_score_and_is_about_right() -> None:
    tallies = [coin(2000, 0.5, 1), coin(2000, 0.2, 2)]
    low, high = bootstrap(tallies, [0.25, 0.75], seed=3, draws=400)
    scores = [t.score() for t in tallies]
    scores.append(0.25 * scores[0] + 0.75 * scores[1])
    assert ((low < scores) & (scores < high)).all()
    sd = [np.sqrt(0.5 * 0.5 / 2000), np.sqrt(0.2 * 0.8 / 2000)]  # binomial
    sd.append(np.hypot(0.25 * sd[0], 0.75 * sd[1]))
    assert (high - low) / (2 * 1.96 * np.array(sd)) == pytest.approx(1, abs=0.15)


def test_bootstrap_shrinks_with_more_sessions() -> None:
    (low, high), (low16, high16) = (
        bootstrap([coin(n, 0.4, 1)], [1.0], seed=3, draws=400) for n in (500, 8000)
    )
    assert (high - low)[0] / (high16 - low16)[0] == pytest.approx(4, rel=0.25)


def test_bootstrap_of_groups_has_the_same_width(monkeypatch: pytest.MonkeyPatch) -> None:
    tallies = [coin(9000, 0.5, 1), coin(9000, 0.2, 2)]
    low, high = bootstrap(tallies, [0.25, 0.75], seed=3, draws=800)
    monkeypatch.setattr(metrics, "GROUPS", 900)
    low_g, high_g = bootstrap(tallies, [0.25, 0.75], seed=3, draws=800)
    assert (high_g - low_g) / (high - low) == pytest.approx(1, abs=0.15)
    assert (low_g + high_g) / (low + high) == pytest.approx(1, abs=0.01)


def test_bootstrap_draws_sessions_not_rows() -> None:
    """Objectives of the same sessions move together: the total of equal ones is each of them."""
    a, b = coin(300, 0.4, 1), coin(300, 0.4, 1)
    low, high = bootstrap([a, b], [0.5, 0.5], seed=3, draws=200)
    assert low == pytest.approx([low[0]] * 3) and high == pytest.approx([high[0]] * 3)
    # an objective that only some sessions have
    part = QueryScores(a.session[::3], a.hits[::3], a.chances[::3])
    low, high = bootstrap([a, part], [1.0, 0.0], seed=3, draws=200)
    assert low[2] == low[0] and high[1] - low[1] > high[0] - low[0]


def test_bootstrap_is_reproducible() -> None:
    first, again, other = (bootstrap([coin(200, 0.4, 1)], [1.0], s, draws=50) for s in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
