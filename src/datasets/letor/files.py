"""Find the raw files of a folder, and the sizes of the queries of files without qids."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from src.core.arrays import I64

ROLE = {"train": "train", "vali": "valid", "valid": "valid", "test": "test"}
"""Word in the name of a file -> role of its queries."""
NAME = re.compile(
    r"(?:[\w-]+\.)?(?P<word>train|vali|valid|test)(?:\.(?:txt|dat|svm|svmlight|libsvm|letor))?"
    r"(?P<packed>\.gz|\.zst)?"
)
"""Names of files: train.txt, vali.txt.gz, test, rank.train, train.svm, set1.valid.txt, ..."""
FOLD = re.compile(r"fold[ _-]?\d+", re.IGNORECASE)
SHOWN = 40  # characters of a wrong text in a message


def find(folder: Path) -> dict[str, Path]:
    """Return the file of each role: train, and valid and test if there are such files.

    Raises FileNotFoundError without a train file; ValueError where the folder has several files of
    a role.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (match := NAME.fullmatch(path.name)) and path.is_file():
            role = ROLE[match["word"]]
            if role in files:
                both = f"{files[role].name} and {path.name}"
                raise ValueError(f"{folder}: {both} are both {role} files; keep one")
            files[role] = path
    if "train" not in files:
        raise FileNotFoundError(_without_train(folder))
    return {role: files[role] for role in ("train", "valid", "test") if role in files}


def _without_train(folder: Path) -> str:
    """Say what to do about a folder without a train file."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    if folds := [path for path in inside if path.is_dir() and FOLD.fullmatch(path.name)]:
        return f"{folder} has {len(folds)} folds, a run takes one; set --input {folds[0]}"
    return f"no train file in {folder} (train.txt, rank.train, train.svm, ...; also .gz, .zst)"


def query_sizes(path: Path, rows: int) -> I64:
    """Read the numbers of rows of the queries, a line each, from <path>.query.

    path: a raw file without qids, of so many rows. Raises ValueError where the sizes do not fit.
    """
    sizes_path = path.with_name(f"{path.name}.query")
    if not sizes_path.is_file():
        raise ValueError(
            f"{path}, line 1: no qid; write qid:<id> after each grade, or the sizes of the queries "
            f"into {sizes_path.name}"
        )
    sizes = []
    for line, text in enumerate(sizes_path.read_text(errors="replace").split("\n"), 1):
        text = text.strip()
        if text and not re.fullmatch("[0-9]{1,9}", text):
            raise ValueError(f"{sizes_path}, line {line}: {text[:SHOWN]!r} is no number of rows")
        sizes += [int(text)] if text else []
    if sum(sizes) != rows:
        raise ValueError(
            f"{sizes_path} has {sum(sizes):,} rows in {len(sizes):,} queries, {path.name} has "
            f"{rows:,}; give the sizes of this file"
        )
    return np.array(sizes, np.int64)
