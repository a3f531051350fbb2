"""What ratings let one expect of a candidate, against plain loops.

pytest tests/features/test_rating_features.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from plain_features import TABLES, columns_of
from planted import A, B, C, D, E, small_split, whole

from src.data import paths
from src.data.ratings import Ratings
from src.data.split_data import SplitData
from src.features.rating import RatingFeature
from src.features.rating_kernel import PRIOR
from src.matrices.neighbours import NEIGHBOURS

SESSIONS = [[(A, 5, 0), (B, 6, 0), (A, 7, 0)], [(C, 9, 0), (D, 9, 0)], []]
RATING = [5.0, 2.0, 1.0, 4.0, None]
NEAR = [(C, A, 0.5), (C, B, 0.25), (C, D, 0.125), (D, E, 1.0), (E, D, 0.5)]


RECIPE = replace(TABLES, features=())


@pytest.fixture
def data(tmp_path: Path) -> SplitData:
    data = small_split(tmp_path, SESSIONS, 3, recipe=RECIPE)
    path = paths.events(data.run, "valid")
    rating = pl.Series("rating", RATING, dtype=pl.Float32)
    whole(path, pl.read_parquet(path).with_columns(rating))
    table = pl.DataFrame(NEAR, NEIGHBOURS, orient="row")
    whole(paths.neighbours(data.run, "valid", "near"), table)
    return data


def test_columns(data: SplitData) -> None:
    ratings = Ratings.read(data)
    a, b = ratings.residual[2], ratings.residual[1]  # the last event on A counts
    neighbours = {(0, C): ((0.5 * a + 0.25 * b) / (0.75 + PRIOR), 0.75)}  # D is not rated
    counts = {A: 2, B: 1, C: 1, D: 0, E: 0}
    for session, rated in enumerate((3, 1, 0)):
        columns = columns_of(data, RatingFeature("near"), session, counts)
        for n, item in enumerate(counts):
            shift, weight = neighbours.get((session, item), (0.0, 0.0))
            biases = ratings.item[item], ratings.session[session]
            wanted = {
                "item": biases[0], "item_ratings": counts[item], "session": biases[1],
                "session_ratings": rated, "neighbours": shift, "neighbour_weight": weight,
                "expected": ratings.mean + sum(biases) + shift,
            }  # fmt: skip
            found = {name: columns[f"rating_{name}"][n] for name in wanted}
            assert found == pytest.approx(wanted, abs=1e-6), (session, item)
    assert ratings.session[2] == 0 == ratings.item[E] and a != 0 != b


def test_the_matrix_is_checked() -> None:
    with pytest.raises(ValueError, match="rating feature: no matrix or embedding named none"):
        replace(TABLES, features=(RatingFeature("none"),))
