"""What dropping a group of retrievers leaves, and what that loses.

pytest tests/tools/test_ablation.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import BARE

from src.candidates.history import HistoryRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.pool import Pool
from src.candidates.pool_kernel import ABSENT
from src.candidates.seeds import Seeds
from src.core.arrays import F32
from src.datasets import DATASETS
from src.features.pool import PoolFeature
from src.features.table import FeatureTable
from src.matrices.covisitation import CovisitationMatrix
from src.metrics.judged import Judged
from src.metrics.ndcg import NDCG
from src.metrics.recall import Recall
from src.rankers.base import RankerModel
from src.rankers.batches import CandidateBatch
from src.rankers.oof import EvalBatch
from src.tools.ablation import (
    Variant,
    drop_candidates,
    losses,
    ranks_in_query,
    retriever_groups,
    variants,
)

ITEM = np.arange(5, dtype=np.int32)
RETRIEVERS = (HistoryRetriever("own", Seeds()), ItemToItemRetriever("near", "near", Seeds()))
RECIPE = replace(
    BARE, matrices=(CovisitationMatrix("near", max_steps=2),), retrievers=RETRIEVERS,
    features=(PoolFeature(),),
)  # fmt: skip


def eval_batch(
    X: np.ndarray, names: list[str], label: np.ndarray, offsets: list[int], fold: list[int]
) -> EvalBatch:  # fmt: skip
    """All queries of a pool, raw sessions 7, 8, ...; their candidates are all that is judged."""
    ranks, n = np.zeros((len(X), 0), np.uint16), len(offsets) - 1
    rrf_score = np.zeros(len(X), np.float32)
    pool = Pool(0, np.array(offsets), ITEM[: len(X)], rrf_score, ranks, ranks.astype(np.float32))
    candidates = CandidateBatch(None, pool, names, X, np.arange(len(X)))  # type: ignore[arg-type]
    session, grade = 7 + np.arange(n), label.astype(np.float32)
    judged = [Judged(of_objective, np.array(offsets)) for of_objective in grade.T]
    return EvalBatch(candidates, grade, np.array(fold), np.arange(n), session, judged)


def test_candidates_that_only_the_dropped_retrievers_proposed_go() -> None:
    names = FeatureTable(RECIPE).names
    columns = [names.index(name) for name in ("rrf_score", "pool_rank")]
    ranks = [names.index(f"rank_{row.name}") for row in RETRIEVERS]
    X = np.zeros((5, len(names)), np.float32)
    X[:, ranks] = [[0, ABSENT], [1, 3], [ABSENT, 0], [ABSENT, 1], [0, 0]]
    label = np.array([[0], [1], [0], [1], [0]])
    batch = eval_batch(X, names, label, [0, 3, 4, 5], [0, 1, 2])
    kept = drop_candidates(batch, RECIPE, [RETRIEVERS[0].name])
    assert kept.label.ravel().tolist() == [1, 0, 1, 0]
    assert kept.candidates.pool.offsets.tolist() == [0, 2, 3, 4]
    assert kept.candidates.pool.item.tolist() == [1, 2, 3, 4]
    assert kept.candidates.X[:, ranks[1]].tolist() == [3, 0, 1, 0]
    scores = [1 / 13, 1 / 10, 1 / 11, 1 / 10]
    np.testing.assert_allclose(kept.candidates.X[:, columns[0]], scores, rtol=1e-6)
    assert kept.candidates.X[:, columns[1]].tolist() == [1, 0, 0, 0]
    assert (batch.candidates.X[:, columns] == 0).all(), "the batch itself stays"
    assert drop_candidates(batch, RECIPE, []) is batch


def test_ranks_in_a_query_keep_the_order_of_equal_scores() -> None:
    query, score = np.array([3, 3, 3, 5, 8, 8]), np.array([1, 2, 1, 0, 4, 4], np.float32)
    assert ranks_in_query(query, score).tolist() == [1, 0, 2, 0, 0, 1]


def test_given_candidates_have_no_group_to_drop() -> None:
    given = [dataset.recipe for dataset in DATASETS.values() if dataset.recipe.given]
    assert given and not any(retriever_groups(recipe) for recipe in given)


@pytest.mark.parametrize("name", sorted(n for n, d in DATASETS.items() if not d.recipe.given))
def test_every_retriever_has_a_group(name: str) -> None:
    recipe = DATASETS[name].recipe
    groups = retriever_groups(recipe)
    names = [retriever for group in groups.values() for retriever in group]
    assert sorted(names) == sorted(row.name for row in recipe.retrievers)
    embeddings = {row.name for row in recipe.embeddings}
    kinds = {(type(row).__name__, bool(embeddings & {*row.tables})) for row in recipe.retrievers}
    assert {kind for kind, _ in kinds} <= set(groups)
    of_both = ("ItemToItemRetriever", True) in kinds
    assert ("ItemToItemRetriever of embeddings" in groups) == of_both


def test_every_column_has_a_variant() -> None:
    recipe = DATASETS["otto"].recipe
    plan = variants(recipe)
    features = [what.columns for what in plan if what.name.startswith("features: ")]
    assert sorted(name for of in features[:-1] for name in of) == sorted(FeatureTable(recipe).names)
    assert features[-1] and all(name.endswith("_rank") for name in features[-1])
    assert {"features: PoolFeature", "features: MatrixFeature"} < {what.name for what in plan}


class Constant(RankerModel):
    """A model that scores every row alike."""

    def __init__(self, score: float) -> None:
        self.score = score

    @property
    def names(self) -> list[str]:
        return []

    def scores(self, batch: CandidateBatch) -> F32:
        return np.full(batch.rows.size, self.score, np.float32)


def test_every_row_is_scored_by_the_model_of_its_fold() -> None:
    X = np.zeros((5, 1), np.float32)
    batch = eval_batch(X, ["x"], np.zeros((5, 1)), [0, 2, 3, 5], [3, 0, 1])
    models = [Constant(10.0 + f) for f in range(4)]
    assert batch.scores(models).tolist() == [13, 13, 10, 11, 11]


def test_scores_and_losses() -> None:
    """Two queries; the second loses its positive. Recall is capped, and paired."""
    X, label = np.zeros((5, 1), np.float32), np.array([[0, 1], [1, 0], [0, 0], [1, 1], [0, 0]])
    batch = eval_batch(X, ["x"], label, [0, 3, 5], [0, 1])
    score, few, metric = np.array([0, 2, 1, 1, 0], np.float32), ITEM != 3, Recall(1)
    assert batch.query_scores(metric, 0, score).value.tolist() == [1, 1]
    assert batch.query_scores(metric, 1, score).value.tolist() == [0, 1]
    lost = batch.keep_rows(few).query_scores(metric, 0, score[few])
    assert lost.value.tolist() == [1, 0] and lost.session.tolist() == [7, 8]
    masked = batch.query_scores(NDCG(2), 0, score, few)
    assert masked.value.tolist() == [1, 0] and masked.ideal.tolist() == [1, 1]
    plan = [Variant("one seed", [], [], 0), Variant("another", [], [], 1),
            Variant("some", ["a", "b"], [], 0)]  # fmt: skip
    whole = batch.query_scores(metric, 0, score)
    half = replace(whole, value=whole.value / 2)
    table = losses(RECIPE, plan, [2], [[whole], [half], [lost]])
    weight = RECIPE.objectives[2].weight
    assert table["dropped"].to_list() == ["nothing", *(what.name for what in plan)]
    assert table["columns"].to_list() == [0, 0, 0, 2]
    assert table["loss"].to_list() == pytest.approx([0, -weight / 4, weight / 4, weight / 4])
