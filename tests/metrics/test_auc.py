"""AUC of lists: scikit-learn's value, ties, lists of one class, positives that are not listed.

pytest tests/metrics/test_auc.py
"""

from __future__ import annotations

import numpy as np
import pytest
from scored_lists import ScoredLists, random_lists
from sklearn.metrics import roc_auc_score

from src.core.arrays import offsets_of_sizes
from src.metrics.auc import AUC
from src.metrics.judged import Judged
from src.metrics.named import metric_named
from src.metrics.query_scores import score_ranks


def judged(*queries: list[int]) -> Judged:
    grade = np.array([g for query in queries for g in query], np.float32)
    return Judged(grade, offsets_of_sizes([len(query) for query in queries]))


@pytest.mark.parametrize("seed", [1, 2])
def test_ties_count_half_as_in_scikit_learn(seed: int) -> None:
    lists = random_lists(seed, top=1)
    found, ideal = lists.values(AUC(), "averaged"), AUC().norms(lists.judged).ideal
    both = [0 < q.grade.sum() < q.grade.size for q in lists.queries()]
    assert ideal.tolist() == both and 0 < sum(both) < len(both)
    wanted = [
        roc_auc_score(q.grade, q.score) if b else 0
        for q, b in zip(lists.queries(), both, strict=True)
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_grades_above_0_are_positives() -> None:
    lists = random_lists(3)
    score = np.random.default_rng(3).permutation(lists.item.size).astype(np.float32)
    lists = ScoredLists(lists.offsets, lists.item, score, lists.grade, lists.listed)
    for query, value in zip(lists.queries(), lists.values(AUC()), strict=True):
        if 0 < (query.grade > 0).sum() < query.grade.size:
            assert value == pytest.approx(roc_auc_score(query.grade > 0, query.score))


def test_a_list_of_one_class_does_not_count() -> None:
    of_queries = judged([1, 1], [0, 0], [], [1, 0])
    listed = np.array([[1, 1], [0, 0], [0, 0], [0, 1]], np.float32)
    assert AUC().norms(of_queries).ideal.tolist() == [0, 0, 0, 1]
    assert AUC().values(listed, of_queries).tolist() == [0, 0, 0, 0]


def test_a_positive_that_is_not_listed_is_no_gain() -> None:
    """Leaving a positive out must never beat listing it last."""
    of_query = judged([1, 0, 0])
    last, left_out = np.array([[0, 0, 1]]), np.array([[0, 0, 0]])
    assert AUC().values(left_out, of_query) == AUC().values(last, of_query) == 0
    of_two, first_alone = judged([1, 1, 0, 0]), np.array([[1, 0, 0, 0]])
    assert AUC().values(first_alone, of_two) == 0


def test_it_is_of_whole_lists() -> None:
    assert str(metric_named("auc")) == "auc" == str(AUC())
    with pytest.raises(ValueError, match="auc@10: auc is of whole lists"):
        metric_named("auc@10")


def test_lists_of_thousands() -> None:
    """MSLR has queries of more than 1,000 documents; all of them count."""
    grade = np.zeros(3_000, np.float32)
    grade[np.random.default_rng(5).choice(3_000, 40, replace=False)] = 1
    of_query = Judged(grade, np.array([0, grade.size]))
    (found,) = AUC().values(grade[None], of_query)
    assert found == pytest.approx(roc_auc_score(grade, -np.arange(grade.size)), abs=1e-12)
    rank = np.arange(grade.size, dtype=np.int32)
    assert score_ranks(np.zeros(grade.size, np.int32), rank, grade, AUC()).score() == found
    assert AUC().values(np.sort(grade)[None], of_query).tolist() == [0]
