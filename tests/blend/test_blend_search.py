"""Blends, their search and the final lists: against plain loops, and cases made by hand.

pytest tests/blend/test_blend_search.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from blends_world import candidates, halves, noisy, stored
from planted import BARE

from src.blend.blend import RANK, SOFTMAX, STACK, Blend, all_blends, single
from src.blend.scored_candidates import ScoredCandidates, final_list
from src.blend.search import BlendSearch
from src.blend.stacking import ALL_FOLDS
from src.data.schemas import POSITIVE
from src.metrics import ranking_kernel
from src.metrics.average_precision import MAP
from src.metrics.base import Metric
from src.metrics.err import ERR
from src.metrics.mrr import MRR
from src.metrics.ndcg import NDCG
from src.metrics.query_scores import score_lists
from src.metrics.recall import Recall

RECIPE = replace(BARE, metric=Recall(3))
ONE = replace(BARE, metric=Recall(1))


def plain_order(c: ScoredCandidates, q: int, score: np.ndarray) -> list[int]:
    return sorted(range(c.offsets[q], c.offsets[q + 1]), key=lambda r: (-score[r], c.item[r]))


def test_kernels() -> None:
    rng = np.random.default_rng(4)
    c, k = candidates(rng), 5
    reciprocal, shares = c.transformed[RANK][0], c.transformed[SOFTMAX][0]
    rows = ranking_kernel.top_rows(c.offsets, c.item, c.scores[0], k)
    positive = rng.random(c.item.size) < 0.3
    listed = ranking_kernel.listed_grades(rows, positive.astype(np.float32))
    recall, mrr = (metric.raw_values(listed) for metric in (Recall(k), MRR(k)))
    for q in range(10):
        order = plain_order(c, q, c.scores[0])
        assert rows[q].tolist() == (order + [-1] * k)[:k]
        assert reciprocal[order].tolist() == [np.float32(1 / (10 + i)) for i in range(len(order))]
        power = np.exp(c.scores[0][order].astype(float))
        assert shares[order] == pytest.approx(power / power.sum())
        at = [i for i, r in enumerate(order[:k]) if positive[r]]
        assert recall[q] == len(at) and mrr[q] == (1 / (1 + at[0]) if at else 0.0)


METRICS = (Recall(3), MRR(3), NDCG(3, empty="one"), NDCG(3, empty="skip"), MAP(3), ERR(3))


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_a_search_scores_as_the_metric_does(metric: Metric, tmp_path: Path) -> None:
    """Judged items of several grades; 8 and 31 have no positive, 3, 30 and 31 no candidate."""
    recipe = replace(BARE, metric=metric)
    rng, names = np.random.default_rng(5), ["a", "b"]
    whole = candidates(rng)
    files = stored(tmp_path, halves(whole, 4), names)
    item = [1, 2, *whole.item[:3], 7, *whole.item[30:32], 4, 4]
    truth = pl.DataFrame({"session": [3, 5, 5, 5, 5, 8, 9, 12, 30, 31], "item": item}).cast(
        pl.Int32
    )
    grade = pl.Series("grade", [1, 1, 3, 0, 2, 0, 1, 4, 1, 0], pl.Float32)
    truth = truth.with_columns(grade).unique(["session", "item"], maintain_order=True)
    search = BlendSearch(recipe, files, names, truth, np.zeros(40, np.int64))
    for blend in (Blend(RANK, (10, 0)), Blend(RANK, (3, 7)), Blend(SOFTMAX, (6, 4))):
        found = final_list(files, names, blend, None, 3)
        session, lists = found.session, found.first(3)
        a, b = whole.transformed[blend.transform]
        score = a * blend.weights[0] + b * blend.weights[1]
        plain = [[int(whole.item[r]) for r in plain_order(whole, q, score)[:3]] for q in range(10)]
        assert [[x for x in row if x >= 0] for row in lists.tolist()] == plain
        query, rank = np.nonzero(lists >= 0)
        frame = pl.DataFrame({"session": session[query], "item": lists[query, rank], "rank": rank})
        wanted = score_lists(frame.lazy(), truth.lazy(), recipe.metric)
        found = search.query_scores(blend)
        assert found.session.tolist() == wanted.session.tolist()
        assert found.value == pytest.approx(wanted.value) and sum(found.value) > 0
        assert found.ideal.tolist() == wanted.ideal.tolist()
    pool = pl.DataFrame({"session": whole.per_row(whole.session), "item": whole.item})
    best = truth.join(pool, on=["session", "item"])
    best = best.sort("session", "grade", descending=[False, True]).with_columns(
        rank=pl.int_range(pl.len()).over("session")
    )
    oracle = score_lists(best.drop("grade").lazy(), truth.lazy(), metric).score()
    assert search.oracle_score() == pytest.approx(oracle)


def test_all_blends() -> None:
    assert all_blends(1) == [Blend(RANK, (10,))]
    two = all_blends(2)
    assert two[0] == Blend(RANK, (5, 5)), "equal weights, unless others are better"
    assert two[1:3] == [Blend(RANK, (0, 10)), Blend(RANK, (10, 0))]
    assert len(two) == len(set(two)) == 2 + 9 + 9 + 1 and two[-1] == Blend(STACK, ())
    three = all_blends(3)
    assert three[0] == Blend(RANK, (3, 3, 3)) and len(three) == 1 + 3 + 2 * 63 + 1


def test_without_a_ranker_the_pool_stays_as_it_is(tmp_path: Path) -> None:
    c = candidates(np.random.default_rng(8))
    (file,) = stored(tmp_path, [c], ["a", "b"])
    found = final_list([file], [], all_blends(1)[0], None, 3)
    assert found.session.tolist() == c.session.tolist()
    for q, row in enumerate(found.first(3).tolist()):
        first, end = c.offsets[q : q + 2]
        assert row == [*c.item[first:end].tolist(), -1, -1, -1][:3]


def test_a_list_of_all_candidates_begins_with_the_first_k(tmp_path: Path) -> None:
    whole = candidates(np.random.default_rng(6))
    files, blend = stored(tmp_path, [whole], ["a", "b"]), Blend(RANK, (3, 7))
    few, every = (final_list(files, ["a", "b"], blend, None, k) for k in (4, None))
    assert every.offsets.tolist() == whole.offsets.tolist()
    assert few.first(4).tolist() == every.first(4).tolist()
    assert few.score.tolist() == every.score[every.rank < 4].tolist()
    score = whole.blended(blend)
    for q in range(every.session.size):
        order, rows = plain_order(whole, q, score), slice(*every.offsets[q : q + 2])
        assert every.item[rows].tolist() == whole.item[order].tolist()
        assert every.score[rows].tolist() == score[order].tolist()
    assert (every.first(20)[:, 12:] == -1).all()


@pytest.mark.parametrize("seed", [0, 2, 5])
def test_a_ranker_of_noise_is_not_kept(seed: int, tmp_path: Path) -> None:
    names, fold = ["a", "good", "b"], np.arange(1500) % 4
    c, truth = noisy(np.random.default_rng(seed), 1500, [9.0, 1.0, 9.0])
    search = BlendSearch(ONE, stored(tmp_path, [c], names), names, truth, fold)
    (scores,), blend = search.cross_fitted(), search.best()
    assert blend == Blend(RANK, (0, 10, 0))
    assert scores.value.tolist() == search.query_scores(blend).value.tolist()
    assert search.values.sum(axis=1).max() > scores.value.sum()  # one of so many blends is lucky


def test_rankers_that_help_each_other_are_kept(tmp_path: Path) -> None:
    names, fold = ["a", "b", "noise"], np.arange(3000) % 4
    c, truth = noisy(np.random.default_rng(7), 3000, [0.6, 0.6, 9.0])
    search = BlendSearch(ONE, stored(tmp_path, [c], names), names, truth, fold)
    (scores,), blend = search.cross_fitted(), search.best()
    assert min(blend.weights[:2]) > 0 == blend.weights[2]
    assert scores.score() > search.query_scores(Blend(RANK, (10, 0, 0))).score() + 0.05


def test_stacking_learns_from_the_other_folds_only(tmp_path: Path) -> None:
    # the score says who is right, in fold 1 the other way round
    rng, n = np.random.default_rng(6), 400
    good = rng.random(2 * n).astype(np.float32)
    offsets, item = np.arange(0, 2 * n + 1, 2), np.tile(np.array([1, 2], np.int32), n)
    fold = np.arange(n) % 2
    right = (good[1::2] > good[::2]) ^ (fold == 1)  # is item 2 the positive
    truth = pl.DataFrame({"session": np.arange(n), "item": 1 + right}).cast(pl.Int32)
    truth = truth.with_columns(POSITIVE)
    noise = rng.random(2 * n).astype(np.float32)
    c = ScoredCandidates(np.arange(n, dtype=np.int32), offsets, item, [good, noise])
    recipe = replace(ONE, folds=2)
    search = BlendSearch(recipe, stored(tmp_path, [c], ["a", "b"]), ["a", "b"], truth, fold)
    assert search.query_scores(Blend(STACK, ())).score() < 0.1
    assert search.stacks[0][0] < 0 < search.stacks[1][0] and ALL_FOLDS in search.stacks


@pytest.mark.parametrize("good", [0, 1])
def test_with_two_folds_the_blend_of_each_is_chosen_on_the_other(good: int, tmp_path: Path) -> None:
    names, fold, noise = ["a", "b"], np.arange(2000) % 2, [9.0, 9.0]
    noise[good] = 1.0
    c, truth = noisy(np.random.default_rng(3), 2000, noise)
    search = BlendSearch(ONE, stored(tmp_path, [c], names), names, truth, fold)
    wanted = single(RANK, good, 2)
    assert search.best() == wanted and search.of_fold == {0: wanted, 1: wanted}
