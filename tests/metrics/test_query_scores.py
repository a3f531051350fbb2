"""Scores against fractions done by hand and the organisers' own tables.

pytest tests/metrics/test_query_scores.py
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from organisers import LABELS, PREDICTED

from src.metrics.base import Metric
from src.metrics.mrr import MRR
from src.metrics.query_scores import QueryScores, score_lists
from src.metrics.recall import Recall

SCHEMA = {"session": pl.Int32, "item": pl.Int32}

WEIGHTS = {"clicks": 0.1, "carts": 0.3, "orders": 0.6}


def lists_of(predicted: dict[int, list[int]]) -> pl.LazyFrame:
    rows = [(s, a, r) for s, item_ids in predicted.items() for r, a in enumerate(item_ids)]
    return pl.LazyFrame(rows, {**SCHEMA, "rank": pl.Int32}, orient="row")


def truth_of(labels: dict[int, list[int]]) -> pl.LazyFrame:
    rows = [(s, a, 1.0) for s, item_ids in labels.items() for a in item_ids]
    return pl.LazyFrame(rows, {**SCHEMA, "grade": pl.Float32}, orient="row")


def scores(
    predicted: dict[int, list[int]], labels: dict[int, list[int]], metric: Metric
) -> QueryScores:
    return score_lists(lists_of(predicted), truth_of(labels), metric)


# --- recall -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "value", "ideal"), [("clicks", 1, 3), ("carts", 3, 9), ("orders", 1, 5)]
)
def test_organisers_table(objective: str, value: int, ideal: int) -> None:
    s = scores(PREDICTED[objective], LABELS[objective], Recall(3))
    assert (s.value.sum(), s.ideal.sum()) == (value, ideal)
    assert s.score() == pytest.approx(value / ideal)


def test_organisers_total() -> None:
    by_objective = {o: scores(PREDICTED[o], LABELS[o], Recall(3)).score() for o in WEIGHTS}
    total = sum(by_objective[o] * w for o, w in WEIGHTS.items())
    assert total == pytest.approx(0.1 / 3 + 0.3 * 3 / 9 + 0.6 / 5)


def test_organisers_num_events_at_10() -> None:
    ideal = {o: scores(PREDICTED[o], LABELS[o], Recall(10)).ideal.sum() for o in WEIGHTS}
    assert ideal == {"clicks": 3, "carts": 9, "orders": 12}  # 11 orders of session 1 count 10


def test_rows_align_with_the_sessions_of_the_truth() -> None:
    s = scores(PREDICTED["orders"], LABELS["orders"], Recall(3))
    assert s.session.tolist() == [1, 2]  # a session without a positive has no row
    assert s.value.tolist() == [1, 0] and s.ideal.tolist() == [3, 2]
    assert s.score(np.array([False, True])) == 0 and s.score(np.array([True, False])) == 1 / 3
    assert s.score(np.array([False, False])) == 0  # and no division by zero


@pytest.mark.parametrize("kind", [Recall, MRR])
def test_a_rank_beyond_k_is_no_hit(kind: type[Recall] | type[MRR]) -> None:
    lists, labels = {7: [10, 11, 12]}, {7: [12]}
    assert scores(lists, labels, kind(2)).score() == 0
    assert scores(lists, labels, kind(3)).score() > 0


def test_item_0_counts() -> None:
    """The official script asks `if event['clicks']` and so loses item 0, which is a real item."""
    s = scores({1: [0, 5]}, {1: [0]}, Recall(3))
    assert (s.value.tolist(), s.ideal.tolist()) == ([1], [1])
    assert scores({1: [5, 0]}, {1: [0]}, MRR(3)).score() == 0.5


def test_duplicates_in_a_list_count_once() -> None:
    s = scores({1: [8, 8, 8]}, {1: [8, 9]}, Recall(3))
    assert (s.value.tolist(), s.ideal.tolist()) == ([1], [2])


def test_an_item_of_another_session_is_no_hit() -> None:
    assert scores({1: [5], 2: [6]}, {1: [6], 2: [5]}, Recall(1)).score() == 0


def test_no_list_at_all_and_no_truth_at_all() -> None:
    s = scores({}, {1: [5], 2: [5, 6]}, Recall(20))
    assert (s.value.sum(), s.ideal.sum()) == (0, 3)
    assert scores({1: [5]}, {}, Recall(20)).score() == 0


# --- mrr ----------------------------------------------------------------------------------------


def test_mrr_by_hand() -> None:
    lists = {1: [5, 6, 7], 2: [5, 6, 7], 3: [5, 6, 7], 4: [9, 9, 5]}
    labels = {1: [5], 2: [7], 3: [8], 4: [9, 5], 5: [5]}  # session 5 has no list
    s = scores(lists, labels, MRR(5))
    assert s.value.tolist() == pytest.approx([1, 1 / 3, 0, 1, 0])  # the best hit only
    assert s.ideal.tolist() == [1] * 5
    assert s.score() == pytest.approx((1 + 1 / 3 + 1) / 5)


def test_a_metric_of_no_items_is_refused() -> None:
    with pytest.raises(ValueError, match="mrr: k is at least 1"):
        MRR(0)


def test_a_metric_is_named_with_its_k() -> None:
    assert (str(Recall(20)), str(MRR(5))) == ("recall@20", "mrr@5")
