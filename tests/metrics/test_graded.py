"""Metrics of graded lists, worked by hand; empty queries, refused grades, and flags.

pytest tests/metrics/test_graded.py
"""

from __future__ import annotations

import re
from math import log2
from pathlib import Path

import numpy as np
import pytest

from src.metrics.average_precision import MAP
from src.metrics.base import EMPTY_TEXTS, WHOLE_LIST, Metric
from src.metrics.err import ERR
from src.metrics.hit_rate import HitRate
from src.metrics.judged import Judged, best_lists
from src.metrics.mrr import MRR
from src.metrics.named import METRICS, companions, metric_named
from src.metrics.ndcg import NDCG
from src.metrics.precision import Precision
from src.metrics.query_scores import score_ranks
from src.metrics.recall import Recall

LISTED = np.array([[0, 3, 0, 1]], np.float32)
"""Grades by rank of one query's list."""
GRADES = [3, 2, 1, 0, 0]
"""Its judged items: the one of grade 2 is not listed."""


def judged(*grades: list[float]) -> Judged:
    """A query each."""
    offsets = np.cumsum([0, *map(len, grades)])
    return Judged(np.array([g for of in grades for g in of], np.float32), offsets)


BY_HAND = [
    (NDCG(4), (7 / log2(3) + 1 / log2(5)) / (7 + 3 / log2(3) + 1 / 2)),
    (NDCG(2), (7 / log2(3)) / (7 + 3 / log2(3))),
    (NDCG(4, gain="linear"), (3 / log2(3) + 1 / log2(5)) / (3 + 2 / log2(3) + 1 / 2)),
    (MAP(4), (1 / 2 + 2 / 4) / 3),
    (MAP(2), 1 / 2 / 3),
    (MAP(2, norm="capped"), 1 / 2 / 2),
    (MRR(4), 1 / 2),
    (MRR(1), 0),
    (ERR(4, max_grade=3), 7 / 8 / 2 + 1 / 8 * 1 / 8 / 4),
    (ERR(3), 7 / 16 / 2),
    (Precision(4), 2 / 4),
    (Precision(5), 2 / 5),
    (HitRate(1), 0),
    (HitRate(2), 1),
    (Recall(2, norm="capped"), 1 / 2),
    (Recall(4, norm="all"), 2 / 3),
]


@pytest.mark.parametrize(("metric", "wanted"), BY_HAND, ids=lambda value: str(value)[:30])
def test_by_hand(metric: Metric, wanted: float) -> None:
    of_query = judged(GRADES)
    assert metric.values(LISTED, of_query) == pytest.approx([wanted])
    assert metric.norms(of_query).ideal.tolist() == [1]


def test_pooled_recall_counts_hits_and_min_k_positives() -> None:
    of_query, metric = judged(GRADES), Recall(2)
    assert metric.values(LISTED, of_query).tolist() == [1]
    assert metric.norms(of_query).ideal.tolist() == [2]
    assert (metric.cap, MRR(5).cap, HitRate(5).cap, NDCG(5).cap) == (2, 1, 1, 5)


@pytest.mark.parametrize(
    "name", [name for name in METRICS if "auc" not in name and name != "recall"]
)
def test_a_query_without_a_positive_counts_as_its_switch_says(name: str) -> None:
    """Queries: with a positive, judged without one, not judged at all."""
    of_queries, listed = judged([1, 0], [0, 0], []), np.array([[1.0], [0], [0]], np.float32)
    scores = []
    for empty in EMPTY_TEXTS:
        metric = metric_named(f"{name}@1:empty={empty}")
        value, ideal = metric.values(listed, of_queries), metric.norms(of_queries).ideal
        assert value[1] == ideal[1] * (empty == "one") and value[2] == ideal[2] == 0
        scores.append(value.sum() / ideal.sum() / value[0])
    assert scores[0] == 1 / 2 and scores[2] == 1
    assert EMPTY_TEXTS[metric_named(f"{name}@1").empty] == "a query without a positive counts 0"  # type: ignore[attr-defined]


def test_a_recall_without_a_positive_has_no_share_in_the_pool_and_0_in_a_mean() -> None:
    of_queries = judged([1, 0], [0, 0], [])
    assert Recall(5).norms(of_queries).ideal.tolist() == [1, 0, 0]
    assert Recall(5, norm="all").norms(of_queries).ideal.tolist() == [1, 1, 0]


def test_grades_that_a_gain_cannot_take_are_refused_with_the_cure() -> None:
    ratings = judged([40, 3])
    with pytest.raises(ValueError, match=r"grade 40 is above 31.*ndcg@10:gain=linear"):
        NDCG(10).norms(ratings)
    assert NDCG(10, gain="linear").values(np.array([[40, 3.0]]), ratings).tolist() == [1]
    with pytest.raises(ValueError, match=r"grade 5 is above max_grade.*err@3:max_grade=5"):
        ERR(3).norms(judged([4.5 + 0.5]))
    for wrong in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="a grade is a finite number, 0 or more"):
            judged([1, wrong])


