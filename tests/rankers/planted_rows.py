"""Training tables with known structure, and models that are trained on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.core.engines import resolve
from src.core.engines.base import Engine
from src.rankers.base import FitTask, Ranker
from src.rankers.train_set import TrainSet

FOLDS = 4


def write_rows(
    folder: Path, X: dict[str, np.ndarray], grades: np.ndarray, sizes: list[int], files: int = 2
) -> TrainSet:
    """Write a training table of whole queries; query q is session q, of fold q % FOLDS."""
    session = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    columns = {
        "session": session, "item": np.arange(session.size, dtype=np.int32),
        "fold": (session % FOLDS).astype(np.int8), "label:x": grades.astype(np.float32),
        **{name: values.astype(np.float32) for name, values in X.items()},
    }  # fmt: skip
    table, paths = pl.DataFrame(columns), []
    for n, part in enumerate(np.array_split(np.arange(len(sizes)), files)):
        paths.append(folder / f"{n}.parquet")
        table.filter(pl.col("session").is_in(part)).write_parquet(paths[-1])
    return TrainSet.read(paths, ["x"])


def graded_rows(folder: Path, queries: int = 120, size: int = 12, seed: int = 3) -> TrainSet:
    """Queries whose grades 0 to 3 follow column `good`; the other columns are noise."""
    rng = np.random.default_rng(seed)
    n = queries * size
    good = rng.normal(size=n)
    grades = np.digitize(good + 0.3 * rng.normal(size=n), [0.0, 0.8, 1.6])
    X = {"noise": rng.normal(size=n), "good": good, "more noise": rng.normal(size=n)}
    X["noise"][rng.random(n) < 0.2] = np.nan
    return write_rows(folder, X, grades, [size] * queries)


def trained(
    ranker: Ranker, rows: TrainSet, folder: Path, fold: int = 1, engine: Engine | None = None
) -> Path:
    """Train the model of a fold; its file. Logs lie in a folder beside it."""
    task = FitTask(ranker, "x", fold, folder / ranker.name, engine or resolve("cpu"), 5)
    path = folder / f"{ranker.name}.{ranker.suffix}"
    data = ranker.prepare(None, task, rows)  # type: ignore[arg-type]
    ranker.fit(task, data, path)
    return path


def ndcg(grades: np.ndarray, score: np.ndarray, size: int, k: int = 5) -> float:
    """Mean NDCG@k of queries of one size, with the gain 2^grade - 1."""
    gain, score = 2.0 ** grades.reshape(-1, size) - 1, score.reshape(-1, size)
    discount = 1 / np.log2(np.arange(2, k + 2))
    order = np.argsort(-score, axis=1, kind="stable")[:, :k]
    found = (np.take_along_axis(gain, order, axis=1) * discount).sum(axis=1)
    ideal = (-np.sort(-gain, axis=1)[:, :k] * discount).sum(axis=1)
    return float((found / ideal).mean())
