"""What is true of every metric and any lists: pads, order of the rows, scale of the scores.

pytest tests/metrics/test_properties.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_lists import ScoredLists, random_lists

from src.metrics.auc import AUC
from src.metrics.base import Metric
from src.metrics.named import metric_named
from src.metrics.ndcg import NDCG

METRICS = tuple(
    map(metric_named, ("recall@4", "recall@4:norm=all", "ndcg@4", "ndcg@30:gain=linear", "mrr@4",
                       "map", "map@3:norm=capped", "precision@4", "hit@2", "err@7:max_grade=6",
                       "auc"))
)  # fmt: skip
EACH = pytest.mark.parametrize("metric", METRICS, ids=str)

some_lists = st.builds(
    random_lists, st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 6),
    st.sampled_from([0.0, 0.4]),
)  # fmt: skip


def shuffled(lists: ScoredLists, seed: int) -> ScoredLists:
    """The same queries, the rows of each in another order."""
    rng = np.random.default_rng(seed)
    ends = zip(lists.offsets[:-1], lists.offsets[1:], strict=True)
    order = np.concatenate([first + rng.permutation(end - first) for first, end in ends])
    columns = ("item", "score", "grade", "listed")
    return replace(lists, **{name: getattr(lists, name)[order] for name in columns})


@EACH
@settings(deadline=None, max_examples=30)
@given(lists=some_lists, seed=st.integers(0, 99))
def test_the_order_of_equal_scores_in_the_input_is_no_matter(
    metric: Metric, lists: ScoredLists, seed: int
) -> None:
    for ties in ("item", "worst", "averaged"):
        found = shuffled(lists, seed).values(metric, ties)
        assert found == pytest.approx(lists.values(metric, ties), abs=1e-12)


@EACH
@settings(deadline=None, max_examples=30)
@given(lists=some_lists, pads=st.integers(1, 20))
def test_pads_change_no_bit(metric: Metric, lists: ScoredLists, pads: int) -> None:
    listed = lists.table(metric.k)
    padded = np.pad(listed, ((0, 0), (0, pads)))
    assert (metric.raw_values(padded) == metric.raw_values(listed)).all()
    not_relevant = replace(
        lists,
        grade=np.append(lists.grade, np.zeros(pads, np.float32)),
        offsets=np.append(lists.offsets[:-1], lists.offsets[-1] + pads),
    )
    wanted, found = metric.norms(lists.judged), metric.norms(not_relevant.judged)
    same = all(np.all(a == b) for a, b in zip(wanted, found, strict=True))
    assert same or isinstance(metric, AUC), "nor judged zeros, but where they make pairs"


@EACH
@settings(deadline=None, max_examples=30)
@given(lists=some_lists, scale=st.sampled_from([2.0**-9, 0.5, 4.0, 2.0**20]))
def test_the_scale_of_the_scores_is_no_matter(
    metric: Metric, lists: ScoredLists, scale: float
) -> None:
    scaled = replace(lists, score=lists.score * np.float32(scale))
    assert (scaled.values(metric) == lists.values(metric)).all()


@EACH
@settings(deadline=None, max_examples=30)
@given(lists=some_lists)
def test_the_best_order_is_best_and_the_worst_of_ties_worst(
    metric: Metric, lists: ScoredLists
) -> None:
    judged = lists.judged
    best = metric.values(judged.best_lists(metric.k), judged)
    found, worst = lists.values(metric), lists.values(metric, "worst")
    assert (worst <= found + 1e-12).all() and (found <= best + 1e-12).all()
    if isinstance(metric, NDCG):
        assert (best == metric.norms(judged).ideal * (judged.positives > 0)).all(), "exactly"


@settings(deadline=None, max_examples=30)
@given(lists=some_lists, scale=st.sampled_from([0.25, 3.0]))
def test_linear_gains_have_no_unit(lists: ScoredLists, scale: float) -> None:
    metric, scaled = NDCG(7, gain="linear"), replace(lists, grade=lists.grade * np.float32(scale))
    assert scaled.values(metric) == pytest.approx(lists.values(metric))


def test_a_constant_score_on_sorted_rows_is_no_perfect_list() -> None:
    """The trap of a stable sort: an averaged tie has the value of a random order."""
    lists = random_lists(1, n=1)
    order = np.lexsort((-lists.grade,))
    flat = replace(lists, grade=lists.grade[order], score=np.zeros_like(lists.score))
    metric = NDCG(5, gain="linear")
    assert flat.mean(metric) == 1 and flat.mean(metric, "worst") == 0
    rng, values = np.random.default_rng(2), []
    for _ in range(4000):
        values.append(replace(flat, score=rng.random(flat.item.size).astype(np.float32)))
    random_order = np.mean([lists.mean(metric) for lists in values])
    assert flat.mean(metric, "averaged") == pytest.approx(random_order, abs=0.01)
