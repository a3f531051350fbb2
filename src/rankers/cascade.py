"""A net that ranks the first candidates of another ranker anew (a cascade)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.candidates.pool import Pool
from src.core.arrays import F32, I64, Mask
from src.core.run import Run
from src.rankers.base import ALL, Host, Ranker, RankerModel
from src.rankers.batches import CandidateBatch
from src.rankers.net import NetRanker

if TYPE_CHECKING:
    from src.data.recipe import Recipe

COLUMNS = ("base_score", "base_rank")
"""Columns that the net reads beside the features: of the base ranker; ranks are from 0."""


@dataclass(frozen=True)
class CascadeRanker(NetRanker):
    """Ranks the first candidates of a ranker that stands before it; the others stay behind them.

    The net learns from these first candidates alone: its negatives are the hard ones. No score of
    the base ranker that it learns from comes from a model that learned from the same session
    (cascade_table.py).
    """

    _: KW_ONLY
    base: str  # name of the ranker
    first: int = 50  # candidates of a query that are ranked anew

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where the base ranker does not stand before, or does not fit."""
        super().check(recipe)
        if self.first < 2 or self.net.multi_task:
            raise ValueError(f"ranker {self.name}: first is at least 2, its net gives one score")
        names = [row.name for row in recipe.rankers]
        before = [] if self.name not in names else names[: names.index(self.name)]
        if self.base not in before:
            raise ValueError(
                f"ranker {self.name}: no ranker {self.base} stands before it; its base is one of "
                f"{', '.join(before) or 'none'}"
            )
        base = self.base_of(recipe)
        if isinstance(base, CascadeRanker):
            raise ValueError(f"ranker {self.name}: its base {self.base} is a cascade itself")
        learned = [name for name in recipe.objective_names if self.learns(name)]
        if unknown := [name for name in learned if not base.learns(name)]:
            raise ValueError(f"ranker {self.name}: its base {self.base} does not learn {unknown}")
        scores = {(self.target(name), base.score_column(name)) for name in learned}
        if len(scores) > len({target for target, _ in scores}):
            raise ValueError(
                f"ranker {self.name}: one model of it reads one score of its base, but "
                f"{self.base} has several; share the base too"
            )

    def base_of(self, recipe: Recipe) -> Ranker:
        """Return the row of the base ranker."""
        return next(row for row in recipe.rankers if row.name == self.base)

    def train_files(self, run: Run, objectives: Sequence[str]) -> list[Path]:
        """Make the table of the first candidates of all splits with labels; list its files."""
        from src.rankers.cascade_table import build_tables

        return build_tables(run, self, objectives)

    def group_key(self) -> Hashable:
        """Return what the data depends on: the table too."""
        return self.base, self.first, super().group_key()

    def load(self, path: Path, run: Host) -> CascadeModel:
        """Read the net, and the model of the base ranker of the same fold."""
        return self._with_base(super().load(path, run), path, run)

    def load_portable(self, path: Path, run: Host) -> CascadeModel:
        return self._with_base(super().load_portable(path, run), path, run)

    def _with_base(self, net: RankerModel, path: Path, run: Host) -> CascadeModel:
        """Add the base model, which lies beside: models/<ranker>/<target>/fold_<n>.<suffix>."""
        base, target = self.base_of(run.recipe), path.parent.name
        learned = filter(self.learns, run.recipe.objective_names)
        objective = next(learned) if target == ALL else target
        folder = path.parents[2] / base.name / base.target(objective)
        model = base.load(folder / f"{path.stem}.{base.suffix}", run).of(objective)
        return CascadeModel(model, net, self.first)


@dataclass(frozen=True)
class CascadeModel(RankerModel):
    """A net with the model whose first candidates it ranks."""

    base: RankerModel
    net: RankerModel
    first: int

    @property
    def names(self) -> list[str]:
        """Names of the features that either of them reads."""
        own = [name for name in self.net.names if name not in COLUMNS]
        return list(dict.fromkeys([*self.base.names, *own]))

    def scores(self, batch: CandidateBatch) -> F32:
        """Score the first candidates by the net; the others follow, in the order of the base."""
        score = self.base.scores(batch)
        rank = ranks(batch.pool, score)
        is_first = rank < self.first
        query = np.repeat(np.arange(batch.pool.n_queries), np.diff(batch.pool.offsets))
        found = self.net.scores(first_of(batch, is_first, score, rank))
        lowest = np.full(batch.pool.n_queries, np.inf, np.float32)
        np.minimum.at(lowest, query[is_first], found)
        scores = (lowest[query] + (self.first - 1 - rank)).astype(np.float32)
        scores[is_first] = found
        return scores


def ranks(pool: Pool, score: F32) -> I64:
    """Return the rank of each candidate in its query, from 0; ties go by item: int64."""
    size = np.diff(pool.offsets)
    order = np.lexsort((pool.item, -score, np.repeat(np.arange(size.size), size)))
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size) - np.repeat(pool.offsets[:-1], size)
    return rank


def first_of(batch: CandidateBatch, is_first: Mask, score: F32, rank: I64) -> CandidateBatch:
    """Keep the marked candidates of a batch, and add COLUMNS to their features."""
    X = np.column_stack([
        batch.X[batch.rows[is_first]], score[is_first], rank[is_first].astype(np.float32)
    ])  # fmt: skip
    pool, names = batch.pool.keep_rows(is_first), [*batch.names, *COLUMNS]
    return replace(batch, pool=pool, names=names, X=X, rows=np.arange(len(X)))
