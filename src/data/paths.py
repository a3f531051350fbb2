"""Paths of all files of a run, and the step that makes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from src.core.run import Run

MADE_BY = {
    "matrices": "2_matrices.py",
    "candidates": "3_candidates.py",
    "tuned.json": "3_candidates.py",
    "embeddings": "4_embeddings.py",
    "pool": "4_embeddings.py",
    "preranker_train": "5_features.py",
    "preranked": "5_features.py",
    "train": "5_features.py",
    "cascade": "6_xgb.py",
    "models": "6_xgb.py",
    "scores": "6_xgb.py",
    "cv.json": "7_blend.py",
}
"""Folder or file of the output -> script that makes it. All other files are from step 1."""


def items(run: Run) -> Path:
    return run.output / "items.parquet"


def tuned(output: Path) -> Path:
    """Values of fields of retrievers that step 3 has found, by name: a JSON object."""
    return output / "tuned.json"


def events(run: Run, split: str) -> Path:
    return run.output / split / "events.parquet"


def sessions(run: Run, split: str) -> Path:
    return run.output / split / "sessions.parquet"


def labels(run: Run, split: str) -> Path:
    return run.output / split / "labels.parquet"


def given(run: Run, split: str) -> Path:
    """Candidates that the raw files give, with features: GIVEN (src/data/schemas.py)."""
    return run.output / split / "given.parquet"


def impressions(run: Run, split: str) -> Path:
    """Time, user, page and context of each query of a split: IMPRESSIONS."""
    return run.output / split / "impressions.parquet"


def log(run: Run, name: str) -> Path:
    """Rows of all periods, in time order: "shown" or "visits" (src/data/impressions.py)."""
    return run.output / f"{name}.parquet"


def is_embedding(run: Run, name: str) -> bool:
    return name in {row.name for row in run.recipe.embeddings}


def train_folder(run: Run) -> str:
    """Folder, within a split, of the training rows."""
    return f"{run.stage}train"


def positives(run: Run) -> Path:
    """Counts of the positives in the pools."""
    return run.output / "logs" / f"{run.stage}positives.json"


def neighbours(run: Run, split: str, name: str) -> Path:
    """Neighbours of every item, in a matrix or by an embedding."""
    folder = "embeddings" if is_embedding(run, name) else "matrices"
    return run.output / split / folder / f"{name}.parquet"


def item_vectors(run: Run, split: str, name: str) -> Path:
    return run.output / split / "embeddings" / f"{name}.npy"


def source_vectors(run: Run, split: str, name: str) -> Path:
    """Vectors of items as the first of a pair, by an embedding that distinguishes the two."""
    return run.output / split / "embeddings" / f"{name}.sources.npy"


def query_vectors(run: Run, split: str, name: str) -> Path:
    return run.output / split / "embeddings" / f"{name}.queries.npy"


def semantic_ids(run: Run, split: str, name: str) -> Path:
    """Codes of all items, by an embedding that generates: int32 (items, levels), -1 of none."""
    return run.output / split / "embeddings" / f"{name}.ids.npy"


def generator(run: Run, split: str, name: str) -> Path:
    """The net of an embedding that generates."""
    return run.output / split / "embeddings" / f"{name}.pt"


def query_encoder(run: Run, split: str, name: str) -> Path:
    """Net that turns the events of a session into its query vectors."""
    return run.output / split / "embeddings" / f"{name}.encoder.pt"


def text_vectors(run: Run, encoder: str) -> Path:
    """Folder with the vectors of texts by an encoder."""
    return run.output / "texts" / encoder


def checkpoint(run: Run, split: str, name: str) -> Path:
    return run.output / split / "embeddings" / f".checkpoint-{name}"


def embedding_log(run: Run, split: str, name: str) -> Path:
    """Log with a line per epoch."""
    return run.output / "logs" / "embeddings" / split / f"{name}.csv"


def model(run: Run, ranker: str, target: str, fold: int, suffix: str) -> Path:
    return run.output / "models" / ranker / target / f"fold_{fold}.{suffix}"


def model_logs(run: Run, ranker: str, target: str, fold: int) -> Path:
    """Folder with the logs of one model."""
    return run.output / "logs" / ranker / target / f"fold_{fold}"


def total_size(files: Iterable[Path]) -> int:
    """Sum the bytes of the files that exist."""
    return sum(file.stat().st_size for file in files if file.exists())
