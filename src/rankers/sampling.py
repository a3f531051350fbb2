"""Which rows the rankers learn from: all positives, sampled negatives, folds by session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from src.candidates.pool import Pool
from src.candidates.rules import World
from src.core.arrays import hash_unit
from src.core.parquet import count_rows
from src.core.run import Run
from src.data.folds import folds
from src.data.shards import Part, part_files, part_path, to_make
from src.features import item_statistics_kernel as statistics_kernel
from src.features.rows import (
    EmbeddingFeature,
    ItemStatisticsFeature,
    MatrixFeature,
    TwoTowerFeature,
)
from src.features.table import Features

SESSIONS = 500  # queries whose features are in memory at a time
FEWEST = 2  # negatives per positive


def pools(run: Run, world: World, part: Part) -> Iterator[Pool]:
    """The pool of a block in pieces small enough to hold all their features."""
    names = [rule.name for rule in run.recipe.rules]
    whole = Pool.load(part_path(run.output / world.split / "pool", world, part), names, *part)
    for first in range(0, part[1] - part[0], SESSIONS):
        yield piece(whole, first, min(first + SESSIONS, part[1] - part[0]))


def piece(pool: Pool, first: int, end: int) -> Pool:
    """Queries first : end of a pool, counted from its own first."""
    a, b = pool.offsets[first], pool.offsets[end]
    return Pool(
        pool.first + first, pool.offsets[first : end + 1] - a, pool.item[a:b], pool.vote[a:b],
        pool.ranks[a:b], pool.scores[a:b],
    )  # fmt: skip


def keep_queries(pool: Pool, wanted: np.ndarray) -> Pool:
    """The pool's queries that are marked, whole; the others become empty."""
    size = np.diff(pool.offsets) * wanted
    rows = np.repeat(wanted, np.diff(pool.offsets))
    return replace(
        pool,
        offsets=np.concatenate([[0], np.cumsum(size)]).astype(np.int64),
        item=pool.item[rows], vote=pool.vote[rows], ranks=pool.ranks[rows], scores=pool.scores[rows],
    )  # fmt: skip


@dataclass(frozen=True)
class Sampler:
    """Labels and samples the candidates for one objective."""

    truth: pl.DataFrame  # session, item
    negatives: float  # kept per positive
    seed: int
    queries: float = 1.0  # share of them that is kept

    def label(self, pool: Pool) -> np.ndarray:
        """1 for a candidate that came true, else 0 (uint8, one per row of the pool)."""
        rows = pl.DataFrame({"session": pool.session, "item": pool.item})
        hit = self.truth.with_columns(label=pl.lit(1, pl.UInt8))
        joined = rows.join(hit, on=["session", "item"], how="left", maintain_order="left")
        return joined["label"].fill_null(0).to_numpy()

    def sample(self, pool: Pool, label: np.ndarray) -> np.ndarray:
        """Rows kept: of some queries all positives, and so many negatives per positive."""
        size = np.diff(pool.offsets)
        running = np.concatenate([[0], np.cumsum(label, dtype=np.int64)])
        positives = np.diff(running[pool.offsets])
        share = self.negatives * positives / np.maximum(size - positives, 1)
        rows = (label == 1) | (draw(pool, self.seed) < np.repeat(share, size))
        if self.queries < 1:
            query = pl.DataFrame({"session": np.arange(size.size) + pool.first})
            unit = query.select(hash_unit(pl.col("session"), self.seed + 4)).to_series()
            rows &= np.repeat(unit.to_numpy() < self.queries, size)
        return rows


def draw(pool: Pool, seed: int) -> np.ndarray:
    """A number in [0, 1) per row that depends on its session, its item and the seed only."""
    pair = pl.col("session").cast(pl.Int64) * 1_000_003 + pl.col("item")
    rows = pl.DataFrame({"session": pool.session, "item": pool.item})
    return rows.select(hash_unit(pair, seed)).to_series().to_numpy()


def ground_truth(run: Run, split: str) -> list[pl.DataFrame]:
    """What came true (session, item), an objective each."""
    labels = pl.read_parquet(run.output / split / "labels.parquet")
    objectives = range(len(run.recipe.objectives))
    return [labels.filter(objective=o).select("session", "item") for o in objectives]


def count_positives(run: Run) -> Path:
    """Bring logs/positives.json, with `positives`, up to date."""
    path, splits = run.output / "logs" / "positives.json", run.learning_splits()
    inputs = [run.output / split / "labels.parquet" for split in splits]
    inputs += [file for split in splits for file in part_files(run, split, "pool")]
    names = [objective.name for objective in run.recipe.objectives]
    run.build(path, lambda part: part.write_text(json.dumps(positives(run))), names, inputs)
    return path


def positives(run: Run) -> dict[str, int]:
    """How many candidates of all learning splits came true, an objective each."""
    found = {objective.name: 0 for objective in run.recipe.objectives}
    for split in run.learning_splits():
        pool = pl.scan_parquet(part_files(run, split, "pool")).select("session", "item")
        for name, truth in zip(found, ground_truth(run, split), strict=True):
            hit = pool.join(truth.lazy(), on=["session", "item"]).select(pl.len())
            found[name] += run.engine.collect(hit).item()
    return found


