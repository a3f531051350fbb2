"""Every rule's list, on every split with labels: does the order on `valid` hold elsewhere?

    python -m bench.lists --dataset tianchi [--output output/tianchi]

Of what steps 1 to 4 made: the competition's metric of each rule's list alone, and its recall at 20,
50 and 100, on `valid`; the metric on the other splits that are learned from (other sessions, or
other moments), and how far their order of the rules is that of `valid` (Kendall's tau of all pairs,
and of those pairs that lie further apart on `valid` than its 95 % intervals). Appends the table to
bench/RESULTS.md.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from bench import measure
from src.candidates import pool
from src.candidates.lists import read_lists
from src.candidates.pool_kernel import ABSENT
from src.candidates.recall import CandidateRecall
from src.cli import parse
from src.core.run import Run
from src.data.shards import load_split, parts
from src.metrics.scores import QueryScores, bootstrap, score_ranks

CUTS = (20, 50, 100)
FOLDERS = ["lists", "more_lists"]


def covered(run: Run, split: str) -> CandidateRecall:
    """Where every rule has the true items of a split."""
    world = load_split(run, split)
    coverage = CandidateRecall(run.recipe, pl.read_parquet(run.output / split / "labels.parquet"))
    for part in parts(world):
        lists = read_lists(run, world, FOLDERS, part)
        candidates = pool.candidates(lists, *part, run.recipe.pool_size)
        coverage.add(lists, candidates[:2], *part)
    return coverage


def scores(run: Run, coverage: CandidateRecall, k: int, metric: str) -> list[list[QueryScores]]:
    """Per rule, the tally of each objective."""
    found, ranks = [], coverage.joined("ranks").astype(np.int32)
    for number in range(len(run.recipe.rules)):
        place = np.where(ranks[:, number] == ABSENT, -1, ranks[:, number])
        mine = [coverage.objective == o for o in range(len(run.recipe.objectives))]
        found.append([score_ranks(coverage.session[m], place[m], metric, k) for m in mine])
    return found


def agreement(here: list[float], there: list[float], apart: float = 0.0) -> float:
    """Kendall's tau over the pairs of rules that are further apart here than that."""
    pairs = [p for p in combinations(range(len(here)), 2) if abs(here[p[0]] - here[p[1]]) > apart]
    signs = [np.sign((here[a] - here[b]) * (there[a] - there[b])) for a, b in pairs]
    return float(np.mean(signs))


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    run = parse(str(__doc__), Path("4_embeddings.py"), [*argv, "--engine", "cpu"])
    recipe, weights = run.recipe, [o.weight for o in run.recipe.objectives]

    def total(tallies: list[QueryScores]) -> float:
        return sum(w * t.score() for w, t in zip(weights, tallies, strict=True))

    columns: dict[str, list[float]] = {}
    by_split: dict[str, list[float]] = {}
    width = 0.0
    for split in run.learning_splits():
        coverage = covered(run, split)
        tallies = scores(run, coverage, recipe.k, recipe.metric)
        by_split[split] = [total(t) for t in tallies]
        columns[f"{recipe.metric}@{recipe.k}, {split}"] = by_split[split]
        if split == "valid":
            low, high = bootstrap(max(tallies, key=total), weights, recipe.seed)
            width = float(high[-1] - low[-1])
            for k in (recipe.k, *CUTS):
                columns[f"recall@{k}"] = [total(t) for t in scores(run, coverage, k, "recall")]
    told = [
        f"order on {split}: tau {agreement(by_split['valid'], values):.3f}, "
        f"{agreement(by_split['valid'], values, width):.3f} of rules over {width:.4f} apart"
        for split, values in by_split.items() if split != "valid"
    ]  # fmt: skip
    rows = zip([rule.name for rule in recipe.rules], *columns.values(), strict=True)
    measure.append_table(
        measure.title(measure.origin(argv, "bench.lists"), *told),
        measure.table(["rule", *columns], [[n, *(f"{v:.4f}" for v in row)] for n, *row in rows]),
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
