"""Item-item scores, weighted and aggregated, and cosines with query vectors.

pytest tests/features/test_item_item_features.py
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from plain_features import RECIPE, TABLE, TABLES, THRESHOLD, at, columns_of, pairs, plain_weight
from planted import A, B, C, D, E, Events, history, small_split, whole

from src.candidates.pool import Pool
from src.core.arrays import F32
from src.data import paths
from src.data.split_data import SplitData
from src.features import base
from src.features.base import WEIGHTINGS
from src.features.item_item import AGGREGATES, EmbeddingFeature, MatrixFeature
from src.features.two_tower import TwoTowerFeature
from src.matrices.neighbours import NEIGHBOURS, all_neighbours

Score = Callable[[int, int], float]  # of a history item and a candidate
PAIRS = [(w, a) for w in WEIGHTINGS for a in AGGREGATES]

FOUR = [(A, 1000, 0), (B, 4360, 1), (A, 4420, 0), (C, 4480, 2)]
WEIGHTS = {  # of its events; by hand
    "equal": [1, 1, 1, 1],
    "position": [2**0.1 - 1, 2**0.4 - 1, 2**0.7 - 1, 1],
    "type": [1, 6, 1, 3],
    "day": [1, 1, 1, 1],
    "time": [1 / math.log(60), 1 / math.log(4), 1 / math.log(3), 1 / math.log(2)],
}
WEIGHTS["recsys"] = [  # time / (ln(2 + back) * ln(1 + events) * ln(1 + events of the item))
    time / math.log(5 - i) / math.log(5) / math.log((3, 2, 3, 2)[i])
    for i, time in enumerate(WEIGHTS["time"])
]


def plain_score(events: Events, weighting: str, how: str, score: Score, candidate: int) -> float:
    """Every event counts for itself."""
    weights = [plain_weight(weighting, events, i) for i in range(len(events))]
    scores = [w * score(e[0], candidate) for w, e in zip(weights, events, strict=True)]
    if how == "max":
        return max(0.0, *scores)
    return sum(scores) / (sum(weights) if how == "mean" else 1.0)


@pytest.mark.parametrize("length", [100, 4])
@pytest.mark.parametrize("table", ["near", "vec", "pair"])
def test_matrix_and_embedding_columns(
    monkeypatch: pytest.MonkeyPatch, data: SplitData, pool: Pool, table: str, length: int
) -> None:
    monkeypatch.setattr(base, "HISTORY_EVENTS", length)
    X = TABLE.compute(data, pool)
    near = {(x, y): w for x, y, w in all_neighbours(data, "near").to_frame().iter_rows()}
    sides = {"vec": ("vec", "vec"), "pair": ("pair.sources", "pair"), "near": ("vec", "vec")}
    folder = paths.item_vectors(data.run, "valid", "vec").parent
    cosine = np.inner(*(np.load(folder / f"{name}.npy") for name in sides[table]))
    score: Score = (lambda *pair: near.get(pair, 0.0)) if table == "near" else lambda *p: cosine[p]
    events = {s: history(data, s)[-length:] for s in set(pool.session.tolist())}
    for weighting, how in PAIRS:
        wanted = [plain_score(events[s], weighting, how, score, y) for s, y in pairs(pool)]
        found = X[:, at(f"{table}_{weighting}_{how}")]
        assert np.ptp(found) > 0
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    for back in range(5):
        alone = [score(events[s][-1 - back][0], y) if len(events[s]) > back else 0.0
                 for s, y in pairs(pool)]  # fmt: skip
        found = X[:, at(f"{table}_latest_{back}")]
        np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-6)
        assert (length == 4 and back == 4) or np.ptp(found) > 0
    above = [
        sum(score(x, y) > THRESHOLD[table] for x in {e[0] for e in events[s]})
        for s, y in pairs(pool)
    ]
    assert X[:, at(f"{table}_n_above")].tolist() == above and len(set(above)) > 2


@pytest.mark.parametrize(("weighting", "how"), PAIRS)
def test_weightings_by_hand(tmp_path: Path, weighting: str, how: str) -> None:
    data = small_split(tmp_path, [FOUR], 1, recipe=TABLES)
    near = [(A, D, 2.0), (C, D, 0.5), (C, E, 9.0)]
    table = pl.DataFrame(near, schema=NEIGHBOURS, orient="row")
    whole(paths.neighbours(data.run, "valid", "near"), table)
    columns = columns_of(data, MatrixFeature("near", (weighting,)), 0, (D, A))
    w = WEIGHTS[weighting]
    scores = [2.0 * w[0], 0, 2.0 * w[2], 0.5 * w[3]]  # A, seen twice, counts twice
    wanted = {"sum": sum(scores), "mean": sum(scores) / sum(w), "max": max(scores)}[how]
    np.testing.assert_allclose(columns[f"near_{weighting}_{how}"], [wanted, 0.0], rtol=1e-5)


def test_cosines_with_query_vectors(data: SplitData, pool: Pool, X: F32) -> None:
    queries = np.load(paths.query_vectors(data.run, "valid", "net"))
    items = np.load(paths.item_vectors(data.run, "valid", "net"))
    for o, objective in enumerate(RECIPE.objectives):
        wanted = [queries[o, s - data.first_query] @ items[y] for s, y in pairs(pool)]
        found = X[:, at(f"net_{objective.name}")]
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
        assert np.ptp(found) > 0.5


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"feature of near: \['sqrt'\] not in \('equal', "):
        MatrixFeature("near", ("equal", "sqrt"))
    with pytest.raises(ValueError, match=r"feature of near: \['min'\] not in \('sum', "):
        MatrixFeature("near", aggregates=("min",))
    with pytest.raises(ValueError, match="feature of near: latest is at most 5 events"):
        MatrixFeature("near", latest=6)
    for row, message in (
        (MatrixFeature("nothing"), "matrix feature: no matrix or embedding named nothing"),
        (EmbeddingFeature("near"), "embedding feature: no embedding named near"),
        (TwoTowerFeature("vec"), "two-tower feature: no two-tower model named vec"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(TABLES, features=(row,))
    replace(TABLES, features=(MatrixFeature("vec"),))  # the neighbours by an embedding
