"""From training rows to models, and from models to the scores of all candidates."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple
from functools import cache, partial
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import polars as pl

from src.candidates.pool import Pool
from src.candidates.rules import World
from src.core import store
from src.core.arrays import F32, I32, I64
from src.core.run import Run
from src.data.folds import folds
from src.data.sessions import Sessions
from src.data.shards import Part, part_files, part_path
from src.embeddings.two_tower_batches import Windows
from src.features.table import Features
from src.metrics import scores as metrics
from src.rankers import xgb as ranker
from src.rankers.rows import ALL, DINRanker, Ranker, member, taught
from src.rankers.sampling import claim, keep_queries, pools, table_inputs
from src.rankers.train_set import Rows

Model = Any
"""A Forest, or a din.Model: torch comes in only where a recipe has a `DinRow`."""


def model_path(run: Run, row: Ranker, objective: str, fold: int) -> Path:
    kind = "pt" if isinstance(row, DINRanker) else "ubj"
    return run.output / "models" / row.name / taught(row, objective) / f"fold_{fold}.{kind}"


def log_folder(run: Run, row: Ranker, objective: str, fold: int) -> Path:
    return run.output / "logs" / row.name / taught(row, objective) / f"fold_{fold}"


def train_files(run: Run) -> list[Path]:
    """The sampled rows of all learning splits (step 5)."""
    return [file for split in run.learning_splits() for file in part_files(run, split, "train")]


_telling = Lock()  # folds train in parallel, and one of them tells


@cache
def claim_training(run: Run, group: tuple[Ranker, ...], objectives: tuple[str, ...]) -> None:
    """Tell, once, and check what training the folds of a group takes."""
    row = group[0]
    columns, rows = len(Features(run.recipe).names), Rows.load(train_files(run), objectives)
    used, threads = min(row.columns or columns, columns), min(run.engine.threads, run.recipe.folds)
    memory = ranker.memory(rows, used, columns, threads)
    if isinstance(row, DINRanker):  # two bytes a cell
        memory += threads * rows.label.size * used
    names = ", ".join(row.name for row in group)
    run.budget.claim(f"{'+'.join(objectives)} {names}", memory)


def to_train(run: Run, able: list[str]) -> dict[tuple[Ranker, str], tuple[str, ...]]:
    """The models of a fold, by row and what they are taught, each with its objectives."""
    pairs = dict.fromkeys((row, taught(row, name)) for name in able for row in run.recipe.rankers)
    return {(row, what): tuple(able) if what == ALL else (what,) for row, what in pairs}


def together(run: Run, able: list[str]) -> list[tuple[list[Ranker], tuple[str, ...]]]:
    """Rows whose models look at the same rows and columns, binned once; and their objectives."""
    groups: dict[object, tuple[list[Ranker], tuple[str, ...]]] = {}
    for (row, what), objectives in to_train(run, able).items():
        same = row if isinstance(row, DINRanker) else (row.columns, dict(row.params).get("max_bin"))
        groups.setdefault((what, same), ([], objectives))[0].append(row)
    for rows, _ in groups.values():  # queries, once told, stay told
        rows.sort(key=lambda row: not isinstance(row, DINRanker) and ranker.by_query(row))
    return list(groups.values())


def train_fold(run: Run, group: list[Ranker], objectives: tuple[str, ...], fold: int) -> int:
    """Train and store a fold's models of a group of `together`; how many were not up to date."""
    files, names, seed = train_files(run), Features(run.recipe).names, run.recipe.seed
    what = taught(group[0], objectives[0])
    jobs: list[ranker.Job[Any]] = [
        ranker.Job(row, what, fold, log_folder(run, row, what, fold)) for row in group
    ]

    @cache  # when there is work to do
    def rows() -> Rows:
        with _telling:
            claim_training(run, tuple(group), objectives)
        return Rows.load(files, objectives)

    @cache
    def binned() -> ranker.Binned:
        used = ranker.chosen(jobs[0], rows(), names, run.engine, seed)
        return ranker.Binned.of(jobs[0], rows(), used)

    def make(job: ranker.Job[Any], part: Path) -> None:
        if isinstance(job.row, DINRanker):
            from src.rankers import din

            w, n_types = windows_of_rows(run, rows(), job.row.last), len(run.recipe.types)
            din.train(job, rows(), w, names, n_types, run.engine, seed).save(part)
        else:
            part.write_bytes(ranker.train(job, binned(), run.engine, seed).save_raw("ubj"))

    made = 0
    for job in jobs:
        path = model_path(run, job.row, what, fold)
        if not (job.logs / "fold.json").exists():
            store.manifest_path(path).unlink(missing_ok=True)  # a model goes with its logs
        made += run.build(path, partial(make, job), job.row, files)
    return made


def windows_of_rows(run: Run, rows: Rows, last: int) -> Windows:
    """The last events of the session of each query of some rows."""
    found = []
    files = np.repeat(np.arange(len(rows.files)), np.diff(rows.starts))
    first = np.flatnonzero(np.diff(rows.query, prepend=-1))
    for split in run.learning_splits():
        numbers = [rows.files.index(file) for file in part_files(run, split, "train")]
        session = rows.session[first][np.isin(files[first], numbers)]
        found.append(last_events(Sessions.load(run.output, split), session, last))
    return Windows(*(np.concatenate(parts) for parts in zip(*map(astuple, found), strict=True)))


def last_events(sessions: Sessions, session: I32 | I64, last: int) -> Windows:
    return Windows.of(sessions, sessions.offsets[session.astype(np.int64) + 1] - 1, last)


