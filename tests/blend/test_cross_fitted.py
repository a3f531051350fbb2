"""All queries are scored under the blends that other folds chose, on all queries or on a part.

pytest tests/blend/test_cross_fitted.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from blends_world import halves, noisy, stored
from planted import BARE

from src.blend import stacking
from src.blend.blend import RANK, Blend
from src.blend.scored_candidates import ScoredCandidates
from src.blend.search import BlendSearch
from src.core.arrays import hash_unit
from src.data.schemas import POSITIVE
from src.metrics.hit_rate import HitRate
from src.metrics.ndcg import NDCG
from src.metrics.recall import Recall

ONE = replace(BARE, metric=Recall(1))


def test_other_metrics_score_the_lists_of_the_folds_own_blends(tmp_path: Path) -> None:
    """Cross-fitted: the metric of the search, asked for once more, has the same values."""
    rng, names, n = np.random.default_rng(11), ["a", "b"], 400
    c, truth = noisy(rng, n, [0.6, 9.0])
    truth = truth.with_columns(grade=pl.Series(rng.integers(0, 4, n), dtype=pl.Float32))
    fold = rng.integers(0, 4, n)
    recipe, files = replace(BARE, metric=NDCG(5)), stored(tmp_path, halves(c, 150), names)
    search = BlendSearch(recipe, files, names, truth, fold)
    own = [search.blends[i] for i in (1, 2, 5, len(search.blends) - 1)]
    search.of_fold = dict(enumerate(own))  # a different one in each fold
    own_metric, again, first, hit, deeper = search.cross_fitted(
        [NDCG(5), NDCG(1), HitRate(5), HitRate(6)]
    )
    assert again.value.tolist() == own_metric.value.tolist()
    for f, blend in search.of_fold.items():
        found = search.query_scores(blend).value[fold == f]
        assert own_metric.value[fold == f] == pytest.approx(found)
    assert len({search.query_scores(blend).score() for blend in own}) > 2
    graded = truth["grade"].to_numpy() > 0
    assert ((again.value > 0) == hit.value).all() and (first.value[~graded] == 0).all()
    assert first.session.tolist() == search.session.tolist() and 0 < first.score() < 1
    assert deeper.value.tolist() == graded.tolist(), "all six candidates"


def test_a_fold_is_scored_under_the_blend_that_the_others_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the first ranker is right in fold 0 only, the second in fold 1 only: who looks at the own
    # fold hits everything, who looks at the other fold nothing; ties go to the smaller, wrong, item
    offsets, item = np.arange(0, 9, 2), np.array([1, 2] * 4, np.int32)
    first = np.array([1, 2, 1, 2, 2, 1, 2, 1], np.float32)
    c = ScoredCandidates(np.arange(4, dtype=np.int32), offsets, item, [first, 3 - first])
    truth = pl.DataFrame({"session": [0, 1, 2, 3], "item": [2, 2, 2, 2]}).cast(pl.Int32)
    truth = truth.with_columns(POSITIVE)
    recipe, fold = replace(ONE, folds=2), np.array([0, 0, 1, 1])
    search = BlendSearch(recipe, stored(tmp_path, [c], ["a", "b"]), ["a", "b"], truth, fold)
    assert search.best() == Blend(RANK, (5, 5))  # nothing is significantly better
    every = np.arange(len(search.blends))
    monkeypatch.setattr(search, "best", lambda mask: search.blends[search._best_of(every, mask)])
    (scores,) = search.cross_fitted()
    assert scores.value.tolist() == [0, 0, 0, 0] and scores.ideal.tolist() == [1, 1, 1, 1]
    assert search.query_scores(Blend(RANK, (10, 0))).value.tolist() == [1, 1, 0, 0]
    assert search.oracle_score() == 1.0


def test_many_queries_are_searched_by_a_part_and_scored_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, n = ["a", "b"], 3000
    fold = np.arange(n) % 4
    c, truth = noisy(np.random.default_rng(7), n, [0.6, 9.0])
    files = stored(tmp_path, halves(c, 1000), names)
    whole = BlendSearch(ONE, files, names, truth, fold)
    monkeypatch.setattr(BlendSearch, "max_queries", 1200)
    search = BlendSearch(ONE, files, names, truth, fold)
    assert 1000 < search.session.size == search.values.shape[1] < 1400
    compared = np.isin(whole.session, search.session)
    assert search.values.tolist() == whole.values[:, compared].tolist()
    (chosen,) = search.cross_fitted()
    assert chosen.session.tolist() == whole.session.tolist() and chosen.ideal.sum() == n
    for f, blend in search.of_fold.items():
        wanted = whole.query_scores(blend).value[fold == f]
        assert chosen.value[fold == f] == pytest.approx(wanted)
    assert (np.histogram(search.session, 10, (0, n))[0] > 60).all(), "drawn from all over"
    assert search.oracle_score() == whole.oracle_score() == 1.0
    memory = [BlendSearch.memory(ONE, 2, truth[:few], files) for few in (1200, n)]
    assert memory[1] - memory[0] == 340 * (n - 1200), "labels, norms: of 1,200 queries the blends"


def test_a_fold_without_a_compared_query_is_scored_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, names = 400, ["a", "b"]
    c, truth = noisy(np.random.default_rng(3), n, [0.6, 9.0])
    monkeypatch.setattr(BlendSearch, "max_queries", 50)
    files = stored(tmp_path, [c], names)
    drawn = BlendSearch(ONE, files, names, truth, np.zeros(n, np.int64)).session
    fold = np.where(np.isin(np.arange(n), drawn), np.arange(n) % 3, 3)
    search = BlendSearch(ONE, files, names, truth, fold)
    (scores,) = search.cross_fitted()
    assert sorted(search.of_fold) == [0, 1, 2, 3]
    assert scores.score(fold[scores.session] == 3) > 0.3


def test_a_stack_is_fitted_on_the_drawn_queries_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, names, fold = 400, ["a", "b"], np.arange(400) % 4
    c, truth = noisy(np.random.default_rng(5), n, [0.6, 2.0])
    monkeypatch.setattr(stacking, "QUERIES", 100)
    unit = truth.select(hash_unit(pl.col("session"), 1 + stacking.SEED_OFFSET)).to_series()
    drawn = np.repeat((unit < 100 / n).to_numpy(), 6)
    assert 60 < drawn.sum() / 6 < 140

    def stacks(changed: np.ndarray) -> list[float]:
        scores = [np.where(changed, -s, s).astype(np.float32) for s in c.scores]
        files = stored(tmp_path, [replace(c, scores=scores)], names)
        found = stacking.fit_stacks(files, names, truth, fold, 4, seed=1)
        return [weight for f in sorted(found) for weight in found[f]]

    fitted = stacks(np.zeros(drawn.size, np.bool_))
    assert stacks(~drawn) == fitted != stacks(drawn)
