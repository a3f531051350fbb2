"""Training an embedding row of a split: its vectors, what else it makes, and the neighbours.

Only step 4 imports this module, and torch comes in where a row that needs it is trained: all that
looks at the results reads plain .npy files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from src import embeddings, store
from src.candidates import open_world
from src.events import Sessions
from src.recipe import ContentRow, EmbeddingRow, SequenceRow, Word2VecRow
from src.run import Run

Facts = dict[str, object]


def train(run: Run, split: str, row: EmbeddingRow) -> Facts:
    """Make what a row stands for, where it is not up to date; returns what there is to tell."""
    world, facts = open_world(run, split), Facts()
    match row:
        case Word2VecRow():
            made = word2vec(run, split, row, lambda: world.sessions)
        case SequenceRow():
            made = two_tower(run, split, row, lambda: world.sessions, facts)
        case ContentRow():
            made = content(run, split, row, facts)
    vectors = run.vectors(split, row.name)

    def make_table(part: Path) -> None:
        count = np.bincount(world.sessions.aid, minlength=world.sessions.n_items)
        near = embeddings.neighbours(embeddings.load(vectors), row.top_n, count, row.among)
        near.to_frame().write_parquet(part)

    made |= run.build(run.table(split, row.name), make_table, (row.top_n, row.among), [vectors])
    return {"made" if made else "kept": "", **facts}


def key(run: Run, row: EmbeddingRow) -> tuple[object, ...]:
    """What the vectors depend on; how many neighbours are listed is not part of it."""
    return replace(row, top_n=1, among=1), run.recipe.seed


def word2vec(run: Run, split: str, row: Word2VecRow, sessions: Callable[[], Sessions]) -> bool:
    """Item vectors by gensim."""

    def make(part: Path) -> None:
        embeddings.save(part, embeddings.word2vec(sessions(), row, run.recipe.seed))

    inputs = [run.output / split / "events.parquet"]
    return run.build(run.vectors(split, row.name), make, key(run, row), inputs)


def content(run: Run, split: str, row: ContentRow, facts: Facts) -> bool:
    """Item vectors from a file; without it, there are none."""
    source, items = run.input / row.file, run.output / "aids.parquet"
    path = run.vectors(split, row.name)

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


def two_tower(
    run: Run, split: str, row: SequenceRow, sessions: Callable[[], Sessions], facts: Facts
) -> bool:
    """Item and query vectors by `src/sequence.py`, with a log and a checkpoint per epoch."""
    types = run.recipe.types
    wanted = [types.index(objective.name) for objective in run.recipe.objectives]
    vectors, queries = run.vectors(split, row.name), run.queries(split, row.name)
    log = run.output / "logs" / "embeddings" / split / f"{row.name}.csv"
    checkpoint = vectors.with_name(f".checkpoint-{row.name}")
    inputs, rows = [run.output / split / "events.parquet"], (*key(run, row), wanted)
    if not log.exists():
        store.manifest_path(vectors).unlink(missing_ok=True)  # a model goes with its log

    def make(parts: dict[Path, Path]) -> None:
        from src import sequence

        s, device = sessions(), "cuda" if run.engine.name == "gpu" else "cpu"
        run.budget.claim(f"{split} {row.name}", 32 * s.n_items * row.size + 60 * s.aid.size)
        source = store.code_version(run.script), store.built_from(inputs[0])
        made_from = store.digest([rows, source, run.engine.name])
        with sequence.training(s, row, len(types), run.recipe.seed, device) as t:
            t.resume(checkpoint, made_from)
            while not t.done:
                t.epoch(lambda batches: run.progress(batches, f"{split} {row.name}"))
                t.checkpoint(checkpoint, made_from)
            store.write_text(log, pl.DataFrame(t.log).write_csv(float_precision=6))
            facts.update(t.facts)
            if vectors in parts:
                embeddings.save(parts[vectors], t.item_vectors())
            if queries in parts:
                t.query_vectors(wanted, parts[queries])

    made = run.build_all({vectors: rows, queries: rows}, make, inputs)
    for file in (checkpoint, store.manifest_path(checkpoint)):
        file.unlink(missing_ok=True)
    return bool(made)
