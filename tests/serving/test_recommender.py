"""One query at a time has the numbers of the steps.

pytest tests/serving/test_recommender.py
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from planted import run_in
from tiny import GRADED, RECIPE

from src.blend.final_blend import final_blends, list_of
from src.candidates.pool import Pool
from src.candidates.pool_kernel import ABSENT
from src.data.shards import shards
from src.features.item_attribute_kernel import UNKNOWN
from src.prerankers.base import PreRanker
from src.serving import effects
from src.serving.query import NEW, Query
from src.serving.recommender import Answer, Recommender
from src.serving.table import RECOMMENDATIONS, recommend

QUERIES = 200
NAMES = [row.name for row in RECIPE.retrievers]


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_query_has_the_lists_of_its_session(first: Path, split: str) -> None:
    """Pools and final lists of all candidates, byte for byte.

    A query of `valid` is scored by the models that did not learn from it, one of `test` by all.
    """
    run = run_in(first, RECIPE, "ask.py")
    of = Recommender(run, split)
    lists = {name: list_of(run, split, final, None) for name, final in final_blends(run).items()}
    (shard,) = shards(run, split)
    pool = Pool.load(run, split, shard)
    sessions = range(of.data.stored.first_query, of.data.query_session)[:QUERIES]
    assert split != "valid" or len(sessions) == QUERIES
    for session in sessions:
        answer = of.answer(of.data.stored_query(session))
        stored = pool.batch(session - pool.first, session - pool.first + 1)
        for name in ("item", "rrf_score", "ranks", "scores"):
            assert getattr(answer.pool, name).tobytes() == getattr(stored, name).tobytes()
        for name, final in answer.lists.items():
            at = int(np.searchsorted(lists[name].session, session))
            rows = slice(*lists[name].offsets[at : at + 2])
            assert final.item.tolist() == lists[name].item[rows].tolist()
            assert final.score.tobytes() == lists[name].score[rows].tobytes()


def facts(answer: Answer) -> list[list[float]]:
    return [final.score.tolist() for final in answer.lists.values()]


def test_a_preranker_cuts_the_pool(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The candidates that its models score highest stay, in the order of the pool."""
    of = Recommender(run_in(first, RECIPE, "ask.py"))
    query = of.data.stored_query(of.data.stored.first_query)
    whole = of.answer(query)
    column = "graded_all"
    score = of.scorer.scores(whole.batch, None)[column]
    best = sorted(range(score.size), key=lambda row: (-score[row], whole.pool.item[row]))[:30]
    cheap = replace(of.scorer, models={column: of.scorer.models[column]})
    recipe = replace(RECIPE, preranker=PreRanker(replace(GRADED, name="cheap"), (), 30))
    monkeypatch.setattr(of, "run", replace(of.run, recipe=recipe))
    monkeypatch.setattr(of, "preranker", cheap)
    kept = of.answer(query).pool
    assert kept.item.tolist() == whole.pool.item[sorted(best)].tolist() and kept.item.size == 30
    monkeypatch.setattr(of, "preranker", replace(cheap, models={}))
    assert of.answer(query).pool.item.tolist() == whole.pool.item[:30].tolist()


def test_a_query_leaves_nothing_behind(recommender: Recommender) -> None:
    data = recommender.data
    long = max(range(data.stored.first_query, data.query_session),
               key=lambda s: data.stored_query(s).item.size)  # fmt: skip
    queries = [data.stored_query(data.stored.first_query), data.stored_query(long)]
    one, other, again = (facts(recommender.answer(queries[n])) for n in (0, 1, 0))
    assert one == again != other


def test_a_new_query_has_its_copy_in_the_split_as_a_neighbour(recommender: Recommender) -> None:
    stored = recommender.data.stored_query(recommender.data.stored.first_query)
    new = recommender.answer(replace(stored, stands_for=NEW))
    at = [row.name for row in RECIPE.retrievers].index("vsknn")
    own = np.isin(new.pool.item, stored.item)
    assert set(np.unique(stored.item)) == set(new.pool.item[own].tolist())
    assert new.pool.scores[own, at].max() > recommender.answer(stored).pool.scores[:, at].max()


def test_threads_take_turns(recommender: Recommender) -> None:
    data = recommender.data
    queries = [data.stored_query(data.stored.first_query + n) for n in range(8)]
    wanted = [facts(recommender.answer(query)) for query in queries]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda q: facts(recommender.answer(q)), queries * 3)) == wanted * 3


