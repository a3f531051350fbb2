"""What step 4's rows cost, measured in small and extrapolated to OTTO's full size.

    python -m bench.learning --dataset otto --output output/bench-0.0625

Needs step 1. On the valid split, each kind of row of the recipe learns from a part of what it may
learn from in one epoch, held-out scores included; its CPU seconds per event read, pair or position
are then multiplied by what it reads at full size: as many as its caps allow, all epochs. So are
those of the exact search, per item or query, by the items or queries of full size times the
tables or lists of the recipe. Cores are shared with whatever runs: CPU seconds, not seconds.
Appends to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bench import measure
from src.candidates.rows import TwoTowerRetriever
from src.cli import parse
from src.core import nearest as search
from src.core.run import Run
from src.data.sessions import Sessions
from src.data.shards import load_split
from src.embeddings import factorization_trainer as factors
from src.embeddings import two_tower_trainer as sequence
from src.embeddings import vectors as embeddings
from src.embeddings.rows import FactorizationEmbedding, TwoTowerEmbedding, Word2VecEmbedding

EVENTS, ITEMS, QUERIES = 162_000_000, 1_734_000, 1_757_000  # of valid, at full size
PART = {Word2VecEmbedding: 2_000_000, FactorizationEmbedding: 4_000_000, TwoTowerEmbedding: 200_000}
LOOKED_UP = 4096
HEAD = ("row", "unit", "measured", "CPU s", "a million, CPU s", "at full size", "CPU minutes")


Cost = tuple[str, str, int, float, int]
"""Name, unit, how many were measured, CPU seconds, how many there are at full size."""


def cpu_seconds(do: Callable[[], object]) -> float:
    begin = time.process_time()
    do()
    return time.process_time() - begin


def first_sessions(sessions: Sessions, events: int) -> Sessions:
    """So many events of the first sessions, about."""
    n = int(np.searchsorted(sessions.offsets, events))
    end = int(sessions.offsets[n])
    cut = {name: getattr(sessions, name)[:end] for name in ("item", "ts", "type")}
    return replace(sessions, offsets=sessions.offsets[: n + 1], first_query=n, **cut)


def learned(run: Run, sessions: Sessions) -> list[Cost]:
    """Of every row of the recipe."""
    found: list[Cost] = []
    for row in run.recipe.embeddings:
        if isinstance(row, Word2VecEmbedding):
            part = first_sessions(sessions, PART[Word2VecEmbedding])
            once = replace(row, epochs=1)
            seconds = cpu_seconds(partial(embeddings.word2vec, part, once, 0))
            most = max(1, row.words // EVENTS)
            found.append(
                (row.name, "events", part.item.size, seconds, EVENTS * min(row.epochs, most))
            )
        elif isinstance(row, FactorizationEmbedding):
            trainer = factors.Trainer(sessions, replace(row, pairs=PART[FactorizationEmbedding]), 0)
            n = max(1, PART[FactorizationEmbedding] // factors.CHUNK) * factors.CHUNK
            n = min(n, sessions.item.size * row.steps)
            most = min(row.pairs, EVENTS * row.steps)
            found.append((row.name, "pairs", n, cpu_seconds(trainer.epoch), most * row.epochs))
        elif isinstance(row, TwoTowerEmbedding):
            few, types = replace(row, positions=PART[TwoTowerEmbedding]), len(run.recipe.types)
            with sequence.training(sessions, few, types, 0, "cpu") as net:
                n, seconds = min(few.positions, net.positions.size), cpu_seconds(net.epoch)
            found.append((row.name, "positions", n, seconds, row.positions * row.epochs))
    return found


def looked_up(run: Run) -> list[Cost]:
    """The same of the exact search: neighbours of items, lists of queries."""
    rng, found = np.random.default_rng(0), list[Cost]()
    lists = [rule for rule in run.recipe.rules if isinstance(rule, TwoTowerRetriever)]
    rows = run.recipe.embeddings
    kinds = [("neighbours of all tables", rows[0].top_n, ITEMS * len(rows))]
    kinds += [("lists of all towers", lists[0].top, QUERIES * len(lists))] if lists else []
    items = embeddings.unit(rng.normal(size=(rows[0].among, 64)).astype(np.float32))
    for name, top, n in kinds:
        search.nearest(items[:10], items[:100], top)  # compiled before
        seconds = cpu_seconds(partial(search.nearest, items[:LOOKED_UP], items, top))
        found.append((f"{name}, {len(items):,} items", "look-ups", LOOKED_UP, seconds, n))
    return found


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.learning", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    args = parser.parse_args(argv)
    flags = ["--dataset", args.dataset, "--output", args.output, "--engine", "cpu"]
    run = parse(str(__doc__), Path("4_embeddings.py"), flags)
    sessions = load_split(run, "valid").sessions
    rows = [
        [name, unit, f"{n:,}", f"{cpu:.1f}", f"{cpu / n * 1e6:.1f}", f"{full:,}",
         f"{cpu / n * full / 60:.1f}"]
        for name, unit, n, cpu, full in learned(run, sessions) + looked_up(run)
    ]  # fmt: skip
    size = f"{sessions.item.size:,} events, {sessions.n_items:,} items; full size is extrapolated"
    measure.append_table(
        measure.title(measure.origin(argv, "bench.learning"), size), measure.table(HEAD, rows)
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
