"""Build the files of a step and print its progress: `Run`, which every function of a step takes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from src.core import store
from src.core.budget import Budget, peak_gib
from src.core.code import version as code_version
from src.core.steplog import StepLog

if TYPE_CHECKING:
    from src.core.engines import Engine
    from src.data.recipe import Recipe
    from src.datasets.base import Dataset

T = TypeVar("T")
FIRST_STEP = "1_preparation.py"


@dataclass(frozen=True)
class Run:
    """One run of a script: recipe, folders, engine and budget."""

    dataset: Dataset
    recipe: Recipe  # the dataset's, or its causal form
    input: Path
    output: Path
    engine: Engine
    budget: Budget
    sample: float
    script: str  # file name of the step
    made_by: Mapping[str, str]  # folder in the output -> script that fills it
    log: StepLog = field(compare=False)
    stage: str = ""  # of the models that are trained: begins the names of their training files

    @property
    def dry(self) -> bool:
        """Whether the run builds nothing, and only lists what is stale (src/tools/status.py)."""
        return False

    def require(self, inputs: Iterable[Path]) -> None:
        """Raise FileNotFoundError, with the step to run, unless all these files are complete."""
        for file in inputs:
            if store.fingerprint(file) is None:
                folders = file.relative_to(self.output).parts
                step = next((self.made_by[f] for f in folders if f in self.made_by), FIRST_STEP)
                raise FileNotFoundError(
                    f"{file} is missing; run the steps before {self.script}, from {step} on"
                )

    def build(
        self,
        path: Path,
        make: Callable[[Path], object],
        rows: object,
        inputs: list[Path],
        code: object = None,
    ) -> bool:
        """Make `path` with make(temporary path) unless it is up to date; return if it was made.

        A file is up to date if it was made by the same code, from the same recipe rows and inputs.
        The code is that of `make`, of the rows' classes, of the engine and of `code`.
        """

        def make_one(temporary: dict[Path, Path]) -> object:
            return make(temporary[path])

        return path in self.build_many({path: rows}, make_one, inputs, [make, code])

    def build_many(
        self,
        rows: dict[Path, object],
        make: Callable[[dict[Path, Path]], object],
        inputs: list[Path],
        code: object = None,
    ) -> list[Path]:
        """Make the files that are not up to date in one call of `make`; return their paths.

        rows: path -> recipe rows. make: called with path -> temporary path.
        """
        keys = {path: self._key(row, inputs, [make, code]) for path, row in rows.items()}
        built = store.build_many(keys, make)
        self.log.built.append(bool(built))
        return built

    def copy(self, copies: dict[Path, Path]) -> list[Path]:
        """Bring copies of files up to date (path -> its original); return those that were made."""

        def make(temporary: dict[Path, Path]) -> None:
            for path, part in temporary.items():
                shutil.copyfile(copies[path], part)

        built = [self.build_many({path: None}, make, [file]) for path, file in copies.items()]
        return [path for paths in built for path in paths]

    def _key(self, rows: object, inputs: list[Path], code: object) -> dict[str, Any]:
        self.require(inputs)
        return {
            "code": code_version(code, rows, self.engine),
            "rows": rows,
            "inputs": {str(f.relative_to(self.output)): self.fingerprint(f) for f in inputs},
            "engine": self.engine.name,
        }

    def fingerprint(self, file: Path) -> str | None:
        """Return the digest of the key that a file was made from; None without a complete file."""
        return store.fingerprint(file)

    def progress(self, items: Iterable[T], name: str, total: int | None = None) -> Iterable[T]:
        """Yield the items; show a bar on a terminal, and nothing where the output is piped."""
        return tqdm(items, name, total, leave=False, disable=None, mininterval=1.0, delay=2)

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, object]]:
        """Time a block, and print a line when it ends: name, summary, seconds, peak memory.

        Yields the summary, which the block fills. The line is logged (src/core/steplog.py).
        """
        summary: dict[str, object] = {}
        start, n_built = time.perf_counter(), len(self.log.built)
        yield summary
        seconds = time.perf_counter() - start
        text = "  ".join(f"{key} {_format(value)}" for key, value in summary.items())
        print(f"{name:<34} {text}  [{seconds:.1f} s, {peak_gib():.2f} GiB]", flush=True)
        self.log.add(name, summary, seconds, n_built)


def count_built(built: Iterable[bool]) -> dict[str, int]:
    """Summarise files: how many were built, and how many were up to date ("cached")."""
    flags = list(built)
    return {"built": sum(flags), "cached": len(flags) - sum(flags)}


def _format(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