def test_the_table(recommender: Recommender) -> None:
    of, item = recommender, recommender.names
    table = recommend(of, f"clicks:{item.ids[5]} {item.ids[9]}", k=4, features=2)
    assert table.schema == RECOMMENDATIONS and table.height == 4 * len(of.blends)
    answer = of.answer(of.reader.read(f"clicks:{item.ids[5]} clicks:{item.ids[9]}"))
    for row in table.iter_rows(named=True):
        final = answer.lists[row["objective"]]
        assert (final.item[row["rank"] - 1], item.ids[row["item"]]) == (row["item"], int(row["id"]))
        at = row["pool_rank"] - 1
        assert answer.pool.item[at] == row["item"]
        proposed = {s["retriever"]: s["rank"] for s in row["proposed_by"]}
        ranks = dict(zip(NAMES, answer.pool.ranks[at].tolist(), strict=True))
        assert proposed == {name: rank + 1 for name, rank in ranks.items() if rank < ABSENT}
        assert list(proposed.values()) == sorted(proposed.values())
        assert 1 <= len(row["features"]) <= 2


def test_effects_are_what_a_change_of_the_feature_does(recommender: Recommender) -> None:
    """Scored again by hand: one feature at its median, in deviations of the scores of the pool."""
    of, name = recommender, next(iter(recommender.blends))
    answer, final = of.answer(of.data.stored_query(of.data.stored.first_query)), of.blends[name]
    item = int(answer.lists[name].item[0])
    (row,) = answer.rows([item])
    X, names = answer.batch.X, answer.batch.names
    (found,) = of.effects(answer, name, [item], 99)
    top = next(e for e in found if np.median(X[:, names.index(e.feature)]))
    column = names.index(top.feature)
    X = answer.batch.X.copy()
    X[row, column] = np.median(X[:, column])
    wanted, weights = 0.0, final.blend.weights or [1] * len(final.rankers)
    for ranker, weight in zip(final.rankers, weights, strict=True):
        models = of.scorer.models[ranker.score_column(name)]
        before, after = (
            np.mean([m.margins(x, answer.batch.names) for m in models], axis=0, dtype=np.float64)
            for x in (answer.batch.X, X)
        )
        wanted += weight / sum(weights) * (before[row] - after[row]) / before.std()
    assert (
        top.effect == pytest.approx(wanted, rel=1e-5) and top.value == answer.batch.X[row, column]
    )


class Total:
    """A model that adds up its features; a missing one counts -5."""

    names = ("a", "b")

    def margins(self, X: np.ndarray, names: list[str]) -> np.ndarray:
        return np.nan_to_num(X, nan=-5).sum(axis=1)


def test_missing_values_are_not_in_the_median() -> None:
    X = np.array([[np.nan, 1, np.nan], [2, 1, np.nan], [4, 1, np.nan]], np.float32)
    batch = SimpleNamespace(X=X, names=["a", "b", "unread"])
    falls = effects._falls([Total()], batch, [0, 1, 2])  # type: ignore[list-item, arg-type]
    assert falls.tolist() == [[-8, 0, 0], [-1, 0, 0], [1, 0, 0]], "the median of a is 3"


def test_a_missing_value_is_none(recommender: Recommender) -> None:
    of, name = recommender, next(iter(recommender.blends))
    answer = of.answer(of.data.stored_query(of.data.stored.first_query))
    item = answer.lists[name].item[:1].tolist()
    top = of.effects(answer, name, item, 1)[0][0].feature
    answer.batch.X[answer.rows(item), answer.batch.names.index(top)] = np.nan
    (found,) = of.effects(answer, name, item, 10_000)
    assert all((e.value is None) == (e.feature == top) for e in found)
    values = np.array([np.nan, UNKNOWN, np.inf, -1.5], np.float32)
    assert [effects._finite(value) for value in values] == [None, None, None, -1.5]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (([], [], []), "is empty"),
        ((range(501), [0] * 501, [1] * 501), "501 events; give the last 500"),
        (([1, 2], [0, 0], [5, 4]), "descend"),
        (([1], [0], [5], "x" * 1_001), "1,001 letters; give 1,000"),
    ],
)
def test_queries_out_of_bounds(query: tuple, message: str) -> None:
    item, type_, ts, *text = query
    with pytest.raises(ValueError, match=message):
        Query(np.array(item, np.int32), np.array(type_, np.int8), np.array(ts, np.int32), *text)


def test_given_candidates_are_refused(first: Path) -> None:
    recipe = replace(RECIPE, given=True, retrievers=(), baselines=(), embeddings=(), features=())
    with pytest.raises(ValueError, match="give the candidates of each query"):
        Recommender(run_in(first, recipe, "ask.py"))


@pytest.mark.parametrize(
    ("file", "step"),
    [
        ("test/matrices/near3.parquet", "2_matrices.py"),
        ("test/embeddings/net.encoder.pt", "4_embeddings.py"),
        ("models/logistic/clicks/fold_0.ubj", "6_xgb.py"),
        ("cv.json", "7_blend.py"),
        ("splits.json", "1_preparation.py"),
    ],
)
def test_a_missing_file_names_its_step(copy: Path, file: str, step: str) -> None:
    (copy / file).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{file} is missing; run .*{step}"):
        Recommender(run_in(copy, RECIPE, "ask.py"))
