"""One run of a step: recipe, folders, engine, budget; it builds files and prints lines."""

from __future__ import annotations

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
    """What a step needs to know: what to make, where to read and write, and on what to compute."""

    dataset: Dataset
    recipe: Recipe  # that of the dataset, or what --causal leaves of it
    input: Path
    output: Path
    engine: Engine
    budget: Budget
    sample: float
    script: str  # file name of the step
    made_by: Mapping[str, str]  # folder in the output -> the step that fills it
    log: StepLog = field(compare=False)

    @property
    def dry(self) -> bool:
        """Whether it only works out what it would make (src/tools/status.py)."""
        return False

    def require(self, inputs: Iterable[Path]) -> None:
        """Raise FileNotFoundError, naming the step to run, unless all these files are whole."""
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
        """Make `path` unless the code, the recipe `rows` or the `inputs` it was made from match.

        The code is that of `make`, of the classes among the rows, and of `code`.
        """

        def make_one(parts: dict[Path, Path]) -> object:
            return make(parts[path])

        return path in self.build_many({path: rows}, make_one, inputs, [make, code])

    def build_many(
        self,
        rows: dict[Path, object],
        make: Callable[[dict[Path, Path]], object],
        inputs: list[Path],
        code: object = None,
    ) -> list[Path]:
        """`build` for files that are made in one go; return those that had to be made."""
        keys = {path: self._key(row, inputs, [make, code]) for path, row in rows.items()}
        built = store.build_many(keys, make)
        self.log.built.append(bool(built))
        return built

    def _key(self, rows: object, inputs: list[Path], made_by: object) -> dict[str, Any]:
        self.require(inputs)
        return {
            "code": code_version(made_by, rows, self.engine),
            "rows": rows,
            "inputs": {str(f.relative_to(self.output)): self.fingerprint(f) for f in inputs},
            "engine": self.engine.name,
        }

    def fingerprint(self, file: Path) -> str | None:
        """Digest of the key that a file was made from."""
        return store.fingerprint(file)

    def progress(self, items: Iterable[T], name: str, total: int | None = None) -> Iterable[T]:
        """Yield the items, with a bar and an ETA on a terminal; nothing where output is piped."""
        return tqdm(items, name, total, leave=False, disable=None, mininterval=1.0, delay=2)

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, object]]:
        """Print a line when the block ends: name, the summary it filled, seconds, peak memory."""
        summary: dict[str, object] = {}
        start, before = time.perf_counter(), len(self.log.built)
        yield summary
        seconds = time.perf_counter() - start
        text = "  ".join(f"{key} {_show(value)}" for key, value in summary.items())
        print(f"{name:<34} {text}  [{seconds:.1f} s, {peak_gib():.2f} GiB]", flush=True)
        self.log.keep(name, summary, seconds, before)


def count_built(built: Iterable[bool]) -> dict[str, int]:
    """Summary of files: how many were built, and how many were cached."""
    found = list(built)
    return {"built": sum(found), "cached": len(found) - sum(found)}


def _show(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
