"""Training an embedding row of a split: its vectors, what else it makes, and the neighbours.

Only step 4 imports this module, and torch comes in where a row that needs it is trained: all that
looks at the results reads plain .npy files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from src.candidates.rules import World
from src.core import arrays, store
from src.core.arrays import F32, I64
from src.core.early_stopping import Log
from src.core.parquet import count_rows
from src.core.run import Run
from src.data.shards import load_split
from src.embeddings import vectors as embeddings
from src.embeddings.rows import (
    Embedding,
    FactorizationEmbedding,
    PretrainedEmbedding,
    TwoTowerEmbedding,
    Word2VecEmbedding,
)

Facts = dict[str, object]

TAKES = {Word2VecEmbedding: (4, 500), FactorizationEmbedding: (6, 350), TwoTowerEmbedding: (5, 400)}
"""At the peak: tables of (items, size) floats, more bytes an item."""
EVENT = 18  # bytes of an event: 14 in training, 17 while a split is read


class Trainer(Protocol):
    """What learns epoch by epoch: `src/embeddings/two_tower_trainer.py`, `src/embeddings/factorization_trainer.py`."""

    @property
    def log(self) -> Log: ...
    @property
    def done(self) -> bool: ...
    @property
    def facts(self) -> Facts: ...
    def epoch(self, progress: Callable[[list[Any]], Iterable[Any]]) -> None: ...
    def save(self, path: Path) -> None: ...
    def load(self, path: Path) -> None: ...


def train(run: Run, split: str, row: Embedding) -> Facts:
    """Make what a row stands for, where it is not up to date; returns what there is to tell."""
    world, facts = load_split(run, split), Facts()
    match row:
        case Word2VecEmbedding():
            made = word2vec(run, world, row)
        case TwoTowerEmbedding():
            made = two_tower(run, world, row, facts)
        case FactorizationEmbedding():
            made = factorisation(run, world, row, facts)
        case PretrainedEmbedding():
            made = content(run, world, row, facts)
    return {"made" if made else "kept": "", **facts}


def write(parts: dict[Path, Path], makers: Mapping[Path, Callable[[Path], object]]) -> None:
    """Write those files that are not up to date, each to its temporary path."""
    for path, make in makers.items():
        if path in parts:
            make(parts[path])


def saved(vectors: F32) -> Callable[[Path], None]:
    return lambda part: embeddings.save(part, vectors)


def undirected(run: Run, world: World, row: Embedding) -> None:
    """Remove the sources that a row of another kind left under this name."""
    sources = run.sources(world.split, row.name)
    for file in (sources, store.manifest_path(sources)):
        file.unlink(missing_ok=True)


def likely(world: World, row: Embedding, sources: F32, targets: F32) -> Callable[[Path], None]:
    """A matrix: the neighbours of each item by a model."""

    def make(part: Path) -> None:
        near = embeddings.likely(sources, targets, row.top_n, counts(world), row.among)
        near.to_frame().write_parquet(part)

    return make


def counts(world: World) -> I64:
    """Visible events of each item."""
    return arrays.count_items(world.sessions.item, world.sessions.n_items)


def word2vec(run: Run, world: World, row: Word2VecEmbedding) -> bool:
    """Item vectors by gensim, as words that are given, and the neighbours around them."""
    row = replace(row, epochs=epochs(run, row))
    vectors, table = run.vectors(world.split, row.name), run.table(world.split, row.name)

    def make(parts: dict[Path, Path]) -> None:
        claim(run, world, row)
        undirected(run, world, row)
        given, around = embeddings.word2vec(world.sessions, row, run.recipe.seed)
        write(parts, {vectors: saved(embeddings.unit(given)),
                      table: likely(world, row, given, around)})  # fmt: skip

    rows, inputs = (row, run.recipe.seed), [run.output / world.split / "events.parquet"]
    return bool(run.build_many(dict.fromkeys([vectors, table], rows), make, inputs))


def epochs(run: Run, row: Word2VecEmbedding) -> int:
    """As often as the largest split may be read: one model judges the cosines of all of them."""
    most = max(count_rows(run.output / split / "events.parquet") for split in run.splits())
    return min(row.epochs, max(1, row.words // max(most, 1)))


def content(run: Run, world: World, row: PretrainedEmbedding, facts: Facts) -> bool:
    """Item vectors from a file, and their neighbours; without it, there are none."""
    source, items = run.input / row.file, run.output / "items.parquet"
    path, table = run.vectors(world.split, row.name), run.table(world.split, row.name)

    def make(part: Path) -> None:
        undirected(run, world, row)
        item_ids = pl.read_parquet(items)["item_id"]
        none = np.zeros((item_ids.len(), 1), np.float32)
        embeddings.save(
            part, embeddings.content(source, row.key, item_ids) if source.exists() else none
        )

    def make_table(part: Path) -> None:
        near = embeddings.alike(embeddings.load(path), row.top_n, counts(world), row.among)
        near.to_frame().write_parquet(part)

    stat = source.stat() if source.exists() else None
    rows = (row.file, row.key, stat and (stat.st_size, stat.st_mtime_ns))
    made = run.build(path, make, rows, [items])
    made |= run.build(table, make_table, (row.top_n, row.among), [path])
    facts["items without a vector"] = int((~embeddings.load(path).any(axis=1)).sum())
    return made


def two_tower(run: Run, world: World, row: TwoTowerEmbedding, facts: Facts) -> bool:
    """Item and query vectors by `src/embeddings/two_tower_trainer.py`, and the items likely after each alone."""
    types, device = run.recipe.types, "cuda" if run.engine.name == "gpu" else "cpu"
    wanted = [types.index(objective.name) for objective in run.recipe.objectives]
    vectors, queries = run.vectors(world.split, row.name), run.queries(world.split, row.name)
    table = run.table(world.split, row.name)

    def make(parts: dict[Path, Path]) -> None:
        from src.embeddings import two_tower_trainer as sequence

        claim(run, world, row)
        undirected(run, world, row)
        s = world.sessions
        with sequence.training(s, row, len(types), run.recipe.seed, device) as trainer:
            learn(run, world, row, trainer, facts)
            items, alone = trainer.item_vectors(), trainer.queries_alone(wanted[0])
            if queries in parts:
                trainer.query_vectors(wanted, parts[queries])
        del trainer  # its tables are not needed beside those of the search
        write(parts, {vectors: saved(items), table: likely(world, row, alone, items)})

    return in_epochs(run, world, row, [vectors, queries, table], make, wanted)


def factorisation(run: Run, world: World, row: FactorizationEmbedding, facts: Facts) -> bool:
    """Item vectors, as the earlier and as the later one of a pair, by `src/embeddings/factorization_trainer.py`."""
    vectors, sources = run.vectors(world.split, row.name), run.sources(world.split, row.name)
    table = run.table(world.split, row.name)

    def make(parts: dict[Path, Path]) -> None:
        from src.embeddings import factorization_trainer as factors

        claim(run, world, row)
        trainer = factors.Trainer(world.sessions, row, run.recipe.seed)
        learn(run, world, row, trainer, facts)
        source, target = trainer.vectors()
        del trainer  # its tables are not needed beside those of the search
        write(parts, {vectors: saved(embeddings.unit(target)),
                      sources: saved(embeddings.unit(source)),
                      table: likely(world, row, source, target)})  # fmt: skip

    return in_epochs(run, world, row, [vectors, sources, table], make)


def claim(
    run: Run, world: World, row: Word2VecEmbedding | FactorizationEmbedding | TwoTowerEmbedding
) -> None:
    """Ask for what a row takes at its peak: measured, in docs/vectors.md."""
    events = count_rows(run.output / world.split / "events.parquet")
    items = count_rows(run.output / "items.parquet")
    tables, more = TAKES[type(row)]
    need = (4 * tables * row.size + more) * items + EVENT * events
    run.budget.claim(f"{world.split} {row.name}", need)


def in_epochs(
    run: Run, world: World, row: Embedding, paths: list[Path],
    make: Callable[[dict[Path, Path]], None], *more: object,
) -> bool:  # fmt: skip
    """Build the files of a row that leaves a log, and checkpoints which it then needs no more."""
    if not log_path(run, world.split, row).exists():
        store.manifest_path(paths[0]).unlink(missing_ok=True)  # a model goes with its log
    rows, inputs = (row, run.recipe.seed, *more), [run.output / world.split / "events.parquet"]
    made = run.build_many(dict.fromkeys(paths, rows), make, inputs)
    checkpoint = checkpoint_path(run, world, row)
    for file in (checkpoint, store.manifest_path(checkpoint)):
        file.unlink(missing_ok=True)
    return bool(made)


def learn(run: Run, world: World, row: Embedding, trainer: Trainer, facts: Facts) -> None:
    """All epochs, from where a killed run left off; each leaves a checkpoint and a log line."""
    checkpoint, name = checkpoint_path(run, world, row), f"{world.split} {row.name}"
    events = store.fingerprint(run.output / world.split / "events.parquet")
    made_from = {
        "of": [row, run.recipe.seed, events, store.code_version(run.script), run.engine.name]
    }
    if store.fingerprint(checkpoint) == store.digest(made_from):
        trainer.load(checkpoint)
    while not trainer.done:
        trainer.epoch(lambda batches: run.progress(batches, f"{name}, epoch {len(trainer.log)}"))
        store.manifest_path(checkpoint).unlink(missing_ok=True)
        store.build(checkpoint, made_from, trainer.save)
    log = pl.DataFrame(trainer.log).write_csv(float_precision=6)
    store.write_text(log_path(run, world.split, row), log)
    facts.update(trainer.facts)


def log_path(run: Run, split: str, row: Embedding) -> Path:
    """A line per epoch; of rows that learn in epochs of their own."""
    return run.output / "logs" / "embeddings" / split / f"{row.name}.csv"


def checkpoint_path(run: Run, world: World, row: Embedding) -> Path:
    return run.vectors(world.split, row.name).with_name(f".checkpoint-{row.name}")
