"""Score the list of each retriever alone, and compare the order of the scores between splits.

    python -m bench.lists --dataset tianchi [--output output/tianchi]

Needs steps 1 to 4. A row per retriever: the score of its list on every split with labels, and its
recall at k, 20, 50 and 100 on `valid`. Above the table stands Kendall's tau between the order of
the retrievers on `valid` and on each train split. It is computed over all pairs, and over those
pairs whose scores on `valid` differ by more than the width of a 95 % interval. Prints the table and
appends it to bench/RESULTS.md.
"""

from __future__ import annotations

import sys
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from bench import measure
from src.candidates.lists import read_candidates, shard_candidates
from src.candidates.pool import top_candidates
from src.candidates.pool_kernel import ABSENT
from src.candidates.recall import CandidateRecall
from src.cli import parse
from src.core.run import Run
from src.data import paths
from src.data.labels import scan_labels
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
    labels = scan_labels(paths.labels(run, split)).collect()
    recall = CandidateRecall(run.recipe, rows, labels)
    for shard in shards(run, split):
        lists = read_candidates(shard_candidates(run, split, rows, shard), shard)
        recall.add(lists, top_candidates(lists, run.recipe.pool_size), shard)
    return recall


def scores(recall: CandidateRecall, metric: Metric) -> list[list[QueryScores]]:
    """Score the lists of each retriever for each objective."""
    by_retriever, ranks = [], recall.joined("in_lists").astype(np.int32)
    for number in range(len(recall.rows)):
        rank = np.where(ranks[:, number] == ABSENT, -1, ranks[:, number])
        masks = [recall.objective == o for o in range(len(recall.recipe.objectives))]
        by_retriever.append(
            [score_ranks(recall.session[m], rank[m], recall.grade[m], metric) for m in masks]
        )
    return by_retriever


def agreement(here: list[float], there: list[float], apart: float = 0.0) -> float:
    """Compute Kendall's tau over the pairs of retrievers that differ by over `apart` here."""
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
