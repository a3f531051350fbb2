"""List the files that `make submission` would make now, with reasons; make none.

    python -m src.tools.status --dataset otto --output output/otto

The steps run dry, in a folder of links to the files of the real one. A dry step computes the key of
each file as a real step does, and notes the reason for each file that it would make. The key of a
file holds the digests of its inputs' keys. So all consequences of a change are known beforehand.
"""

from __future__ import annotations

import io
import json
import runpy
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from src.cli import parse, run_cli
from src.core import store
from src.core.code import ROOT
from src.core.run import Run, T
from src.core.steplog import StepLog
from src.data.splits import read_splits

SCRIPTS = sorted(ROOT.glob("[1-7]_*.py"))
NOT_MADE = "not made"
MISSING = (ValueError, OSError, pl.exceptions.PolarsError)  # raised where an input is not there yet
OLD_CONTENT = (LookupError, TypeError)  # raised where a file of an older version is read
SHOWN = 3  # files listed for each reason
PARTS = {"rows": "recipe row", "inputs": "input", "source": "raw file", "files": "raw files"}
"""Names of the parts of a key, for messages."""


@dataclass(frozen=True)
class DryRun(Run):
    """A run that makes no file; it collects the reasons and the keys that files would have."""

    digests: dict[Path, str] = field(default_factory=dict)  # of the keys of files, of all steps
    reasons: dict[Path, str] = field(default_factory=dict)  # "": the file is up to date
    missing: list[str] = field(default_factory=list)  # messages about missing inputs

    @property
    def dry(self) -> bool:
        return True

    def require(self, inputs: Iterable[Path]) -> None:
        """Raise FileNotFoundError for missing files that no step before would make."""
        super().require(path for path in inputs if path not in self.digests)

    def fingerprint(self, file: Path) -> str | None:
        """Digest of the key that the file would have after a run, or has."""
        return self.digests.get(file) or super().fingerprint(file)

    def build_many(
        self,
        rows: dict[Path, object],
        make: Callable[[dict[Path, Path]], object],
        inputs: list[Path],
        code: object = None,
    ) -> list[Path]:
        """Return the files that a real run would make."""
        for path, row in rows.items():
            key = self._key(row, inputs, [make, code])
            self.reasons[path], self.digests[path] = reason(path, key), store.digest(key)
        return [path for path in rows if self.reasons[path]]

    def progress(self, items: Iterable[T], name: str, total: int | None = None) -> Iterable[T]:
        return items

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, object]]:
        """Print no line; note an error of the block that comes from a file that is to be made."""
        try:
            yield {}
        except MISSING as error:
            self.missing.append(first_line(error))
            if not any(self.reasons.values()):
                raise


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def reason(path: Path, key: dict[str, Any]) -> str:
    """Name the reason to make a file: it is missing, or parts of its key changed; "" for none."""
    digest = store.fingerprint(path)
    if digest == store.digest(key):
        return ""
    if digest is None:
        return NOT_MADE
    old = json.loads(store.manifest_path(path).read_text())["key"]
    changed = differences(old, json.loads(store.as_json(key)))
    return f"changed: {', '.join(PARTS.get(part, part) for part in changed)}"


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Name the parts of a key that differ; of `rows` as a table, the entries that differ."""
    names: set[str] = set()
    for part in old.keys() | new.keys():
        a, b = old.get(part), new.get(part)
        if a != b and part == "rows" and isinstance(a, dict) and isinstance(b, dict):
            entries = {name for name in a.keys() | b.keys() if a.get(name) != b.get(name)}
            names |= {part} if "row" in a else entries
        elif a != b:
            names.add(part)
    return sorted(names)


@dataclass(frozen=True)
class Step:
    """Result of a dry step."""

    name: str
    reasons: dict[str, str]  # of each of its files; "": up to date
    missing: str  # message about an input without which no more is known; "": none


def plan(run: Run) -> list[Step]:
    """Run all steps dry."""
    steps: list[Step] = []
    digests: dict[Path, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        for script in SCRIPTS:
            link(run.output, output)
            log = StepLog(output, script.stem)
            real = replace(run, output=output, script=script.name, log=log)
            dry = DryRun(**vars(real), digests=digests)
            missing = dry_step(dry, script).replace(folder, str(run.output))
            reasons = {str(path.relative_to(output)): why for path, why in dry.reasons.items()}
            steps.append(Step(script.stem, reasons, missing))
    return steps


def dry_step(run: DryRun, script: Path) -> str:
    """Run a step dry; return the message about a missing input that ended it, "" if none did."""
    try:
        with redirect_stdout(io.StringIO()):
            runpy.run_path(str(script))["body"](run)
    except Exception as error:
        # a step that goes on without an input, or with a stale file, may fail in any way
        if isinstance(error, MISSING) or run.missing:
            return (*run.missing, first_line(error))[0]
        stale = [path for path, why in run.reasons.items() if why]
        if not stale or not isinstance(error, OLD_CONTENT):
            raise
        return f"{stale[0]} of this version"
    return ""


def link(output: Path, folder: Path) -> None:
    """Link all whole files into a folder, where a dry step can replace or remove only links."""
    for file in output.rglob("*"):
        to = folder / file.relative_to(output)
        if file.is_file() and not file.name.startswith((".part-", ".lock")) and not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            to.symlink_to(file.resolve())


def print_step(step: Step, splits: list[str]) -> None:
    """Print a line per split, with the reasons below it."""

    def split_of(name: str) -> str:
        first = name.partition("/")[0]
        return first if first in splits else "all splits"

    for split, names in groupby(sorted(step.reasons, key=split_of), split_of):
        files = [(step.reasons[name], name) for name in names]
        done, missing = (sum(why == state for why, _ in files) for state in ("", NOT_MADE))
        stale = len(files) - done - missing
        print(f"{step.name:<14} {split:<11} {done:>5} done {stale:>5} stale {missing:>5} missing")
        for why, pairs in groupby(sorted(pair for pair in files if pair[0]), lambda pair: pair[0]):
            listed = [name for _, name in pairs]
            more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
            print(f"    {why}: {', '.join(listed[:SHOWN])}{more}")
    if step.missing:
        print(f"{step.name:<14} cannot plan further; missing: {step.missing}")


def print_old_version(run: Run) -> None:
    """Print a line if the output folder is of an older version."""
    try:
        read_splits(run)
    except FileNotFoundError:
        return
    except ValueError as error:
        print(error)


def require_fresh(run: Run) -> None:
    """Raise ValueError, with the step to run, where a file of steps 1 to 7 is stale.

    Logs, the report and the submission may be stale. Raw files need not be there.
    """
    for step in plan(run):
        for file, why in step.reasons.items():
            if why and not file.startswith(("logs/", "report.html", run.dataset.submission)):
                raise ValueError(
                    f"{run.output / file} is stale or missing ({why}); run {step.name}.py and the "
                    "steps after it, or make submission"
                )


def body(run: Run) -> int:
    """Print the state of every step."""
    steps = plan(run)
    splits = [path.parent.name for path in run.output.glob("*/sessions.parquet")]
    print(f"what make submission would make in {run.output} ({run.recipe.name})")
    print_old_version(run)
    for step in steps:
        print_step(step, splits)
        if step.missing and not step.reasons:
            break  # nothing is known of the steps after it
    return 0


if __name__ == "__main__":
    raise SystemExit(run_cli("status", lambda: body(parse(__doc__ or "", Path(__file__)))))
