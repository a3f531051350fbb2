"""Read item vectors that come with the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import F32, count_items
from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.embeddings.base import Embedding, Summary, save, training_memory, unit, write_missing
from src.embeddings.neighbours import neighbours_by_cosine


@dataclass(frozen=True)
class PretrainedEmbedding(Embedding):
    """A CSV file of raw item ids and numbers.

    An item without a line of numbers has no vector, so no neighbours and cosines of 0. Without the
    file, no item has one.
    """

    file: str  # in the input folder
    key: str  # its column of raw item ids; all others are the vector

    def files(self, run: Run, split: str) -> Sequence[Path]:
        """Vectors and neighbours."""
        return [path(run, split, self.name) for path in (paths.item_vectors, paths.neighbours)]

    def memory(self, run: Run, split: str) -> float:
        """Count the table that is read, polars' copies of it, the vectors and their unit rows."""
        source = run.input / self.file
        dim = len(self._columns(source)) - 1 if source.exists() else 1
        tables, ids = 5, 100  # the latter in bytes an item
        return training_memory(run, split, tables * 4 * dim + ids)

    def build(self, run: Run, split: str) -> Summary:
        """Read the file and list neighbours, where its files are not up to date."""
        source, vector_file = run.input / self.file, paths.item_vectors(run, split, self.name)

        def make(parts: dict[Path, Path]) -> None:
            vectors = self.read(source, pl.read_parquet(paths.items(run))["item_id"])
            write_missing(parts, {
                vector_file: partial(save, vectors),
                paths.neighbours(run, split, self.name): partial(
                    self.write_neighbours, vectors, Sessions.load(run, split)
                ),
            })  # fmt: skip

        stat = source.stat() if source.exists() else None
        summary = self.build_files(run, split, make, stat and (stat.st_size, stat.st_mtime_ns))
        vectors = np.load(vector_file, mmap_mode="r", allow_pickle=False)
        return {**summary, "items without a vector": int((~vectors.any(axis=1)).sum())}

    def read(self, source: Path, item_ids: pl.Series) -> F32:
        """Read the unit vectors (items, dim) of raw ids, which ascend; 0 where there is none.

        A line with a missing or a wrong number, like the last one of a truncated copy, is left out.
        """
        if not source.exists():
            return np.zeros((item_ids.len(), 1), np.float32)
        names = self._columns(source)
        schema = {name: pl.Int64 if name == self.key else pl.Float32 for name in names}
        lines = pl.scan_csv(source, schema=schema, ignore_errors=True).drop_nulls()
        ours = pl.col(self.key).is_in(item_ids.implode())
        table = lines.filter(ours).collect().unique(self.key, keep="first")
        numbers = table.drop(self.key).to_numpy()
        vectors = np.zeros((item_ids.len(), numbers.shape[1]), np.float32)
        finite = np.isfinite(numbers).all(axis=1)
        vectors[item_ids.search_sorted(table[self.key]).to_numpy()[finite]] = numbers[finite]
        return unit(vectors)

    def write_neighbours(self, vectors: F32, sessions: Sessions, path: Path) -> None:
        """Write the neighbours by cosine as a table of item_x, item_y, weight."""
        count = count_items(sessions.item, sessions.n_items)
        near = neighbours_by_cosine(vectors, self.top_n, count, self.max_items)
        near.to_frame().write_parquet(path)

    def _columns(self, source: Path) -> list[str]:
        """Read the header; raise ValueError unless it has the key and one more column."""
        names = pl.scan_csv(source, n_rows=0).collect_schema().names()
        if self.key not in names or len(names) < 2:
            raise ValueError(f"{source}, line 1: no column {self.key} beside those of the vectors")
        return names
