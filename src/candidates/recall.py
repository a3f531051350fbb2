"""Measure candidates before any model: recall of each retriever, of the pool, of baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.candidates import recall_kernel as kernel
from src.candidates.base import Baseline, Retriever
from src.candidates.lists import (
    CandidateLists,
    candidate_files,
    read_candidates,
    shard_candidates,
)
from src.candidates.pool import top_candidates
from src.candidates.pool_kernel import ABSENT
from src.core.arrays import I32, I64, arrays
from src.core.console import show
from src.core.run import Run
from src.data import paths
from src.data.recipe import Recipe
from src.data.schemas import LABELS
from src.data.shards import Shard, in_turn, shards
from src.metrics.bootstrap import bootstrap, total_score
from src.metrics.query_scores import QueryScores, capped_count, score_ranks

CUTS = (20, 50, 100, 150)
"""First candidates of the pool whose recall is measured."""

UNION = "union of lists"
"""Row of the pool table with the recall of all lists."""

BASELINE_VALUES = pl.Schema(
    {
        "session": pl.Int64,
        "value": pl.Float64,
        "ideal": pl.Float64,
        "baseline": pl.String,
        "objective": pl.Int8,
    }
)
"""Value and ideal of a query's list: a row per baseline, objective and session."""


@dataclass(frozen=True)
class LabelRanks:
    """Where the labels of a shard stand."""

    rows: slice  # of the labels
    in_lists: NDArray[np.uint8]  # (labels, retrievers), ABSENT where a list does not have them
    in_pool: I32  # or -1
    in_baselines: list[I32]  # among the first k of each, or -1


class CandidateRecall:
    """Collects the ranks of all labels shard by shard: no more than a shard is in memory."""

    def __init__(self, recipe: Recipe, rows: Sequence[Retriever], labels: pl.DataFrame) -> None:
        self.recipe, self.rows, self.labels = recipe, rows, labels
        self.names = [row.name for row in rows]
        self.baselines = [b for b in recipe.baselines if set(b.retrievers) <= set(self.names)]
        self.session, self.objective, self.item = arrays(labels, *LABELS.names())
        self.ranks: list[LabelRanks] = []
        self.candidates = self.queries = 0

    def add(self, lists: CandidateLists, pool: tuple[I64, I32], shard: Shard) -> None:
        """Rank the labels of a shard in its lists and in its pool (offsets, items in order)."""
        low, high = np.searchsorted(self.session, (shard.first, shard.end))
        query, positive = self.session[low:high] - shard.first, self.item[low:high]
        in_lists = kernel.ranks_in_lists(
            query, positive, lists.offsets, lists.retriever, lists.rank, lists.item, len(self.rows)
        )
        in_pool = kernel.ranks_in_pool(query, positive, *pool)
        in_baselines = [self._in_baseline(b, query, positive, lists) for b in self.baselines]
        self.ranks.append(LabelRanks(slice(low, high), in_lists, in_pool, in_baselines))
        self.candidates += pool[1].size
        self.queries += shard.end - shard.first

    def _in_baseline(
        self, baseline: Baseline, query: I32, positive: I32, lists: CandidateLists
    ) -> I32:
        """Rank of each positive among the first k of a baseline, or -1."""
        wanted = np.array([self.names.index(name) for name in baseline.retrievers])
        k = self.recipe.k
        first_k = kernel.concatenated(lists.offsets, lists.retriever, lists.item, wanted, k)
        return kernel.ranks_in_pool(
            query, positive, np.arange(lists.offsets.size) * k, first_k.ravel()
        )

    def retrievers_table(self) -> pl.DataFrame:
        """One row a retriever: recall at k, of its whole list, and of hits no other one has."""
        ranks, k = self.joined("in_lists"), self.recipe.k
        unique = (ranks != ABSENT).sum(axis=1) == 1
        rows = []
        for number, name in enumerate(self.names):
            listed = ranks[:, number] != ABSENT
            row: dict[str, object] = {"retriever": name}
            row |= self._recalls(f"recall_{k}", ranks[:, number] < k)
            row |= self._recalls("recall", listed)
            row |= self._recalls("unique_recall", listed & unique)
            rows.append(row)
        return pl.DataFrame(rows)

    def pool_table(self) -> pl.DataFrame:
        """Recall of the pool's first candidates, of all of them, and of all lists together."""
        rank = self.joined("in_pool")
        rows = [
            {"pool": f"first {cut}", **self._recalls("", (rank >= 0) & (rank < cut))}
            for cut in CUTS
        ]
        size = self.candidates / max(self.queries, 1)
        rows.append({"pool": f"all ({size:.0f} on average)", **self._recalls("", rank >= 0)})
        union = (self.joined("in_lists") != ABSENT).any(axis=1)
        rows.append({"pool": UNION, **self._recalls("", union)})
        return pl.DataFrame(rows)

    def baselines_table(self) -> pl.DataFrame:
        """Score of each baseline per objective, and the weighted total with its 95 % interval."""
        weights = [o.weight for o in self.recipe.objectives]
        rows = []
        for baseline in self.baselines:
            scores = self._baseline_scores(baseline)
            low, high = bootstrap(scores, weights, self.recipe.seed)
            row: dict[str, object] = {"baseline": baseline.name}
            named = zip(self.recipe.objective_names, scores, strict=True)
            row |= {name: of.score() for name, of in named}
            row |= {"total": total_score(scores, weights)}
            rows.append(row | {"low": float(low[-1]), "high": float(high[-1])})
        return pl.DataFrame(rows)

    def baseline_values(self) -> pl.DataFrame:
        """Value and ideal of every baseline, objective and query, for paired comparisons."""
        tables = [pl.DataFrame(schema=BASELINE_VALUES)]
        for baseline in self.baselines:
            for o, scores in enumerate(self._baseline_scores(baseline)):
                named = {"baseline": pl.lit(baseline.name), "objective": pl.lit(o, pl.Int8)}
                tables.append(pl.DataFrame(vars(scores)).with_columns(**named))
        return pl.concat(table.select(BASELINE_VALUES.names()) for table in tables)

    def _baseline_scores(self, baseline: Baseline) -> list[QueryScores]:
        """One per objective, over the labels of all shards so far."""
        number, metric = self.baselines.index(baseline), self.recipe.metric
        rank = np.concatenate([r.in_baselines[number] for r in self.ranks])
        covered = np.concatenate([np.arange(r.rows.start, r.rows.stop) for r in self.ranks])
        scores = []
        for o in range(len(self.recipe.objectives)):
            of_objective = self.objective[covered] == o
            sessions = self.session[covered[of_objective]]
            scores.append(score_ranks(sessions, rank[of_objective], metric))
        return scores

    def joined(self, name: str) -> NDArray:
        """An attribute of LabelRanks over all labels; absent where no shard has covered them."""
        first = getattr(self.ranks[0], name)
        absent = ABSENT if name == "in_lists" else -1
        out = np.full((len(self.labels), *first.shape[1:]), absent, first.dtype)
        for ranks in self.ranks:
            out[ranks.rows] = getattr(ranks, name)
        return out

    def _recalls(self, suffix: str, hit: NDArray) -> dict[str, object]:
        """Capped recall per objective, where `hit` marks the labels found."""
        cap, recalls = self.recipe.metric.cap, dict[str, object]()
        for o, name in enumerate(self.recipe.objective_names):
            of_objective = self.objective == o
            possible = capped_count(self.session[of_objective], cap)
            hits = capped_count(self.session[of_objective & hit], cap)
            recalls["_".join(filter(None, (name, suffix)))] = hits / max(possible, 1)
        return recalls


