"""One run of one numbered script: its flags, folders, progress lines and errors."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import polars as pl
from tqdm import tqdm

from src import steplog, store
from src.budget import Budget, enough_memory, free_memory, parse_size, peak_gib
from src.causal import causal
from src.engine import Engine, resolve
from src.recipe import Recipe

T = TypeVar("T")

STOPPED = "stopped; the same command goes on from here"
# as Python, numpy, torch, XGBoost and the system say it
NO_MEMORY = ("llocate memory", "not enough memory", "bad_alloc", "start new thread", "map segment")
NO_SPACE = ("No space left", "requested and", "PytorchStreamWriter")

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
        """Whether it only tells what it would make (src/status.py)."""
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
            if store.built_from(file) is None:
                folders = file.relative_to(self.output).parts
                step = next((MADE_BY[f] for f in folders if f in MADE_BY), "1_preparation.py")
                raise FileNotFoundError(
                    f"{file} is missing; run the steps before {self.script.name}, from {step} on"
                )

    def build(
        self, path: Path, make: Callable[[Path], object], rows: object, inputs: list[Path]
    ) -> bool:
        """Make `path` unless the code, the recipe `rows` or the `inputs` it was made from match."""
        return path in self.build_all({path: rows}, lambda parts: make(parts[path]), inputs)

    def build_all(
        self,
        rows: dict[Path, object],
        make: Callable[[dict[Path, Path]], object],
        inputs: list[Path],
    ) -> list[Path]:
        """`build` for files that are made in one go; returns those that had to be made."""
        made = store.build_all({p: self._key(r, inputs) for p, r in rows.items()}, make)
        self.built.append(bool(made))
        return made

    def _key(self, rows: object, inputs: list[Path]) -> dict[str, Any]:
        self.need(inputs)
        return {
            "code": store.code_version(self.script),
            "rows": rows,
            "inputs": {str(f.relative_to(self.output)): store.built_from(f) for f in inputs},
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


def parse(doc: str, script: Path, argv: list[str] | None = None) -> Run:
    """The flags that every script shares, turned into a Run."""
    from src.datasets import RECIPES  # here, since what they are made of imports this module

    parser = argparse.ArgumentParser(
        prog=script.name, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="demo", choices=sorted(RECIPES))
    parser.add_argument("--input", type=Path, help="folder of raw files (input/<dataset>)")
    parser.add_argument("--output", type=Path, help="folder for all results (output/<dataset>)")
    parser.add_argument("--engine", default="auto", choices=("auto", "cpu", "gpu"))
    parser.add_argument(
        "--sample", type=float, default=1.0, help="share of sessions to keep, for a quick try (1.0)"
    )
    parser.add_argument("--memory", help="bytes of RAM to use at most, like 8G (what is free)")
    parser.add_argument(
        "--causal", action="store_true", help="leave out all that sees later than the query"
    )
    args = parser.parse_args(argv)
    if not 0 < args.sample <= 1:
        raise ValueError(f"--sample {args.sample}: give a share above 0 and at most 1")
    recipe = causal(RECIPES[args.dataset]) if args.causal else RECIPES[args.dataset]
    folder = f"{args.dataset}-causal" if args.causal else args.dataset
    output = args.output or Path("output") / folder
    output.mkdir(parents=True, exist_ok=True)
    return Run(
        recipe=recipe,
        input=args.input or Path("input") / args.dataset,
        output=output,
        engine=resolve(args.engine),
        budget=Budget(parse_size(args.memory) if args.memory else free_memory(), output),
        sample=args.sample,
        script=script.resolve(),
    )


def tool_flags(
    name: str, doc: str | None, argv: list[str] | None, **paths: str
) -> argparse.Namespace:
    """The flags of a command that is no step: a dataset and some paths, given with their help."""
    from src.datasets import RECIPES

    parser = argparse.ArgumentParser(
        prog=name, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True, choices=sorted(RECIPES))
    for path, told in paths.items():
        parser.add_argument(f"--{path}", required=True, type=Path, help=told)
    return parser.parse_args(argv)


@contextmanager
def locked(folder: Path) -> Iterator[IO[str]]:
    """Hold the output folder for this process; a second run is refused, naming the first."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ValueError(
                f"{folder} is in use by process {lock.read().strip()}; wait for it, "
                "or give another --output"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}")
        lock.flush()
        yield lock


def main(doc: str, script: str, body: Callable[[Run], None], argv: list[str] | None = None) -> int:
    """Run a script's body; its exit code."""

    def go() -> int:
        run = parse(doc, Path(script), argv)
        where = f"{run.recipe.name}, {run.engine.name}, {run.output}"
        print(f"== {run.script.stem}: {where}", flush=True)
        enough_memory()
        with locked(run.output), stopped_at_once(run.script.name):
            body(run)
            steplog.forget(run.output, run.script.stem, run.told)
        return 0

    return guarded(Path(script).name, go)


@contextmanager
def stopped_at_once(name: str) -> Iterator[None]:
    """Ctrl-C ends the process without waiting for its threads: files are whole or not there."""

    def stop(*_: object) -> None:
        os.write(2, f"\n{name}: {STOPPED}\n".encode())
        os._exit(130)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def guarded(name: str, body: Callable[[], int]) -> int:
    """The exit code of `body`; a user's mistake is one line on stderr and exit code 2."""
    try:
        return body()
    except KeyboardInterrupt:
        print(f"{name}: {STOPPED}", file=sys.stderr)
        return 130
    except Exception as error:
        if not (told := _told(error)):
            raise
        print(f"{name}: {told}", file=sys.stderr)
        return 2


def _told(error: Exception) -> str:
    """The line for what is not our fault; "" for what is."""
    text = str(error).partition("\n")[0]
    if isinstance(error, MemoryError) or any(mark in text for mark in NO_MEMORY):
        return "out of memory; lower --memory or --sample"
    if any(mark in str(error) for mark in NO_SPACE):
        return f"the disk is full ({text}); free some, and the same command goes on from here"
    return text if isinstance(error, ValueError | OSError | pl.exceptions.PolarsError) else ""
