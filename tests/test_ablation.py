"""What dropping a source of candidates leaves.

pytest tests/test_ablation.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_rules import LOOK_UPS, OWN

from src.ablation import Sample, sources, without
from src.datasets import RECIPES
from src.features import Features
from src.rows.matrices import MatrixRow

RULES = (OWN[0], LOOK_UPS[0])
RECIPE = replace(
    RECIPES["otto"], matrices=(MatrixRow("near", steps=2),), embeddings=(), rules=RULES,
    baselines=(), features=(),
)  # fmt: skip


def test_candidates_that_only_the_dropped_rules_named_go() -> None:
    names = Features(RECIPE).names
    columns = [names.index(name) for name in ("vote", "place")]
    ranks = [names.index(f"rank_{rule.name}") for rule in RULES]
    X = np.zeros((5, len(names)), np.float32)
    X[:, ranks] = [[0, 255], [1, 3], [255, 0], [255, 1], [0, 0]]
    sample = Sample(X, np.array([0, 1, 0, 1, 0]), np.array([0, 3, 4, 5]))
    kept = without(sample, names, RECIPE, [RULES[0].name])
    assert kept.label.tolist() == [1, 0, 1, 0] and kept.starts.tolist() == [0, 2, 3, 4]
    assert kept.X[:, ranks[1]].tolist() == [3, 0, 1, 0]
    votes = [1 / 13, 1 / 10, 1 / 11, 1 / 10]
    np.testing.assert_allclose(kept.X[:, columns[0]], votes, rtol=1e-6)
    assert kept.X[:, columns[1]].tolist() == [1, 0, 0, 0]
    assert (sample.X[:, columns] == 0).all(), "the sample itself stays"


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_rule_has_a_source(name: str) -> None:
    found = sources(RECIPES[name])
    rules = [rule for of in found.values() for rule in of]
    assert sorted(rules) == sorted(rule.name for rule in RECIPES[name].rules)
    assert len(found) > 3
