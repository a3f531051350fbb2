"""Does the order of the retrievers on `valid` hold on other splits?

    python -m bench.lists --dataset tianchi [--output output/tianchi]

Of what steps 1 to 4 made: the score of each retriever's list alone, and its recall at 20, 50 and
100, on `valid`; the score on the splits that are only learned from (other sessions, or other
moments). Kendall's tau says how far their order of the retrievers is that of `valid`: of all pairs,
and of those pairs whose scores on `valid` lie further apart than its 95 % interval is wide. Appends
the table to bench/RESULTS.md.
"""

from __future__ import annotations

import sys
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from bench import measure
from src.candidates.lists import read_candidates, shard_candidates
from src.candidates.pool import top_candidates
from src.candidates.pool_kernel import ABSENT
from src.candidates.recall import CandidateRecall
from src.cli import parse
from src.core.run import Run
from src.data import paths
from src.data.shards import shards
from src.data.splits import labelled_splits
from src.metrics.base import Metric
from src.metrics.bootstrap import bootstrap, total_score
from src.metrics.query_scores import QueryScores, score_ranks
from src.metrics.recall import Recall

CUTS = (20, 50, 100)


def measured(run: Run, split: str) -> CandidateRecall:
    """Rank the positives of a split in every list."""
    rows = run.recipe.retrievers
    recall = CandidateRecall(run.recipe, rows, pl.read_parquet(paths.labels(run, split)))
    for shard in shards(run, split):
        lists = read_candidates(shard_candidates(run, split, rows, shard), shard)
        recall.add(lists, top_candidates(lists, run.recipe.pool_size)[:2], shard)
    return recall


def scores(recall: CandidateRecall, metric: Metric) -> list[list[QueryScores]]:
    """Per retriever, the scores of each objective."""
    found, ranks = [], recall.joined("in_lists").astype(np.int32)
    for number in range(len(recall.rows)):
        rank = np.where(ranks[:, number] == ABSENT, -1, ranks[:, number])
        of = [recall.objective == o for o in range(len(recall.recipe.objectives))]
        found.append([score_ranks(recall.session[mask], rank[mask], metric) for mask in of])
    return found


def agreement(here: list[float], there: list[float], apart: float = 0.0) -> float:
    """Kendall's tau over the pairs of retrievers that are further apart here than that."""
    pairs = [p for p in combinations(range(len(here)), 2) if abs(here[p[0]] - here[p[1]]) > apart]
    signs = [np.sign((here[a] - here[b]) * (there[a] - there[b])) for a, b in pairs]
    return float(np.mean(signs))


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    run = parse(str(__doc__), Path("4_embeddings.py"), [*argv, "--engine", "cpu"])
    recipe, weights = run.recipe, [o.weight for o in run.recipe.objectives]
    total = partial(total_score, weights=weights)
    columns: dict[str, list[float]] = {}
    by_split: dict[str, list[float]] = {}
    width = 0.0
    for split in labelled_splits(run):
        recall = measured(run, split)
        of_lists = scores(recall, recipe.metric)
        by_split[split] = columns[f"{recipe.metric}, {split}"] = [total(s) for s in of_lists]
        if split == "valid":
            low, high = bootstrap(max(of_lists, key=total), weights, recipe.seed)
            width = float(high[-1] - low[-1])
            for k in (recipe.k, *CUTS):
                columns[f"recall@{k}"] = [total(s) for s in scores(recall, Recall(k))]
    notes = [
        f"order on {split}: tau {agreement(by_split['valid'], values):.3f}, "
        f"{agreement(by_split['valid'], values, width):.3f} of retrievers over {width:.4f} apart"
        for split, values in by_split.items() if split != "valid"
    ]  # fmt: skip
    rows = zip([row.name for row in recipe.retrievers], *columns.values(), strict=True)
    measure.append_table(
        measure.title(measure.origin(argv, "bench.lists"), *notes),
        measure.table(
            ["retriever", *columns], [[n, *(f"{v:.4f}" for v in row)] for n, *row in rows]
        ),
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
