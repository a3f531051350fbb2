"""Blends of rows that are compared between queries, and their probabilities, out of fold.

pytest tests/blend/test_pooled_search.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from src.blend.blend import RANK, SCORE, SOFTMAX, STACK, Blend
from src.blend.calibration import out_of_fold
from src.blend.final_blend import FinalBlend
from src.blend.judged_rows import JudgedRows, Weighted
from src.blend.pooled_search import PooledSearch
from src.blend.scored_candidates import ScoredCandidates, final_list
from src.calibrators.base import Calibration
from src.calibrators.platt import PlattCalibrator
from src.core.arrays import F32, I64
from src.metrics.pooled import PooledAUC

RECIPE = replace(BARE, metric=PooledAUC())
NAMES = ["a", "b"]
N = 2000


class World:
    """Queries of one candidate; the log-odds of b are those of the truth, a is noisier.

    Of every tenth query nothing is known.
    """

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(7)
        truth = rng.normal(-0.5, 1, N)
        self.scores: list[F32] = [
            (truth + noise * rng.normal(size=N)).astype(np.float32) for noise in (3, 1)
        ]
        self.positive = rng.random(N) < expit(truth)
        self.fold: I64 = rng.integers(0, 4, N)
        self.known = np.arange(N) % 10 > 0
        session = np.arange(N, dtype=np.int32)
        table = pl.DataFrame({"session": session, "item": session % 7})
        table = table.with_columns(a=self.scores[0], b=self.scores[1])
        self.files = [folder / f"{n}.parquet" for n in range(2)]
        table[: N // 3].write_parquet(self.files[0])
        table[N // 3 :].write_parquet(self.files[1])
        grade = pl.Series("grade", self.positive.astype(np.float32))
        self.truth = table.select("session", "item", grade).filter(self.known)

    def search(self) -> PooledSearch:
        return PooledSearch(RECIPE, self.files, NAMES, self.truth, self.fold)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_blends_are_scored_by_the_auc_of_each_fold(world: World) -> None:
    search, known = world.search(), world.known
    assert {blend.transform for blend in search.blends} == {SCORE, STACK}
    for blend in (Blend(SCORE, (10, 0)), Blend(SCORE, (3, 7))):
        score = np.stack(world.scores, 1) @ np.array(blend.weights)
        found = search.query_scores(blend)
        for f in range(4):
            rows = known & (world.fold == f)
            auc = roc_auc_score(world.positive[rows], score[rows])
            assert found.score(world.fold[found.session] == f) == pytest.approx(auc, abs=1e-6)
    assert search.query_scores(Blend(SCORE, (0, 10))).ideal.sum() == known.sum()
    assert search.oracle_score() == 1.0


def test_the_better_ranker_is_found_and_a_stack_is_no_worse(world: World) -> None:
    search = world.search()
    best = search.query_scores(search.best()).score()
    equal = search.query_scores(Blend(SCORE, (5, 5))).score()
    assert best > equal + 0.02
    assert search.query_scores(Blend(STACK, ())).score() == pytest.approx(best, abs=0.01)


def test_many_queries_are_searched_by_a_part_and_scored_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, known = world.search(), int(world.known.sum())
    monkeypatch.setattr(PooledSearch, "max_queries", 300)
    search = world.search()
    assert 200 < search.session.size == search.values.shape[1] < 400
    memory = [PooledSearch.memory(RECIPE, 2, world.truth[:n], world.files) for n in (300, known)]
    assert memory[1] - memory[0] == 340 * (known - 300), "labels alone: of 300 queries the values"
    for blend in (Blend(SCORE, (3, 7)), Blend(STACK, ())):
        found, wanted = search.query_scores(blend), whole.query_scores(blend)
        assert found.ideal.sum() == known and found.value.tolist() == wanted.value.tolist()
    best, equal = (whole.query_scores(b).score() for b in (search.best(), Blend(SCORE, (5, 5))))
    assert best > equal + 0.02
    (chosen,) = search.cross_fitted()
    for f, blend in search.of_fold.items():
        own = world.fold[chosen.session] == f
        assert chosen.score(own) == whole.query_scores(blend).score(own)
    assert search.best_by_transform()["b"] == whole.query_scores(Blend(SCORE, (0, 10))).score()
    assert chosen.ideal.sum() == known


def test_a_probability_is_fitted_without_its_fold(world: World) -> None:
    blends = {"b": [Weighted(Blend(SCORE, (0, 10)), None, True)]}
    scene = np.zeros(N, np.int64)
    arguments = world.files, NAMES, world.truth, world.fold, scene, blends
    rows = out_of_fold(PlattCalibrator(), *arguments)
    assert rows["session"].to_list() == np.flatnonzero(world.known).tolist()
    p = rows["probability"].to_numpy()
    assert p.sum() / world.positive[world.known].sum() == pytest.approx(1, abs=0.02)
    turned = world.truth.with_columns(
        grade=pl.when(pl.Series(world.fold[world.known] == 2)).then(1 - pl.col("grade"))
        .otherwise("grade")
    )  # fmt: skip
    again = out_of_fold(PlattCalibrator(), *arguments[:2], turned, *arguments[3:])
    moved = again["probability"].to_numpy() != p
    assert not moved[world.fold[world.known] == 2].any(), "its own labels do not move a fold"
    assert moved[world.fold[world.known] != 2].all()


def test_log_odds(world: World) -> None:
    c = ScoredCandidates.load(world.files[0], NAMES)
    a, b = (score.astype(np.float64) for score in c.scores)
    pooled = Blend(SCORE, (4, 6)), None, True
    assert c.log_odds(*pooled) == pytest.approx(0.4 * a + 0.6 * b)
    stack = np.array([0.5, 2.0, 0.0, 0.0])
    assert c.log_odds(Blend(STACK, ()), stack, True) == pytest.approx(0.5 * a + 2 * b, rel=1e-5)
    offsets = np.array([0, 1, 4, 9])
    lists = ScoredCandidates(c.session[:3], offsets, c.item[:9], [s[:9] for s in c.scores])
    shares = lists.transformed[SOFTMAX]
    share = 0.5 * shares[0] + 0.5 * shares[1].astype(np.float64)
    for transform in (SOFTMAX, RANK):
        found = expit(lists.log_odds(Blend(transform, (5, 5))))
        assert found == pytest.approx(share, abs=2e-6) and found[0] > 0.999
    power = np.exp(0.5 * a[:9] + 2 * b[:9])
    of_list = power / np.repeat(np.add.reduceat(power, offsets[:-1]), np.diff(offsets))
    assert expit(lists.log_odds(Blend(STACK, ()), stack)) == pytest.approx(of_list, abs=2e-6)
    judged = pl.DataFrame({"session": c.session[[1, 2]], "item": lists.item[[2, 4]],
                           "grade": np.ones(2, np.float32)})  # fmt: skip
    path = world.files[0].with_name("lists.parquet")
    table = {"session": np.repeat(c.session[:3], np.diff(offsets)), "item": np.arange(9)}
    pl.DataFrame(table | {"a": a[:9], "b": b[:9]}).write_parquet(path)
    judged = judged.with_columns(item=pl.Series([2, 5]).cast(pl.Int64))
    rows = JudgedRows.read([path], NAMES, judged, [Weighted(Blend(SOFTMAX, (5, 5)), None, False)])
    assert expit(rows.log_odds[:, 0]) == pytest.approx(share[[2, 5]]), "shares of whole lists"


def test_the_blend_of_a_fold_scores_the_rows_that_its_map_is_fitted_to(world: World) -> None:
    """Folds whose blends have other scales: each map is for its own blend."""
    of_folds = [Weighted(Blend(SCORE, (10 * (f % 2), 10 * (1 - f % 2))), None, True)
                for f in range(4)]  # fmt: skip
    scene = np.zeros(N, np.int64)
    arguments = world.files, NAMES, world.truth, world.fold, scene
    mixed = out_of_fold(PlattCalibrator(), *arguments, {"blend": of_folds})
    alone = [out_of_fold(PlattCalibrator(), *arguments, {"x": [b]}) for b in of_folds[:2]]
    fold = world.fold[world.known]
    for parity, wanted in enumerate(alone):
        rows = fold % 2 == parity
        p = mixed["probability"].to_numpy()[rows]
        assert p.tolist() == wanted["probability"].to_numpy()[rows].tolist()


def test_final_lists_carry_probabilities(world: World) -> None:
    b = Blend(SCORE, (0, 10))
    rows = JudgedRows.read(world.files, NAMES, world.truth, [Weighted(b, None, True)])
    zeros = np.zeros(rows.grade.size, np.int64)
    fitted = Calibration.fit(PlattCalibrator(), rows.log_odds[:, 0], rows.grade > 0, zeros)
    final = FinalBlend("x", (), b, None, True, fitted)

    def probabilities(c: ScoredCandidates) -> np.ndarray:
        return final.probabilities(c, c.per_row(np.zeros(c.session.size, np.int64)))

    found = final_list(world.files, NAMES, b, None, None, probabilities)
    assert found.probability is not None
    wanted = fitted.probabilities(world.scores[1].astype(np.float64), np.zeros(N, np.int64))
    assert found.probability.tolist() == wanted.tolist()
    assert final_list(world.files, NAMES, b, None, 1).probability is None
