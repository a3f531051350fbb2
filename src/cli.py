"""Parse flags, lock the output folder, and turn errors into exit codes."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import polars as pl

from src.candidates.tune import tuned_recipe
from src.core.budget import Budget, free_memory, parse_size, require_memory
from src.core.engines import ENGINES, resolve
from src.core.local_path import local_path
from src.core.run import Run
from src.core.steplog import StepLog
from src.data.paths import MADE_BY
from src.datasets import DATASETS
from src.datasets.base import Dataset

STOPPED = "stopped; the same command goes on from here"
# parts of error messages of Python, numpy, torch, XGBoost and the system
NO_MEMORY = ("llocate memory", "not enough memory", "bad_alloc", "start new thread", "map segment")
NO_SPACE = ("No space left", "requested and", "PytorchStreamWriter")


def parse(doc: str, script: Path, argv: list[str] | None = None) -> Run:
    """Parse the flags that all scripts share into a Run.

    Raises ValueError for a flag that cannot be used.
    """
    return run_of(step_flags(doc, script, argv), script)


def step_flags(
    doc: str, script: Path, argv: list[str] | None = None,
    more: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
) -> argparse.Namespace:  # fmt: skip
    """Parse the flags that all scripts share, and those that `more` adds to the parser."""
    parser = _parser(script.name, doc)
    parser.add_argument("--dataset", default="demo", choices=sorted(DATASETS))
    parser.add_argument("--input", type=local_path, help="folder of raw files (input/<dataset>)")
    parser.add_argument(
        "--output", type=local_path, help="folder for all results (output/<dataset>)"
    )
    parser.add_argument(
        "--engine",
        default="auto",
        choices=("auto", *ENGINES),
        help="auto: a GPU if it works",
    )
    parser.add_argument(
        "--sample", type=float, default=1.0, help="share of sessions to keep, for a quick try (1.0)"
    )
    parser.add_argument(
        "--memory", help="bytes of RAM to use at most, like 8G (90 %% of what is free)"
    )
    parser.add_argument("--causal", action="store_true", help="use no event later than the query")
    more(parser)
    args = _with_flags_of_dataset(parser, argv)
    args.script = script.name
    if not 0 < args.sample <= 1:
        raise ValueError(f"--sample {args.sample}: give a share above 0 and at most 1")
    folder = f"{args.dataset}-causal" if args.causal else args.dataset
    args.input = args.input or Path("input") / args.dataset
    args.output = args.output or Path("output") / folder
    return args


def run_of(args: argparse.Namespace, script: Path) -> Run:
    """Make the Run of the flags of `step_flags`."""
    dataset, output = DATASETS[args.dataset].configure(args), args.output
    return Run(
        dataset=dataset,
        recipe=tuned_recipe(dataset.recipe, output, args.causal),
        input=args.input,
        output=output,
        engine=resolve(args.engine),
        budget=Budget(parse_size(args.memory) if args.memory else free_memory(), output),
        sample=args.sample,
        script=script.name,
        made_by=MADE_BY,
        log=StepLog(output, script.stem),
    )


def tool_flags(
    name: str, doc: str | None, argv: list[str] | None, **paths: str
) -> argparse.Namespace:
    """Parse --dataset and the flags of a tool; paths: help text by flag.

    A tool that reads a submission has the flags --file and --output: without the first, it reads
    the submission in the second.
    """
    parser = _parser(name, doc)
    parser.add_argument("--dataset", required=True, choices=sorted(DATASETS))
    for flag, text in paths.items():
        parser.add_argument(f"--{flag}", required=flag != "file", type=local_path, help=text)
    if "file" in paths:
        text = "folder of the results (that of --file, or output/<dataset>)"
        parser.add_argument("--output", type=local_path, help=text)
    return _with_flags_of_dataset(parser, argv)


def configured(args: argparse.Namespace) -> Dataset:
    """Return the dataset of a tool's flags; set the flags --output and --file that are not given.

    The results lie in the folder of the submission.
    """
    flags = vars(args)
    default = flags["file"].parent if flags.get("file") else Path("output") / args.dataset
    args.output = flags.get("output") or default
    dataset = DATASETS[args.dataset].configure(args)
    args.file = flags.get("file") or args.output / dataset.submission
    return dataset


def _parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=name, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def _with_flags_of_dataset(
    parser: argparse.ArgumentParser, argv: list[str] | None
) -> argparse.Namespace:
    """Add the flags of the dataset that --dataset names, and parse all flags."""
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--dataset", default=parser.get_default("dataset"))
    name = first.parse_known_args(argv)[0].dataset
    if name in DATASETS:  # else the parser says which there are
        DATASETS[name].add_flags(parser)
    return parser.parse_args(argv)


@contextmanager
def locked(folder: Path) -> Iterator[IO[str]]:
    """Lock the output folder; raise ValueError where another process holds the lock."""
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
    """Parse the flags of a script, run its body, and return the exit code."""

    def go() -> int:
        run = parse(doc, Path(script), argv)
        names = f"{run.recipe.name}, {run.engine.name}, {run.output}"
        print(f"== {Path(script).stem}: {names}", flush=True)
        require_memory()
        with locked(run.output), stopped_at_once(run.script):
            body(run)
            run.log.close()
        return 0

    return run_cli(Path(script).name, go)


@contextmanager
def stopped_at_once(name: str) -> Iterator[None]:
    """End the process at Ctrl-C without waiting for its threads.

    No thread can leave half a file: a file is renamed when it is whole.
    """

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


def run_cli(name: str, body: Callable[[], int]) -> int:
    """Return the exit code of `body`; 2, after one line on stderr, for an error of the user."""
    try:
        return body()
    except KeyboardInterrupt:
        print(f"{name}: {STOPPED}", file=sys.stderr)
        return 130
    except Exception as error:
        if not (message := user_message(error)):
            raise
        print(f"{name}: {message}", file=sys.stderr)
        return 2


def user_message(error: Exception) -> str:
    """Return one line for an error that the user can fix; "" for a bug."""
    text = str(error).partition("\n")[0]
    if isinstance(error, MemoryError) or any(mark in text for mark in NO_MEMORY):
        return "out of memory; lower --memory or --sample"
    if any(mark in str(error) for mark in NO_SPACE):
        return f"the disk is full ({text}); free some, and the same command goes on from here"
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("src"):
        return f"{error.name} is not installed; make installs what its targets need"
    return text if isinstance(error, ValueError | OSError | pl.exceptions.PolarsError) else ""
