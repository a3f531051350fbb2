"""Build the matrices of a split in groups (step 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from src.core.parquet import TableWriter, count_rows
from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.data.splits import TUNING, preceded_split, rebuilt_splits, split_named
from src.matrices.base import ItemMatrix
from src.matrices.neighbours import NEIGHBOURS, row_groups

MAX_ROWS = 2**31  # of a matrix, as a row is an int32


def groups(data: SplitData) -> Iterator[list[ItemMatrix]]:
    """Yield the rows of the recipe's matrices in groups that are counted together.

    Where the engine counts a kind in its own way, each row is alone. A split that only tunes gets
    the matrices that tuned rows read.
    """
    rows = data.run.recipe.matrices
    if split_named(data.run, data.split).role == TUNING:
        tuned = data.run.dataset.recipe.tuned_tables
        rows = tuple(row for row in rows if row.name in tuned)
    for kind, rebuild in dict.fromkeys((type(row), row.rebuild) for row in rows):
        same = [row for row in rows if (type(row), row.rebuild) == (kind, rebuild)]
        own = data.run.engine.twin(kind.__module__)
        yield from kind.groups(data, same) if own is None else ItemMatrix.groups(data, same)


def build_group(data: SplitData, group: list[ItemMatrix]) -> list[Path]:
    """Bring the matrices of a group up to date; return the files that were made."""
    run, split, fitted = data.run, data.split, data.fitted.split
    every = group[0].rebuild_s if run.recipe.as_deployed else 0
    if every and preceded_split(run, split) == split:
        histories = rebuilt_splits(run, split, every)  # none where all is of the first period
        for name in histories:
            build_group(SplitData(run, name), group)
        built = [_join(data, row, histories) for row in group]
        return [path for paths_of_row in built for path in paths_of_row]
    if fitted != split:
        build_group(data.fitted, group)
        files = (neighbour_files(run, name, group) for name in (split, fitted))
        return run.copy(dict(zip(*files, strict=True)))
    rows, kind = {paths.neighbours(run, split, row.name): row for row in group}, type(group[0])
    write = (run.engine.twin(kind.__module__) or kind).write

    def count(temporary: dict[Path, Path]) -> None:
        write(data, {temporary[path]: rows[path] for path in temporary})

    inputs = {file for row in group for file in row.inputs(run, split)}
    return run.build_many(dict(rows), count, sorted(inputs), write)


def _join(data: SplitData, row: ItemMatrix, histories: Iterable[str]) -> list[Path]:
    """Join the matrices of histories to one file: `matrix_rows` counts its rows."""
    run, path = data.run, paths.neighbours(data.run, data.split, row.name)
    files = [paths.neighbours(run, name, row.name) for name in histories]
    n_items = count_rows(paths.items(run))
    if n_items * (len(files) + 1) >= MAX_ROWS:
        raise ValueError(
            f"matrix {row.name}: {n_items:,} items and {len(files)} rebuilds are more rows than "
            f"{MAX_ROWS:,}; set a longer period"
        )

    def write(temporary: dict[Path, Path]) -> None:
        with TableWriter(temporary[path], NEIGHBOURS) as writer:
            for number, file in enumerate(files, 1):
                for x, y, weight in row_groups(file):
                    columns = (x + np.int32(number * n_items), y, weight)
                    writer.add(pl.DataFrame(dict(zip(NEIGHBOURS, columns, strict=True))))

    return run.build_many({path: None}, write, files)


def neighbour_files(run: Run, split: str, group: list[ItemMatrix]) -> list[Path]:
    """List the files of a group."""
    return [paths.neighbours(run, split, row.name) for row in group]
