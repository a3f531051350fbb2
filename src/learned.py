"""Training an embedding row of a split: its vectors, what else it makes, and the neighbours.

Only step 4 imports this module, and torch comes in where a row that needs it is trained: all that
looks at the results reads plain .npy files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from src import embeddings, store
from src.candidates import open_world
from src.epochs import Log
from src.rows.embeddings import ContentRow, EmbeddingRow, FactorRow, SequenceRow, Word2VecRow
from src.rules import World
from src.run import Run

Facts = dict[str, object]


class Trainer(Protocol):
    """What learns epoch by epoch: `src/sequence.py`, `src/factors.py`."""

    @property
    def log(self) -> Log: ...
    @property
    def done(self) -> bool: ...
    @property
    def facts(self) -> Facts: ...
    def epoch(self, progress: Callable[[list[Any]], Iterable[Any]]) -> None: ...
    def save(self, path: Path) -> None: ...
    def load(self, path: Path) -> None: ...


def train(run: Run, split: str, row: EmbeddingRow) -> Facts:
    """Make what a row stands for, where it is not up to date; returns what there is to tell."""
    world, facts = open_world(run, split), Facts()
    match row:
        case Word2VecRow():
            made = word2vec(run, world, row)
        case SequenceRow():
            made = two_tower(run, world, row, facts)
        case FactorRow():
            made = factorisation(run, world, row, facts)
        case ContentRow():
            made = content(run, world, row, facts)
    vectors, sources = run.vectors(split, row.name), run.sources(split, row.name)
    directed = [sources] if isinstance(row, FactorRow) else []

    def make_table(part: Path) -> None:
        count = np.bincount(world.sessions.aid, minlength=world.sessions.n_items)
        looking = world.sources(row.name) if directed else None
        near = embeddings.neighbours(embeddings.load(vectors), row.top_n, count, row.among, looking)
        near.to_frame().write_parquet(part)

    rows, inputs = (row.top_n, row.among), [vectors, *directed]
    made |= run.build(run.table(split, row.name), make_table, rows, inputs)
    return {"made" if made else "kept": "", **facts}


def key(run: Run, row: EmbeddingRow) -> tuple[object, ...]:
    """What the vectors depend on; how many neighbours are listed is not part of it."""
    return replace(row, top_n=1, among=1), run.recipe.seed


def word2vec(run: Run, world: World, row: Word2VecRow) -> bool:
    """Item vectors by gensim."""

    def make(part: Path) -> None:
        embeddings.save(part, embeddings.word2vec(world.sessions, row, run.recipe.seed))

    path = run.vectors(world.split, row.name)
    return run.build(path, make, key(run, row), [run.output / world.split / "events.parquet"])


def content(run: Run, world: World, row: ContentRow, facts: Facts) -> bool:
    """Item vectors from a file; without it, there are none."""
    source, items = run.input / row.file, run.output / "aids.parquet"
    path = run.vectors(world.split, row.name)

    def make(part: Path) -> None:
        aids = pl.read_parquet(items)["aid"]
        none = np.zeros((aids.len(), 1), np.float32)
        embeddings.save(
            part, embeddings.content(source, row.key, aids) if source.exists() else none
        )

    stat = source.stat() if source.exists() else None
    rows = (row.file, row.key, stat and (stat.st_size, stat.st_mtime_ns))
    made = run.build(path, make, rows, [items])
    facts["items without a vector"] = int((~embeddings.load(path).any(axis=1)).sum())
    return made


def two_tower(run: Run, world: World, row: SequenceRow, facts: Facts) -> bool:
    """Item and query vectors by `src/sequence.py`."""
    types, device = run.recipe.types, "cuda" if run.engine.name == "gpu" else "cpu"
    wanted = [types.index(objective.name) for objective in run.recipe.objectives]
    vectors, queries = run.vectors(world.split, row.name), run.queries(world.split, row.name)

    def make(parts: dict[Path, Path]) -> None:
        from src import sequence

        s = world.sessions
        claim(run, world, row.name, 7 * row.size)
        with sequence.training(s, row, len(types), run.recipe.seed, device) as trainer:
            learn(run, world, row, trainer, facts)
            if vectors in parts:
                embeddings.save(parts[vectors], trainer.item_vectors())
            if queries in parts:
                trainer.query_vectors(wanted, parts[queries])

    return in_epochs(run, world, row, [vectors, queries], make, wanted)


def factorisation(run: Run, world: World, row: FactorRow, facts: Facts) -> bool:
    """Item vectors, as the earlier and as the later one of a pair, by `src/factors.py`."""
    vectors, sources = run.vectors(world.split, row.name), run.sources(world.split, row.name)

    def make(parts: dict[Path, Path]) -> None:
        from src import factors

        claim(run, world, row.name, 8 * row.size)
        trainer = factors.Trainer(world.sessions, row, run.recipe.seed)
        learn(run, world, row, trainer, facts)
        for path, side in zip((sources, vectors), trainer.vectors(), strict=True):
            if path in parts:
                embeddings.save(parts[path], side)

    return in_epochs(run, world, row, [vectors, sources], make)


def claim(run: Run, world: World, name: str, floats: int) -> None:
    """Ask for the memory of so many numbers per item, and of the events and their positions."""
    s = world.sessions
    run.budget.claim(f"{world.split} {name}", 4 * floats * s.n_items + 60 * s.aid.size)


def in_epochs(
    run: Run, world: World, row: EmbeddingRow, paths: list[Path],
    make: Callable[[dict[Path, Path]], None], *more: object,
) -> bool:  # fmt: skip
    """Build the files of a row that leaves a log, and checkpoints which it then needs no more."""
    if not log_path(run, world, row).exists():
        store.manifest_path(paths[0]).unlink(missing_ok=True)  # a model goes with its log
    rows, inputs = (*key(run, row), *more), [run.output / world.split / "events.parquet"]
    made = run.build_all(dict.fromkeys(paths, rows), make, inputs)
    checkpoint = checkpoint_path(run, world, row)
    for file in (checkpoint, store.manifest_path(checkpoint)):
        file.unlink(missing_ok=True)
    return bool(made)


def learn(run: Run, world: World, row: EmbeddingRow, trainer: Trainer, facts: Facts) -> None:
    """All epochs, from where a killed run left off; each leaves a checkpoint and a log line."""
    checkpoint, name = checkpoint_path(run, world, row), f"{world.split} {row.name}"
    events = store.built_from(run.output / world.split / "events.parquet")
    made_from = {"of": [key(run, row), events, store.code_version(run.script), run.engine.name]}
    if store.built_from(checkpoint) == store.digest(made_from):
        trainer.load(checkpoint)
    while not trainer.done:
        trainer.epoch(lambda batches: run.progress(batches, f"{name}, epoch {len(trainer.log)}"))
        store.manifest_path(checkpoint).unlink(missing_ok=True)
        store.build(checkpoint, made_from, trainer.save)
    log = pl.DataFrame(trainer.log).write_csv(float_precision=6)
    store.write_text(log_path(run, world, row), log)
    facts.update(trainer.facts)


def log_path(run: Run, world: World, row: EmbeddingRow) -> Path:
    return run.output / "logs" / "embeddings" / world.split / f"{row.name}.csv"


def checkpoint_path(run: Run, world: World, row: EmbeddingRow) -> Path:
    return run.vectors(world.split, row.name).with_name(f".checkpoint-{row.name}")
