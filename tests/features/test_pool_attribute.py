"""Shares of the lists with the candidate's value, against plain loops.

pytest tests/features/test_pool_attribute.py
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from plain_features import RECIPE, pairs

from src.candidates.pool import Pool
from src.data.split_data import SplitData
from src.features.pool_attribute import PoolAttributeFeature
from src.features.table import FeatureTable

ROW = PoolAttributeFeature("words", ("shared", "own"))  # not in the order of the recipe


def test_the_others_of_the_value_count(data: SplitData, pool: Pool) -> None:
    """A third of the items have no value; some scores are below 0, and one list is empty."""
    scores = pool.scores.copy()
    scores[::5] *= -1
    scores[pool.offsets[1] : pool.offsets[2], 1] = 0
    table = FeatureTable(replace(RECIPE, features=(ROW,)))
    assert table.names == ["shared_same_words", "own_same_words"]
    X = table.compute(data, replace(pool, scores=scores))
    value = data.items["words"].to_list()
    rows = [(session, value[item]) for session, item in pairs(pool)]
    for n, score in enumerate((scores[:, 1], scores[:, 0])):
        above, total, of_value = np.maximum(score, 0).tolist(), Counter(), Counter()
        for (session, word), s in zip(rows, above, strict=True):
            total[session] += s
            of_value[session, word] += s
        for r, (session, word) in enumerate(rows):
            same = of_value[session, word] - above[r] if word is not None else 0.0
            wanted = same / total[session] if total[session] else 0.0
            assert X[r, n] == pytest.approx(wanted, abs=1e-6)
    assert (X > 1e-3).mean() > 0.1
    assert not X[[word is None for _, word in rows]].any()


def test_a_list_that_is_not_there_is_refused() -> None:
    row = PoolAttributeFeature("words", ("nothing",))
    with pytest.raises(ValueError, match=r"pool attribute words: \['nothing'\]"):
        replace(RECIPE, features=(row,))