def test_the_best_lists() -> None:
    of_queries = judged([0, 2, 1, 3], [0], [], [0.5])
    assert of_queries.best_lists(2).tolist() == [[3, 2], [0, 0], [0, 0], [0.5, 0]]
    assert of_queries.best_lists(9).shape == (4, 3), "as wide as the most positives"
    assert of_queries.positives.tolist() == [3, 0, 0, 1] and of_queries.largest == 3
    some = of_queries.take(np.array([3, 0]))
    assert some.grade.tolist() == [0.5, 0, 2, 1, 3] and some.offsets.tolist() == [0, 1, 5]
    query, grade = np.array([1, 0, 1]), np.array([1, 0, 2], np.float32)
    assert best_lists(query, grade, 3, 5).tolist() == [[0, 0], [2, 1], [0, 0]]


def test_ranks_of_judged_items_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """As tables, in batches of one query too; a rank from k on does not count."""
    session = np.array([4, 4, 4, 7, 9, 9])
    rank, grade = np.array([3, 1, -1, 0, 5, 0]), np.array([1, 3, 2, 0, 2, 1], np.float32)
    listed = np.array([[0, 3, 0, 1, 0, 0], [0] * 6, [1, 0, 0, 0, 0, 2]], np.float32)
    of_queries = judged([1, 3, 2], [0], [2, 1])
    for metric in (NDCG(10), NDCG(3), ERR(10), MAP(), Precision(2), Recall(3), MRR(3)):
        found = score_ranks(session, rank.astype(np.int32), grade, metric)
        assert found.session.tolist() == [4, 7, 9]
        assert found.value.tolist() == metric.values(listed, of_queries).tolist()
        assert found.ideal.tolist() == metric.norms(of_queries).ideal.tolist()
        with monkeypatch.context() as patch:
            patch.setattr("src.metrics.query_scores.CELLS", 1)
            again = score_ranks(session, rank.astype(np.int32), grade, metric)
        assert again.value.tolist() == found.value.tolist()


FLAGS: dict[str, Metric] = {
    "recall@20": Recall(20), "ndcg@10": NDCG(10), "mrr@5": MRR(5), "map@10": MAP(10),
    "map": MAP(), "ndcg": NDCG(WHOLE_LIST), "precision@5": Precision(5), "hit@10": HitRate(10),
    "err@10": ERR(10), "ndcg@10:empty=one:gain=linear": NDCG(10, gain="linear", empty="one"),
    "map@10:norm=capped": MAP(10, norm="capped"), "err@5:max_grade=2": ERR(5, max_grade=2),
    "recall@20:norm=all": Recall(20, norm="all"), "mrr@5:empty=skip": MRR(5, empty="skip"),
}  # fmt: skip


@pytest.mark.parametrize("text", FLAGS)
def test_a_flag_is_the_name_of_its_metric(text: str) -> None:
    metric = metric_named(text)
    assert metric == FLAGS[text] and str(metric) == text
    assert metric == metric_named(text.upper() + " ")
    assert "\n" not in metric.convention and "equal scores go by item id" in metric.convention


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ndgc@10", "no metric 'ndgc@10'; give recall, ndcg, mrr, map, precision, hit, err"),
        ("", "no metric ''; give recall"),
        ("ndcg@", "no metric 'ndcg@'"),
        ("ndcg@ten", "no metric 'ndcg@ten'"),
        ("ndcg@-1", "no metric 'ndcg@-1'"),
        ("ndcg@0", "ndcg: k is at least 1"),
        ("ndcg@10:gain=log", "no switch 'gain=log'; give empty=zero|one|skip, gain=exponential|"),
        ("mrr@5:linear", "no switch 'linear'; give empty=zero|one|skip"),
        ("err@5:max_grade=x", "no switch 'max_grade=x'; give empty=zero|one|skip, max_grade=nu"),
        ("ndcg@10:k=3", "no switch 'k=3'"),
    ],
)
def test_an_unknown_flag_says_what_there_is(text: str, told: str) -> None:
    with pytest.raises(ValueError) as error:
        metric_named(text)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_companions_fit_the_lists_and_the_grades() -> None:
    names = list(map(str, companions(20, 4)))
    assert names == ["ndcg@5", "ndcg@10", "map@20", "mrr@10", "precision@5", "hit@10", "err@10"]
    of_five = list(map(str, companions(5, 1)))
    assert of_five == ["ndcg@5", "map@5", "mrr@5", "precision@5", "hit@5", "err@5:max_grade=1"]
    assert str(companions(3, 100)[0]) == "ndcg@3:gain=linear"
    assert not [m for m in companions(3, 100) if m.name == "err"]
    assert "map" in map(str, companions(WHOLE_LIST, 1))


def test_every_name_in_the_docs_is_a_flag() -> None:
    """With 7 for k."""
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    written = re.findall(rf"`((?:{'|'.join(METRICS)})@(?:k|[0-9]+)[^` -]*)`", page)
    assert len(written) > 20
    for name in written:
        assert str(metric_named(name.replace("@k", "@7"))).startswith(name.partition("@")[0])
