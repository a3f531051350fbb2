"""Blocks of queries through the rules: lists of step 3, lists of step 4, the merged pool."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Lock

import polars as pl

from src.candidates import pool
from src.candidates.recall import CandidateRecall
from src.candidates.rows import ItemToItemRetriever, Retriever, TwoTowerRetriever
from src.candidates.rules import World, block_lists
from src.core import store
from src.core.console import show
from src.core.parquet import TableWriter, count_rows
from src.core.run import Run
from src.data import shards
from src.data.recipe import Recipe
from src.data.schemas import LISTS
from src.data.shards import (
    AT_A_TIME,
    BLOCK,
    Part,
    in_turn,
    load_split,
    part_files,
    part_path,
    parts,
    to_make,
)

FEWEST = 100  # queries whose lists are made at a time where memory is short

TABLES = ("rules", "pool", "baselines")  # of src/candidates/recall.py


def rules_of_step(recipe: Recipe, embeddings: bool) -> dict[int, Retriever]:
    """The rules that look into embeddings (step 4), or the others (step 3), by row number."""
    names = {e.name for e in recipe.embeddings}
    return {
        number: rule
        for number, rule in enumerate(recipe.rules)
        if (getattr(rule, "matrix", getattr(rule, "model", None)) in names) == embeddings
    }


def list_parts(run: Run, world: World, folder: str, rules: dict[int, Retriever]) -> int:
    """Write the lists of some rules for all queries; returns how many blocks were made."""
    place = run.output / world.split
    looked_up = [table for rule in rules.values() for table in tables_of(run, world.split, rule)]
    run.need([place / "events.parquet", *looked_up])
    room = cache(lambda: queries_at_a_time(run, world, folder, rules))  # when there is work to do
    rules_at_work = Lock()  # they use all cores; a block's file is written beside the next block

    def build(part: Part) -> bool:
        def make(path: Path) -> None:
            with rules_at_work:
                blocks = shards.blocks(*part, room()) if rules else []
                pieces = [block_lists(world, rules, *piece) for piece in blocks]
                lists = pl.concat([pl.DataFrame(schema=LISTS), *pieces], rechunk=True)
            with TableWriter(path, LISTS) as writer:
                writer.add(lists)

        inputs = [place / "events.parquet", *looked_up]
        return run.build(part_path(place / folder, world, part), make, (part, rules), inputs)

    return sum(in_turn(build, run.progress(parts(world), f"{world.split} {folder}")))


def tables_of(run: Run, split: str, rule: Retriever) -> list[Path]:
    """What a rule looks up, beside the events."""
    if isinstance(rule, TwoTowerRetriever):
        return [run.vectors(split, rule.model), run.queries(split, rule.model)]
    return [run.table(split, rule.matrix)] if isinstance(rule, ItemToItemRetriever) else []


def queries_at_a_time(run: Run, world: World, folder: str, rules: dict[int, Retriever]) -> int:
    """How many queries' lists fit into the memory allowed beside what the rules look up."""
    n_events = count_rows(run.output / world.split / "events.parquet")
    n_items, threads = count_rows(run.output / "items.parquet"), run.engine.threads
    fixed = 32 * n_events + 16 * world.n_sessions  # with the latest sessions of each item
    tables = {
        (r.matrix, r.neighbours) for r in rules.values() if isinstance(r, ItemToItemRetriever)
    }
    for path, top in {(run.table(world.split, name), top) for name, top in tables}:
        fixed += 8 * min(n_items * top, count_rows(path)) + 8 * n_items
    fixed += threads * (8 * world.n_sessions + 52 * n_items)
    for path, among in {(tables_of(run, world.split, r)[0], r.among) for r in rules.values()
                        if isinstance(r, TwoTowerRetriever)}:  # fmt: skip
        fixed += path.stat().st_size * min(among, n_items) // n_items
    width, n_queries = sum(r.top for r in rules.values()), world.n_sessions - world.first_query
    fixed += AT_A_TIME * 28 * width * min(BLOCK, n_queries)
    query = 45 * width
    disk = 2.5 * width * to_make(run, world, folder)
    run.budget.claim(f"{world.split} lists", fixed + FEWEST * query, disk)
    return int(max(FEWEST, min(BLOCK, (run.budget.memory - fixed) // query)))


def read_lists(run: Run, world: World, folders: list[str], part: Part) -> pl.DataFrame:
    """LISTS rows of a block from several folders, in session order."""
    paths = [part_path(run.output / world.split / f, world, part) for f in folders]
    if len(paths) == 1:
        return pl.read_parquet(paths[0])
    return pl.concat(pl.read_parquet(p) for p in paths).sort("session", "rule", "rank")


def pool_parts(run: Run, world: World, folders: list[str]) -> int:
    """Merge the lists into the pool; returns how many blocks were made."""
    place = run.output / world.split
    names = [rule.name for rule in run.recipe.rules]
    told = cache(lambda: claim_pool(run, world))  # when there is work to do
    made = 0
    for part in run.progress(parts(world), f"{world.split} pool"):

        def make(path: Path, part: Part = part) -> None:
            told()
            lists = read_lists(run, world, folders, part)
            merged = pool.merge(lists, len(names), *part, run.recipe.pool_size)
            merged.to_frame(names).write_parquet(path)

        inputs = [part_path(place / f, world, part) for f in folders]
        rows = (part, names, run.recipe.pool_size)
        made += run.build(part_path(place / "pool", world, part), make, rows, inputs)
    return made


def claim_pool(run: Run, world: World) -> None:
    """Tell what merging a block of lists takes, and all pools on disk: about .6 bytes a number."""
    rules, n_queries = run.recipe.rules, world.n_sessions - world.first_query
    numbers = run.recipe.pool_size * (2 * len(rules) + 3)
    memory = min(BLOCK, n_queries) * (40 * sum(rule.top for rule in rules) + 5 * numbers)
    run.budget.claim(f"{world.split} pool", memory, 0.6 * numbers * to_make(run, world, "pool"))


def cover(run: Run, folders: list[str], name: str) -> None:
    """Store the recall of rules, pool and baselines on the valid split in logs/<name>; print it."""
    world, place = load_split(run, "valid"), run.output / "logs" / name
    labels = run.output / "valid" / "labels.parquet"

    def make(path: Path) -> None:
        coverage = CandidateRecall(run.recipe, pl.read_parquet(labels))
        blocks = run.progress(parts(world), "recall")
        ahead = in_turn(lambda part: (part, read_lists(run, world, folders, part)), blocks)
        for part, lists in ahead:
            offsets, item, _ = pool.candidates(lists, *part, run.recipe.pool_size)
            coverage.add(lists, (offsets, item), *part)
        for table in TABLES:
            text = getattr(coverage, f"{table}_table")().write_csv(float_precision=6)
            store.write_text(place / f"{table}.csv", text)
        coverage.baseline_tallies().write_parquet(path)

    inputs = [labels, *(file for f in folders for file in part_files(run, "valid", f))]
    rows = (run.recipe.rules, run.recipe.baselines, run.recipe.pool_size, run.recipe.k)
    run.build(place / "baselines.parquet", make, rows, inputs)
    for table in TABLES:
        show(pl.read_csv(place / f"{table}.csv"))