def score_part(run: Run, world: World, part: Part, able: list[str]) -> bool:
    """Score all candidates of a block for some objectives; False when it was up to date."""
    recipe = run.recipe
    targets = to_train(run, able)
    paths = {t: [model_path(run, *t, f) for f in range(recipe.folds)] for t in targets}
    place = run.output / world.split

    def make(path: Path) -> None:
        claim(run, world, "scores", ("scores", (3 + 3.5 * len(targets)) * recipe.pool_size))
        features = Features(recipe)
        fold = folds(run, "valid") if world.split == "valid" else None
        models = {t: [load_model(run, t[0], p) for p in paths[t]] for t in targets}
        used = {name for group in models.values() for model in group for name in model.names}
        tables = []
        for pool in pools(run, world, part):
            X = features.compute(world, pool, used)
            scores = pl.DataFrame({"session": pool.session, "item": pool.item})
            for (row, objective), trained in models.items():
                predict = partial(_predict, run, row, world, X, features.names)
                values = _out_of_fold(trained, predict, pool, fold)
                scores = scores.with_columns(pl.Series(member(row, objective), values))
            tables.append(scores)
        pl.concat(tables).write_parquet(path)

    inputs = [p for group in paths.values() for p in group]
    inputs += table_inputs(run, world.split, part_path(place / "pool", world, part))
    rows = (part, recipe.features, recipe.type_weight, recipe.folds, recipe.seed)
    return run.build(part_path(place / "scores", world, part), make, rows, inputs)


def load_model(run: Run, row: Ranker, path: Path) -> Model:
    if isinstance(row, DINRanker):
        from src.rankers import din

        return din.Model.load(path, row, len(run.recipe.types), run.engine.xgb_device)
    return ranker.load(path, run.engine.threads)


def _predict(
    run: Run, row: Ranker, world: World, X: F32, names: list[str], models: list[Model], pool: Pool,
    rows: I64,
) -> F32:  # fmt: skip
    """Mean score, by some models, of the candidates of a pool: these rows of X."""
    if isinstance(row, DINRanker):
        from src.rankers import din

        sessions = np.arange(pool.first, pool.first + pool.offsets.size - 1)
        windows = last_events(world.sessions, sessions, row.last)
        return din.predict(
            models, X, rows, names, pool.item, pool.offsets, windows, run.engine.threads
        )
    return ranker.predict(models, X, names, rows)


def _out_of_fold(
    models: list[Model], predict: Callable[[list[Model], Pool, I64], F32], pool: Pool,
    fold: I64 | None,
) -> F32:  # fmt: skip
    """Each row by the model that never saw its session; by the mean of all where fold is None."""
    if fold is None:
        return predict(models, pool, np.arange(pool.item.size))
    values = np.zeros(pool.item.size, np.float32)
    for f, model in enumerate(models):
        rows = np.flatnonzero(fold[pool.session] == f)
        if rows.size:
            own = fold[pool.first : pool.first + pool.offsets.size - 1] == f
            values[rows] = predict([model], keep_queries(pool, own), rows)
    return values


def fold_scores(run: Run, able: list[str]) -> pl.DataFrame:
    """Out-of-fold score of every ranker and objective, of all and by fold: logs/rankers.csv.

    Each fold's goes into its fold.json too.
    """
    recipe, path = run.recipe, run.output / "logs" / "rankers.csv"
    labels = run.output / "valid" / "labels.parquet"

    def make(part: Path) -> None:
        fold, truth = folds(run, "valid"), pl.scan_parquet(labels)
        names, rows = [f"fold {f}" for f in range(recipe.folds)], []
        for row, o in product(recipe.rankers, range(len(recipe.objectives))):
            name = recipe.objectives[o].name
            if name in able:
                ranked = _ranked(run, member(row, name))
                tally = metrics.tally(ranked, truth.filter(objective=o), recipe.metric, recipe.k)
                found = [tally.score(fold[tally.session] == f) for f in range(recipe.folds)]
                rows.append((row.name, name, tally.score(), *found))
        columns = ["ranker", "objective", "all", *names]
        pl.DataFrame(rows, columns, orient="row").write_csv(part)

    inputs = [labels, run.output / "valid" / "sessions.parquet"]
    inputs += part_files(run, "valid", "scores")
    run.build(path, make, (recipe.metric, recipe.k, recipe.folds, recipe.seed, able), inputs)
    table = pl.read_csv(path)
    named = {row.name: row for row in recipe.rankers}
    for ranker_name, objective, _, *scores in table.iter_rows():
        row, what = named[ranker_name], f"{recipe.metric}@{recipe.k}"
        what += f" {objective}" if taught(row, objective) == ALL else ""
        for f, score in enumerate(scores):
            facts = log_folder(run, row, objective, f) / "fold.json"
            old = json.loads(facts.read_text())
            if old != (new := old | {what: score}):
                store.write_text(facts, json.dumps(new, indent=1))
    return table


def _ranked(run: Run, column: str) -> pl.LazyFrame:
    """The first k candidates of each valid query by one score: session, item, rank."""
    scores = pl.scan_parquet(part_files(run, "valid", "scores"))
    place = pl.int_range(pl.len()).over("session")
    return (
        scores.select("session", "item", column)
        .sort("session", column, "item", descending=[False, True, False])
        .select("session", "item", rank=place)
        .filter(pl.col("rank") < run.recipe.k)
    )
