"""Build the matrices of a split in groups (step 2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.matrices.base import ItemMatrix


def groups(data: SplitData) -> Iterator[list[ItemMatrix]]:
    """Yield the rows of the recipe's matrices in groups that are counted together.

    Where the engine counts a kind in its own way, each row is alone.
    """
    rows = data.run.recipe.matrices
    for kind in dict.fromkeys(type(row) for row in rows):
        same = [row for row in rows if type(row) is kind]
        own = data.run.engine.twin(kind.__module__)
        yield from kind.groups(data, same) if own is None else ItemMatrix.groups(data, same)


def build_group(data: SplitData, group: list[ItemMatrix]) -> list[Path]:
    """Bring the matrices of a group up to date; return the files that were made."""
    run, split, fitted = data.run, data.split, data.fitted.split
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


def neighbour_files(run: Run, split: str, group: list[ItemMatrix]) -> list[Path]:
    """List the files of a group."""
    return [paths.neighbours(run, split, row.name) for row in group]
