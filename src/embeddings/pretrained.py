"""Read item vectors that come with the data."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from src.core.arrays import F32
from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.data.vectors import load
from src.embeddings.base import Embedding, Summary, save, training_memory, unit, write_missing
from src.embeddings.neighbours import write_neighbours_by_cosine


@dataclass(frozen=True)
class PretrainedEmbedding(Embedding):
    """Reads item vectors from a CSV file of the dataset: a line per item.

    An item without a line has no vector: it has no neighbours, and its cosines are 0. Where there
    is no file, no item has a vector.
    """

    same_in_splits: ClassVar[bool] = True

    file: str  # name of the file in the input folder
    key: str  # column of raw item ids; all other columns are the vector

    def files(self, run: Run, split: str) -> Sequence[Path]:
        """List the files of item vectors and of neighbours."""
        return [path(run, split, self.name) for path in (paths.item_vectors, paths.neighbours)]

    def memory(self, run: Run, split: str) -> float:
        """Count the table that is read, polars' copies of it, the vectors and the scaled ones."""
        source = run.input / self.file
        dim = len(self._columns(source)) - 1 if source.exists() else 1
        tables, ids = 5, 100  # ids: bytes an item
        return training_memory(run, split, tables * 4 * dim + ids)

    def build(self, run: Run, split: str) -> Summary:
        """Read the file; write the vectors, and the neighbours by events of a split."""
        source, vector_file = run.input / self.file, paths.item_vectors(run, split, self.name)

        def make(temporary: dict[Path, Path]) -> None:
            item_ids = pl.read_parquet(paths.items(run), columns=["item_id"])["item_id"]
            vectors = self.read(source, item_ids)
            count = Sessions.load(run, split).count_items()
            write_missing(temporary, {
                vector_file: partial(save, vectors),
                paths.neighbours(run, split, self.name): partial(
                    write_neighbours_by_cosine, self, vectors, count
                ),
            })  # fmt: skip

        stat = source.stat() if source.exists() else None
        summary = self.build_files(run, split, make, stat and (stat.st_size, stat.st_mtime_ns))
        has_vector = load(vector_file).any(axis=1)
        return {**summary, "items without a vector": int((~has_vector).sum())}

    def read(self, source: Path, item_ids: pl.Series) -> F32:
        """Read unit vectors (items, dim), 0 where the file has none.

        item_ids: raw ids, ascending. A line with a missing or malformed number is left out, like
        the last line of a truncated copy. Of several lines of one item the first counts.
        """
        if not source.exists():
            return np.zeros((item_ids.len(), 1), np.float32)
        names = self._columns(source)
        schema = {name: item_ids.dtype if name == self.key else pl.Float32 for name in names}
        lines = pl.scan_csv(source, schema=schema, ignore_errors=True).drop_nulls()
        of_items = pl.col(self.key).is_in(item_ids.implode())
        try:
            table = lines.filter(of_items).collect().unique(self.key, keep="first")
        except pl.exceptions.ComputeError:
            with open(source, newline="", encoding="utf-8", errors="replace") as file:
                for number, fields in enumerate(csv.reader(file), 1):
                    if len(fields) > len(names):
                        raise ValueError(
                            f"{source}, line {number}: {len(fields)} fields for {len(names)} "
                            "columns; drop the line"
                        ) from None
            raise
        numbers = table.drop(self.key).to_numpy()
        vectors = np.zeros((item_ids.len(), numbers.shape[1]), np.float32)
        finite = np.isfinite(numbers).all(axis=1)
        vectors[item_ids.search_sorted(table[self.key]).to_numpy()[finite]] = numbers[finite]
        return unit(vectors)

    def _columns(self, source: Path) -> list[str]:
        """Read the names of the columns; ValueError unless there are the key and one more."""
        names = pl.scan_csv(source, n_rows=0).collect_schema().names()
        if self.key not in names or len(names) < 2:
            raise ValueError(f"{source}, line 1: no column {self.key}, or no other column")
        return names
