"""Measure the CPU seconds of step 4 on a part of its work; extrapolate to OTTO's full size.

    python -m bench.learning --dataset otto --output output/bench-0.0625

Needs step 1. Each embedding of the recipe trains on a part of an epoch of `valid`, held-out scores
included. Its CPU seconds per event, pair or position are multiplied by those that all epochs read
at full size, within the caps of the row. The exact search is measured per look-up, and multiplied
by the items and queries of full size. CPU seconds do not depend on other work on the cores. Prints
a table and appends it to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import measure
from src.candidates.two_tower import TwoTowerRetriever
from src.cli import parse
from src.core.nearest import nearest
from src.core.run import Run
from src.data.sessions import Sessions
from src.embeddings.base import unit
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.factorization_trainer import BATCH_PAIRS, FactorizationTrainer
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.two_tower_trainer import deterministic_trainer
from src.embeddings.word2vec import Word2VecEmbedding

EVENTS, ITEMS, QUERIES = 162_000_000, 1_734_000, 1_757_000  # of `valid` at full size
PART_EVENTS, PART_PAIRS, PART_POSITIONS = 2_000_000, 4_000_000, 200_000  # measured, at most
LOOKED_UP = 4096  # vectors whose nearest ones are searched
HEAD = ("row", "unit", "measured", "CPU s", "a million, CPU s", "at full size", "CPU minutes")


class Cost(NamedTuple):
    """CPU seconds of the measured units, and the number of units at full size."""

    name: str
    unit: str
    measured: int
    cpu_seconds: float
    at_full_size: int

    def cells(self) -> list[str]:
        """Format a row of the table."""
        each = self.cpu_seconds / self.measured
        return [self.name, self.unit, f"{self.measured:,}", f"{self.cpu_seconds:.1f}",
                f"{each * 1e6:.1f}", f"{self.at_full_size:,}",
                f"{each * self.at_full_size / 60:.1f}"]  # fmt: skip


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def first_sessions(sessions: Sessions, events: int) -> Sessions:
    """Take the first sessions with about so many events."""
    n = min(int(np.searchsorted(sessions.offsets, events)), sessions.n_sessions)
    end = int(sessions.offsets[n])
    cut = {name: getattr(sessions, name)[:end] for name in ("item", "ts", "type")}
    return replace(sessions, offsets=sessions.offsets[: n + 1], first_query=n, **cut)


def word2vec(row: Word2VecEmbedding, sessions: Sessions) -> Cost:
    """Train one epoch on the first sessions."""
    first = first_sessions(sessions, PART_EVENTS)
    seconds = cpu_seconds(lambda: row.train(first, 1, seed=0))
    epochs = min(row.epochs, max(1, row.max_tokens // EVENTS))
    return Cost(row.name, "events", first.item.size, seconds, EVENTS * epochs)


def factorization(row: FactorizationEmbedding, sessions: Sessions) -> Cost:
    """Train on about PART_PAIRS pairs."""
    trainer = FactorizationTrainer(sessions, replace(row, max_pairs=PART_PAIRS), 0)
    n = max(1, PART_PAIRS // BATCH_PAIRS) * BATCH_PAIRS
    n = min(n, sessions.item.size * row.max_steps)
    most = min(row.max_pairs, EVENTS * row.max_steps)
    return Cost(row.name, "pairs", n, cpu_seconds(trainer.epoch), most * row.epochs)


def two_tower(row: TwoTowerEmbedding, sessions: Sessions, n_types: int) -> Cost:
    """Train on PART_POSITIONS positions at most."""
    smaller = replace(row, max_positions=PART_POSITIONS)
    with deterministic_trainer(sessions, smaller, n_types, 0, "cpu") as trainer:
        n = min(smaller.max_positions, trainer.positions.size)
        seconds = cpu_seconds(trainer.epoch)
    return Cost(row.name, "positions", n, seconds, row.max_positions * row.epochs)


def training_costs(run: Run, sessions: Sessions) -> list[Cost]:
    """Measure the training of every embedding of the recipe that has one."""
    costs = []
    for row in run.recipe.embeddings:
        if isinstance(row, Word2VecEmbedding):
            costs.append(word2vec(row, sessions))
        elif isinstance(row, FactorizationEmbedding):
            costs.append(factorization(row, sessions))
        elif isinstance(row, TwoTowerEmbedding):
            costs.append(two_tower(row, sessions, len(run.recipe.types)))
    return costs


def search_costs(run: Run) -> list[Cost]:
    """Measure the exact search, on random vectors: neighbours of items, lists of queries."""
    rng, costs = np.random.default_rng(0), list[Cost]()
    lists = [row for row in run.recipe.retrievers if isinstance(row, TwoTowerRetriever)]
    rows = run.recipe.embeddings
    searches = [("neighbours of all tables", rows[0].top_n, ITEMS * len(rows))]
    searches += [("lists of all towers", lists[0].top, QUERIES * len(lists))] if lists else []
    items = unit(rng.normal(size=(rows[0].max_items, 64)).astype(np.float32))
    for name, top, n in searches:
        nearest(items[:10], items[:100], top)  # compiles the kernels
        seconds = cpu_seconds(partial(nearest, items[:LOOKED_UP], items, top))
        costs.append(Cost(f"{name}, {len(items):,} items", "look-ups", LOOKED_UP, seconds, n))
    return costs


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.learning", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    args = parser.parse_args(argv)
    flags = ["--dataset", args.dataset, "--output", args.output, "--engine", "cpu"]
    run = parse(str(__doc__), Path("4_embeddings.py"), flags)
    sessions = Sessions.load(run, "valid")
    costs = training_costs(run, sessions) + search_costs(run)
    size = f"{sessions.item.size:,} events, {sessions.n_items:,} items; full size is extrapolated"
    measure.append_table(
        measure.title(measure.origin(argv, "bench.learning"), size),
        measure.table(HEAD, [cost.cells() for cost in costs]),
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
