"""What dropping a source of candidates leaves.

pytest tests/test_ablation.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_rules import LOOK_UPS, OWN

from src.datasets import RECIPES
from src.features.table import Features
from src.matrices.rows import CovisitationMatrix
from src.rankers.oof import Asked, Sample, out_of_fold
from src.tools.ablation import Dropped, losses, sources, without

AID = np.arange(5, dtype=np.int32)
RULES = (OWN[0], LOOK_UPS[0])
RECIPE = replace(
    RECIPES["otto"], matrices=(CovisitationMatrix("near", steps=2),), embeddings=(), rules=RULES,
    baselines=(), features=(),
)  # fmt: skip


def test_candidates_that_only_the_dropped_rules_named_go() -> None:
    names = Features(RECIPE).names
    columns = [names.index(name) for name in ("vote", "place")]
    ranks = [names.index(f"rank_{rule.name}") for rule in RULES]
    X = np.zeros((5, len(names)), np.float32)
    X[:, ranks] = [[0, 255], [1, 3], [255, 0], [255, 1], [0, 0]]
    sample = Sample(AID, X, np.array([0, 1, 0, 1, 0]), np.array([0, 3, 4, 5]))
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


class Constant:
    """A model that scores every row alike."""

    def __init__(self, score: float) -> None:
        self.names, self.score = [], score

    def margins(self, X: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.full(rows.size, self.score)


def test_every_row_is_scored_by_the_model_of_its_fold() -> None:
    sample = Sample(AID, np.zeros((5, 1), np.float32), np.zeros(5), np.array([0, 2, 3, 5]))
    fold = np.array([3, 0, 1])[sample.query]
    models = [Constant(10.0 + f) for f in range(4)]
    assert out_of_fold(models, sample, ["x"], fold).tolist() == [13, 13, 10, 11, 11]


def test_wins_and_losses() -> None:
    """Two queries; the second loses its true candidate. Recall is capped, and paired."""
    X, label = np.zeros((5, 1), np.float32), np.array([[0, 1], [1, 0], [0, 0], [1, 1], [0, 0]])
    whole, few = Sample(AID, X, label, np.array([0, 3, 5])), AID != 3
    ask = Asked(np.array([7, 9]), np.array([0, 1]), np.array([[1.0, 1], [1, 1]]), whole)
    score = np.array([0, 2, 1, 1, 0], np.float32)
    recipe = replace(RECIPE, k=1)
    assert ask.won(recipe, whole, 0, score).hits.tolist() == [1, 1]
    assert ask.won(recipe, whole, 1, score).hits.tolist() == [0, 1]
    lost = ask.won(recipe, whole.take(few), 0, score[few])
    assert lost.hits.tolist() == [1, 0] and lost.session.tolist() == [7, 9]
    plan = [Dropped("one seed", [], [], 0), Dropped("another", [], [], 1),
            Dropped("some", ["a", "b"], [], 0)]  # fmt: skip
    won = ask.won(recipe, whole, 0, score)
    table = losses(recipe, plan, [2], [[won], [replace(won, hits=won.hits / 2)], [lost]])
    weight = recipe.objectives[2].weight
    assert table["dropped"].to_list() == ["nothing", *(what.name for what in plan)]
    assert table["columns"].to_list() == [0, 0, 0, 2]
    assert table["loss"].to_list() == pytest.approx([0, -weight / 4, weight / 4, weight / 4])
