"""Collect queries that a pre-ranker and a ranker have ordered, and tabulate how they compare."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.candidates.pool import Pool
from src.core.arrays import F32, positions
from src.data.recipe import Recipe
from src.metrics import ranking_kernel
from src.metrics.bootstrap import total_score
from src.metrics.paired import paired_delta
from src.metrics.query_scores import QueryScores
from src.prerankers import agreement
from src.rankers.oof import EvalBatch

CURVE = (10, 20, 30, 40, 60, 80, 100, 150, 200, 300, 400)
"""Candidates that are kept, for the curve of the cascade; those below the size of the pool."""
HITS = (10, 20)
"""First candidates of the ranker that a pre-ranker should keep."""
PRERANKER, POOL = "pre-ranker", "pool"
"""Orders by which candidates are kept: that of the pre-ranker, and that of the RRF score."""


class Comparison:
    """Collects batches of queries with the whole pools, by objective."""

    def __init__(self, recipe: Recipe, keep: int) -> None:
        self.recipe, self.keep = recipe, keep
        self.sizes = [n for n in CURVE if n < recipe.pool_size] + [recipe.pool_size]
        self.scores: dict[tuple[str, int, str], list[QueryScores]] = {}  # by order, size, objective
        self.rows: list[dict[str, object]] = []

    def add(self, batch: EvalBatch, objective: str, ranker: F32, preranker: F32) -> None:
        """Add the scores of the candidates of a batch by both models, for an objective."""
        pool = batch.candidates.pool
        number = self.recipe.objective_names.index(objective)
        has_positive = batch.judged[number].positives > 0
        in_pool = -positions(pool.offsets).astype(np.float32)
        for name, order in ((PRERANKER, preranker), (POOL, in_pool)):
            for n in self.sizes:
                scores = self.lists_of_first(batch, number, ranker, order, n)
                self.scores.setdefault((name, n, objective), []).append(scores)
            for query in batch.query[has_positive]:
                rows = slice(*pool.offsets[query : query + 2])
                if pool.item[rows].size:
                    row: dict[str, object] = {"order": name, "objective": objective}
                    pair = ranker[rows], order[rows]
                    self.rows.append(row | self.agreement_of(*pair, pool.item[rows]))

    def lists_of_first(
        self, batch: EvalBatch, objective: int, ranker: F32, order: F32, n: int
    ) -> QueryScores:
        """Score the lists that the ranker makes of the first n candidates of an order."""
        mask = first_candidates(batch.candidates.pool, order, n)
        return batch.query_scores(self.recipe.metric, objective, ranker, mask)

    def agreement_of(self, ranker: F32, order: F32, item: NDArray) -> dict[str, float]:
        """Compare both orders of the candidates of one query."""
        of_ranker, of_order = agreement.ranks(ranker, item), agreement.ranks(order, item)
        hits = {f"hit_{k}_{self.keep}": agreement.hit_rate(of_ranker, of_order, k, self.keep)
                for k in HITS}  # fmt: skip
        return hits | {
            f"ndcg_{self.recipe.k}": agreement.ndcg(of_ranker, of_order, self.recipe.k),
            "kendall_tau": agreement.kendall_tau(ranker, order),
            "pair_accuracy": agreement.pair_accuracy(ranker, order),
        }

    def agreement(self) -> pl.DataFrame:
        """Average over queries with a positive: a row per order and objective."""
        table = pl.DataFrame(self.rows).fill_nan(None)
        keys = ["order", "objective"]
        return table.group_by(keys, maintain_order=True).agg(
            pl.len().alias("queries"), pl.exclude(keys).mean()
        )

    def cascade(self) -> pl.DataFrame:
        """Score the ranker's lists of the first n candidates: a row per order and n.

        delta: to the lists of the whole pool, with its 95 % interval, paired by query.
        """
        names = list(dict.fromkeys(objective for _, _, objective in self.scores))
        weights = [o.weight for o in self.recipe.objectives if o.name in names]
        joined = {key: QueryScores.concat(parts) for key, parts in self.scores.items()}
        rows = list[dict[str, object]]()
        for order in (PRERANKER, POOL):
            whole = [joined[order, self.sizes[-1], name] for name in names]
            for n in self.sizes:
                scores = [joined[order, n, name] for name in names]
                delta, low, high = paired_delta(scores, whole, weights, self.recipe.seed)
                row: dict[str, object] = {"order": order, "first": n}
                row |= {name: s.score() for name, s in zip(names, scores, strict=True)}
                row |= {"total": total_score(scores, weights), "delta": delta}
                rows.append(row | {"low": low, "high": high})
        return pl.DataFrame(rows)


def first_candidates(pool: Pool, score: F32, n: int) -> NDArray[np.bool_]:
    """Mark the n candidates of each query with the highest scores: bool; ties by item."""
    rows = ranking_kernel.top_rows(pool.offsets, pool.item, score, n)
    mask = np.zeros(pool.item.size, np.bool_)
    mask[rows[rows >= 0]] = True
    return mask
