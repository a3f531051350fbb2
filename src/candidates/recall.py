"""Measure the recall of retrievers, of the pool and of baselines on `valid`."""

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
from src.candidates.pool import PoolItems, top_candidates
from src.candidates.pool_kernel import ABSENT
from src.core.arrays import I32, arrays
from src.core.console import show
from src.core.run import Run
from src.data import paths
from src.data.labels import scan_labels
from src.data.recipe import Recipe
from src.data.schemas import LABELS
from src.data.shards import Shard, in_turn, shards
from src.metrics.bootstrap import bootstrap, total_score
from src.metrics.query_scores import QueryScores, capped_count, score_ranks

CUTS = (20, 50, 100, 150)
"""Sizes of a pool whose recall is measured."""

HIT_CUTS = (5, 10, 20, 50)
"""First items of a list whose hit rate is measured."""

UNION = "union of lists"
"""Row of the pool table with the recall of all lists."""

BASELINE_VALUES = pl.Schema({
    "session": pl.Int64, "value": pl.Float64, "ideal": pl.Float64,
    "baseline": pl.String, "objective": pl.Int8,
})  # fmt: skip
"""Value and ideal of a list: a row per baseline, objective and session."""


@dataclass(frozen=True)
class LabelRanks:
    """Ranks of the labels of a shard."""

    rows: slice  # rows of the shard's labels
    in_lists: NDArray[np.uint16]  # (labels, retrievers), ABSENT where not listed
    in_pool: I32  # (labels), -1 where not in the pool
    in_baselines: list[I32]  # per baseline (labels), -1 where not among the first k


class CandidateRecall:
    """Collects the ranks of all labels, shard by shard, and computes the recall of candidates.

    Recall is capped: of a session, at most as many positives count as the metric allows.
    """

    def __init__(self, recipe: Recipe, rows: Sequence[Retriever], labels: pl.DataFrame) -> None:
        self.recipe, self.rows, self.labels = recipe, rows, labels
        self.names = [row.name for row in rows]
        self.baselines = [b for b in recipe.baselines if set(b.retrievers) <= set(self.names)]
        self.session, self.objective, self.item, self.grade = arrays(labels, *LABELS.names())
        self.ranks: list[LabelRanks] = []
        self.candidates = self.queries = 0

    def add(self, lists: CandidateLists, pool: PoolItems, shard: Shard) -> None:
        """Find the ranks of a shard's labels in its lists, its pool and its baselines."""
        low, high = np.searchsorted(self.session, (shard.first, shard.end))
        query, positive = self.session[low:high] - shard.first, self.item[low:high]
        in_lists = kernel.ranks_in_lists(
            query, positive, lists.offsets, lists.retriever, lists.rank, lists.item, len(self.rows)
        )
        in_pool = kernel.ranks_in_pool(query, positive, pool.offsets, pool.item)
        in_baselines = [self._in_baseline(b, query, positive, lists) for b in self.baselines]
        self.ranks.append(LabelRanks(slice(low, high), in_lists, in_pool, in_baselines))
        self.candidates += pool.item.size
        self.queries += shard.end - shard.first

    def _in_baseline(
        self, baseline: Baseline, query: I32, positive: I32, lists: CandidateLists
    ) -> I32:
        """Return the rank of each positive among the first k of a baseline, or -1."""
        retrievers = np.array([self.names.index(name) for name in baseline.retrievers])
        k = self.recipe.k
        first_k = kernel.concatenated(lists.offsets, lists.retriever, lists.item, retrievers, k)
        return kernel.ranks_in_pool(
            query, positive, np.arange(lists.offsets.size) * k, first_k.ravel()
        )

    def retrievers_table(self) -> pl.DataFrame:
        """Compute the recall of each retriever: of k items, of all, and of unique hits.

        A unique hit is not in the list of any other retriever.
        """
        ranks, k = self.joined("in_lists"), self.recipe.k
        unique = (ranks != ABSENT).sum(axis=1) == 1
        rows = []
        for number, name in enumerate(self.names):
            listed = ranks[:, number] != ABSENT
            row: dict[str, object] = {"retriever": name}
            row |= self._recalls(f"recall_{k}", listed & (ranks[:, number] < k))
            row |= self._recalls("recall", listed)
            row |= self._recalls("unique_recall", listed & unique)
            rows.append(row)
        return pl.DataFrame(rows)

    def hits_table(self) -> pl.DataFrame:
        """Count the queries with a positive, and those with one among a list's first items.

        A row per retriever and objective; hit rates are counts over the queries with a positive.
        """
        ranks, rows = self.joined("in_lists"), []
        for number, name in enumerate(self.names):
            for o, objective in enumerate(self.recipe.objective_names):
                positive = (self.objective == o) & (self.grade > 0)
                queries = capped_count(self.session[positive], 1)
                counts = {
                    cut: capped_count(self.session[positive & (ranks[:, number] < cut)], 1)
                    for cut in HIT_CUTS
                }
                row: dict[str, object] = {"retriever": name, "objective": objective}
                row |= {"queries": queries} | {f"hits_{cut}": n for cut, n in counts.items()}
                row |= {f"hit_rate_{cut}": n / max(queries, 1) for cut, n in counts.items()}
                rows.append(row)
        return pl.DataFrame(rows)

    def pool_table(self) -> pl.DataFrame:
        """Compute the recall of the pool's first candidates, of all, and of the union of lists."""
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
        """Compute each baseline's scores, and the weighted total with its 95 % interval."""
        weights = [o.weight for o in self.recipe.objectives]
        rows = []
        for baseline in self.baselines:
            scores = self._baseline_scores(baseline)
            low, high = bootstrap(scores, weights, self.recipe.seed)
            row: dict[str, object] = {"baseline": baseline.name}
            named = zip(self.recipe.objective_names, scores, strict=True)
            row |= {name: objective.score() for name, objective in named}
            row |= {"total": total_score(scores, weights)}
            rows.append(row | {"low": float(low[-1]), "high": float(high[-1])})
        names = ["baseline", *self.recipe.objective_names, "total", "low", "high"]
        return pl.DataFrame(rows, schema=names)

    def baseline_values(self) -> pl.DataFrame:
        """Return value and ideal by baseline, objective and query, for paired comparisons."""
        tables = [pl.DataFrame(schema=BASELINE_VALUES)]
        for baseline in self.baselines:
            for o, scores in enumerate(self._baseline_scores(baseline)):
                keys = {"baseline": pl.lit(baseline.name), "objective": pl.lit(o, pl.Int8)}
                tables.append(pl.DataFrame(vars(scores)).with_columns(**keys))
        return pl.concat(table.select(BASELINE_VALUES.names()) for table in tables)

    def _baseline_scores(self, baseline: Baseline) -> list[QueryScores]:
        """Score a baseline on the labels of all added shards, per objective."""
        number, metric = self.baselines.index(baseline), self.recipe.metric
        rank = np.concatenate([r.in_baselines[number] for r in self.ranks])
        covered = np.concatenate([np.arange(r.rows.start, r.rows.stop) for r in self.ranks])
        scores = []
        for o in range(len(self.recipe.objectives)):
            of_objective = self.objective[covered] == o
            rows = covered[of_objective]
            session, grade = self.session[rows], self.grade[rows]
            scores.append(score_ranks(session, rank[of_objective], grade, metric))
        return scores

    def joined(self, name: str) -> NDArray:
        """Join an array of LabelRanks over all labels; absent where no shard has the label."""
        first = getattr(self.ranks[0], name)
        absent = ABSENT if name == "in_lists" else -1
        out = np.full((len(self.labels), *first.shape[1:]), absent, first.dtype)
        for ranks in self.ranks:
            out[ranks.rows] = getattr(ranks, name)
        return out

    def _recalls(self, suffix: str, hit: NDArray) -> dict[str, object]:
        """Compute the capped recall per objective from the mask of labels that are hit."""
        cap, recalls = self.recipe.metric.cap, dict[str, object]()
        for o, name in enumerate(self.recipe.objective_names):
            of_objective = (self.objective == o) & (self.grade > 0)
            possible = capped_count(self.session[of_objective], cap)
            hits = capped_count(self.session[of_objective & hit], cap)
            recalls["_".join(filter(None, (name, suffix)))] = hits / max(possible, 1)
        return recalls


