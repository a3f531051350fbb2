"""The recipe, folders, engine and budget of one run; its progress lines and files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from src.core import steplog, store
from src.core.budget import Budget, peak_gib
from src.core.engine import Engine
from src.data.recipe import Recipe

T = TypeVar("T")

MADE_BY = {
    "matrices": "2_matrices.py",
    "lists": "3_candidates.py",
    "embeddings": "4_embeddings.py",
    "more_lists": "4_embeddings.py",
    "pool": "4_embeddings.py",
    "train": "5_features.py",
    "models": "6_xgb.py",
    "scores": "6_xgb.py",
}
"""The step that fills a folder of a split; all else is from step 1."""


@dataclass(frozen=True)
class Run:
    """What a step needs to know: the recipe, where to read and write, and on what to compute."""

    recipe: Recipe
    input: Path
    output: Path
    engine: Engine
    budget: Budget
    sample: float
    script: Path
    built: list[bool] = field(default_factory=list, compare=False)  # files asked for: made?
    told: list[str] = field(default_factory=list, compare=False)  # the steps that ended

    @property
    def dry(self) -> bool:
        """Whether it only tells what it would make (src/tools/status.py)."""
        return False

    def splits(self) -> list[str]:
        """What step 1 made: `valid`, `test` where the data has one, and more to learn from."""
        path = self.output / "splits.json"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing; run 1_preparation.py first")
        return list(json.loads(path.read_text()))

    def learning_splits(self) -> list[str]:
        """The splits with labels: `valid`, and those that are only learned from."""
        return [split for split in self.splits() if split != "test"]

    def scored_splits(self) -> list[str]:
        """The splits whose candidates are scored: `valid`, and `test` where the data has one."""
        return [split for split in self.splits() if split in ("valid", "test")]

    def table(self, split: str, name: str) -> Path:
        """The neighbours of a matrix or embedding row."""
        kind = "embeddings" if name in {e.name for e in self.recipe.embeddings} else "matrices"
        return self.output / split / kind / f"{name}.parquet"

    def vectors(self, split: str, name: str) -> Path:
        """The item vectors of an embedding row."""
        return self.table(split, name).with_suffix(".npy")

    def sources(self, split: str, name: str) -> Path:
        """The vectors of items as the earlier ones of a pair, of a directed embedding row."""
        return self.table(split, name).with_suffix(".sources.npy")

    def queries(self, split: str, name: str) -> Path:
        """The query vectors of a two-tower row."""
        return self.table(split, name).with_suffix(".queries.npy")

    def need(self, inputs: Iterable[Path]) -> None:
        """Raise FileNotFoundError, naming the step to run, unless all these files are whole."""
        for file in inputs:
            if store.fingerprint(file) is None:
                folders = file.relative_to(self.output).parts
                step = next((MADE_BY[f] for f in folders if f in MADE_BY), "1_preparation.py")
                raise FileNotFoundError(
                    f"{file} is missing; run the steps before {self.script.name}, from {step} on"
                )

    def build(
        self, path: Path, make: Callable[[Path], object], rows: object, inputs: list[Path]
    ) -> bool:
        """Make `path` unless the code, the recipe `rows` or the `inputs` it was made from match."""
        return path in self.build_many({path: rows}, lambda parts: make(parts[path]), inputs)

    def build_many(
        self,
        rows: dict[Path, object],
        make: Callable[[dict[Path, Path]], object],
        inputs: list[Path],
    ) -> list[Path]:
        """`build` for files that are made in one go; returns those that had to be made."""
        made = store.build_many({p: self._key(r, inputs) for p, r in rows.items()}, make)
        self.built.append(bool(made))
        return made

    def _key(self, rows: object, inputs: list[Path]) -> dict[str, Any]:
        self.need(inputs)
        return {
            "code": store.code_version(self.script),
            "rows": rows,
            "inputs": {str(f.relative_to(self.output)): store.fingerprint(f) for f in inputs},
            "engine": self.engine.name,
        }

    def progress(self, items: Iterable[T], name: str, total: int | None = None) -> Iterable[T]:
        """The items, with a bar and an ETA on a terminal; nothing when output is piped."""
        return tqdm(items, name, total, leave=False, disable=None, mininterval=1.0, delay=2)

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, object]]:
        """One line when the block ends: name, the facts put into the dict, seconds, peak memory."""
        facts: dict[str, object] = {}
        start, before = time.perf_counter(), len(self.built)
        yield facts
        seconds = time.perf_counter() - start
        told = "  ".join(f"{key} {_show(value)}" for key, value in facts.items())
        print(f"{name:<34} {told}  [{seconds:.1f} s, {peak_gib():.2f} GiB]", flush=True)
        record = {"facts": facts, "seconds": round(seconds, 2), "peak_gib": round(peak_gib(), 3)}
        steplog.keep(self.output, self.script.stem, name, record, self.built[before:])
        self.told.append(name)


def _show(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
