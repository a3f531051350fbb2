"""Columns of the candidate's vector.

pytest tests/features/test_item_vector.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plain_features import RECIPE

from src.candidates.pool import Pool
from src.data.split_data import SplitData
from src.data.vectors import item_vectors
from src.features.item_vector import ItemVectorFeature
from src.features.table import FeatureTable


def test_columns_are_the_first_numbers_and_a_flag(data: SplitData, pool: Pool) -> None:
    """The last item of the planted split has no vector."""
    some = replace(pool, item=pool.item.copy())
    some.item[0] = data.n_items - 1
    recipe = replace(RECIPE, features=(ItemVectorFeature("vec", dim=3),))
    table = FeatureTable(recipe)
    assert table.names == ["vec_0", "vec_1", "vec_2", "vec_has_vector"]
    X = table.compute(data, some)
    vectors = item_vectors(data, "vec")
    assert np.array_equal(X[:, :3], vectors[some.item, :3])
    assert X[0].tolist() == [0, 0, 0, 0] and X[1:, 3].all()


def test_rows_that_do_not_fit_are_refused(data: SplitData, pool: Pool) -> None:
    with pytest.raises(ValueError, match="no embedding named nothing"):
        replace(RECIPE, features=(ItemVectorFeature("nothing"),))
    with pytest.raises(ValueError, match="dim is at least 1"):
        ItemVectorFeature("vec", dim=0)
    wide = FeatureTable(replace(RECIPE, features=(ItemVectorFeature("vec", dim=9),)))
    with pytest.raises(ValueError, match="vectors of vec have 8 numbers; lower dim"):
        wide.compute(data, pool)