def write_recall(run: Run, rows: Sequence[Retriever], name: str) -> None:
    """Write the recall of some retrievers, their pool and baselines to logs/<name>, and print it.

    On the valid split: {retrievers,pool,baselines}.csv, and baselines.parquet per query.
    """
    folder, labels, recipe = run.output / "logs" / name, paths.labels(run, "valid"), run.recipe
    made = {table: folder / f"{table}.csv" for table in ("retrievers", "pool", "baselines")}
    values = folder / "baselines.parquet"

    def make(parts: dict[Path, Path]) -> None:
        recall = CandidateRecall(recipe, rows, pl.read_parquet(labels))

        def read(shard: Shard) -> tuple[CandidateLists, Shard]:
            return read_candidates(shard_candidates(run, "valid", rows, shard), shard), shard

        for lists, shard in in_turn(read, run.progress(shards(run, "valid"), "recall")):
            offsets, item, _ = top_candidates(lists, recipe.pool_size)
            recall.add(lists, (offsets, item), shard)
        tables = {made[name]: getattr(recall, f"{name}_table")() for name in made}
        for path, part in parts.items():
            if path == values:
                recall.baseline_values().write_parquet(part)
            else:
                tables[path].write_csv(part, float_precision=6)

    inputs = [labels, *candidate_files(run, "valid", rows)]
    key = ([row.name for row in rows], recipe.baselines, recipe.objectives, recipe.metric,
           recipe.pool_size, recipe.seed)  # fmt: skip
    run.build_many(dict.fromkeys([*made.values(), values], key), make, inputs)
    for path in made.values():
        show(pl.read_csv(path))