def samplers(run: Run, split: str, counted: Path) -> list[Sampler]:
    """One per objective; the recipe's budget of rows sets the negatives of all splits.

    Where even FEWEST negatives a positive are too many rows, only some queries are kept.
    """
    found = np.maximum(list(json.loads(counted.read_text()).values()), 1)
    queries = np.minimum(1.0, run.recipe.train_rows / ((1 + FEWEST) * found))
    negatives = np.minimum(run.recipe.train_rows / (queries * found) - 1, run.recipe.negatives)
    shares = zip(ground_truth(run, split), negatives.tolist(), queries.tolist(), strict=True)
    return [Sampler(t, n, run.recipe.seed + 2, q) for t, n, q in shares]


def sampled_bytes(run: Run, world: World, sampled: list[Sampler]) -> float:
    """What the sampled rows of a query take on disk, about: 1.2 bytes a cell."""
    rows = sum(s.queries * s.truth.height * (1 + s.negatives) for s in sampled)
    return 1.2 * len(Features(run.recipe).names) * rows / (world.n_sessions - world.first_query)


def training_block(run: Run, world: World, part: Part, sampled: list[Sampler]) -> pl.DataFrame:
    """Sampled rows: session, item, fold, label_<objective> (null: not sampled), features."""
    features, fold = Features(run.recipe), folds(run, world.split)
    tables = []
    for pool in pools(run, world, part):
        labels = [s.label(pool) for s in sampled]
        rows_true = np.logical_or.reduce([label == 1 for label in labels])
        useful = np.zeros(pool.offsets.size - 1, np.bool_)
        useful[pool.session[rows_true] - pool.first] = True
        rows, kept = np.repeat(useful, np.diff(pool.offsets)), keep_queries(pool, useful)
        taken = [s.sample(kept, label[rows]) for s, label in zip(sampled, labels, strict=True)]
        take = np.logical_or.reduce(taken)
        head = {
            "session": pl.Series(kept.session[take]),
            "item": pl.Series(kept.item[take]),
            "fold": pl.Series(fold[kept.session[take]], dtype=pl.Int8),
        }
        for o, objective in enumerate(run.recipe.objectives):
            head[f"label_{objective.name}"] = _masked(labels[o][rows][take], taken[o][take])
        X = features.compute(world, kept)[take]
        tables.append(pl.DataFrame(head).hstack(pl.from_numpy(X, schema=features.names)))
    return pl.concat(tables)


def _masked(label: np.ndarray, taken: np.ndarray) -> pl.Series:
    """Labels as Int8, null where the row was not sampled."""
    return pl.Series(np.where(taken, label.astype(np.int8), -1)).replace(-1, None).cast(pl.Int8)


def table_inputs(run: Run, split: str, pool_part: Path) -> list[Path]:
    """What the features of a block depend on, beside the recipe's rows."""
    tables = run.recipe.matrices + run.recipe.embeddings
    named = {getattr(row, "table", None) for row in run.recipe.features}
    used = [run.table(split, row.name) for row in tables if row.name in named]
    models = [row.model for row in run.recipe.features if isinstance(row, TwoTowerFeature)]
    used += [file(split, name) for name in models for file in (run.vectors, run.queries)]
    return [run.output / split / "events.parquet", pool_part, *used]


def claim(run: Run, world: World, what: str, kept: tuple[str, float] | None = None) -> None:
    """Tell, once, and check what the features of a split hold in memory, and put on disk.

    kept: the folder that they, or what comes of them, are written to; bytes of a query there.
    """
    if what in world.claimed:
        return
    world.claimed.add(what)
    recipe, items = run.recipe, count_rows(run.output / "items.parquet")
    fixed = 16.0 * count_rows(run.output / world.split / "events.parquet")
    fixed, mapped = fixed + 16 * world.n_sessions, 0.0
    for row in recipe.features:
        match row:
            case EmbeddingFeature():
                both = (file(world.split, row.table) for file in (run.vectors, run.sources))
                fixed += sum(path.stat().st_size for path in both if path.exists())
            case MatrixFeature():
                fixed += 8 * items
                mapped += 8 * count_rows(run.table(world.split, row.table))
            case TwoTowerFeature():
                fixed += run.vectors(world.split, row.model).stat().st_size
            case ItemStatisticsFeature():
                fixed += 12 * items * len(statistics_kernel.names(recipe.types))
    columns = len(Features(recipe).names)
    memory = fixed + 12 * columns * SESSIONS * recipe.pool_size
    disk = kept[1] * to_make(run, world, kept[0]) if kept else 0.0
    run.budget.claim(f"{world.split} {what}", memory, mapped + disk)


def trainable(run: Run) -> list[str]:
    """Objectives with a positive and a negative in every fold; others keep the pool's order."""
    table = pl.scan_parquet(part_files(run, "valid", "train"))
    names = [o.name for o in run.recipe.objectives]
    kinds = [pl.col(f"label_{name}").drop_nulls().n_unique().alias(name) for name in names]
    found = table.group_by("fold").agg(kinds).collect()
    return [n for n in names if found.height == run.recipe.folds and found[n].min() == 2]