def write_recall(run: Run, rows: Sequence[Retriever], name: str) -> None:
    """Measure retrievers, their pool and baselines on `valid`; print tables.

    Writes {retrievers,hits,pool,baselines}.csv, and baselines.parquet with values per query, to
    logs/<name>.
    """
    folder, labels, recipe = run.output / "logs" / name, paths.labels(run, "valid"), run.recipe
    csv_of = {
        table: folder / f"{table}.csv" for table in ("retrievers", "hits", "pool", "baselines")
    }
    values = folder / "baselines.parquet"

    def make(temporary: dict[Path, Path]) -> None:
        recall = CandidateRecall(recipe, rows, scan_labels(labels).collect())

        def read(shard: Shard) -> tuple[CandidateLists, Shard]:
            return read_candidates(shard_candidates(run, "valid", rows, shard), shard), shard

        for lists, shard in in_turn(read, run.progress(shards(run, "valid"), "recall")):
            recall.add(lists, top_candidates(lists, recipe.pool_size), shard)
        tables = {
            csv_of["retrievers"]: recall.retrievers_table(),
            csv_of["hits"]: recall.hits_table(),
            csv_of["pool"]: recall.pool_table(),
            csv_of["baselines"]: recall.baselines_table(),
        }
        for path, temporary_path in temporary.items():
            if path == values:
                recall.baseline_values().write_parquet(temporary_path)
            else:
                tables[path].write_csv(temporary_path, float_precision=6)

    inputs = [labels, *candidate_files(run, "valid", rows)]
    key = ([row.name for row in rows], recipe.baselines, recipe.objectives, recipe.metric,
           recipe.pool_size, recipe.seed)  # fmt: skip
    run.build_many(dict.fromkeys([*csv_of.values(), values], key), make, inputs)
    for table, path in csv_of.items():
        if table != "hits":  # too long to read on a terminal
            show(pl.read_csv(path))
