"""What `make submission` would make now, and why; nothing is made or changed.

    python -m src.tools.status --dataset otto --output output/otto

The steps run dry, in a folder of links to the real one: the key of each file is worked out as in a
real run, but where the file would be made, the reason is noted instead. A key holds the keys of
what the file is made from, so what follows from a change is known before any of it is made.
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
from src.core.run import Run, T

STEPS = sorted(store.ROOT.glob("[1-7]_*.py"))
NOT_MADE = "not made"
STOPS = (ValueError, OSError, pl.exceptions.PolarsError)  # something that is needed is not there
SAID = 3  # files named for each reason
NAMES = {"rows": "recipe row", "inputs": "input", "source": "raw file", "files": "raw files"}
"""Parts of a key, for people."""


@dataclass(frozen=True)
class Dry(Run):
    """A run that makes nothing, but remembers the key that each file would have, and why."""

    key_of: dict[Path, str] = field(default_factory=dict)
    why: dict[Path, str] = field(default_factory=dict)  # "" where a file is up to date
    missed: list[str] = field(default_factory=list)

    @property
    def dry(self) -> bool:
        return True

    def need(self, inputs: Iterable[Path]) -> None:
        super().need(path for path in inputs if path not in self.key_of)

    def build(
        self, path: Path, make: Callable[[Path], object], rows: object, inputs: list[Path]
    ) -> bool:
        return bool(self.build_many({path: rows}, print, inputs))

    def build_many(
        self,
        rows: dict[Path, object],
        make: Callable[[dict[Path, Path]], object],
        inputs: list[Path],
    ) -> list[Path]:
        """The files that a real run would make."""
        for path, row in rows.items():
            key = self._key(row, inputs)
            self.why[path], self.key_of[path] = reason(path, key), store.digest(key)
        return [path for path in rows if self.why[path]]

    def _key(self, rows: object, inputs: list[Path]) -> dict[str, Any]:
        self.need(inputs)
        made = {
            str(f.relative_to(self.output)): self.key_of.get(f) or store.fingerprint(f)
            for f in inputs
        }
        return super()._key(rows, []) | {"inputs": made}

    def progress(self, items: Iterable[T], name: str, total: int | None = None) -> Iterable[T]:
        return items

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, object]]:
        """Says nothing; goes on behind the block where a file that is to be made was missed."""
        try:
            yield {}
        except STOPS as error:
            self.missed.append(first_line(error))
            if not any(self.why.values()):
                raise


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def reason(path: Path, key: dict[str, Any]) -> str:
    """Why a file would be made: it is not there, or what of its key changed; "" if it would not."""
    found = store.fingerprint(path)
    if found == store.digest(key):
        return ""
    if found is None:
        return NOT_MADE
    old = json.loads(store.manifest_path(path).read_text())["key"]
    changed = differences(old, json.loads(store.as_json(key)))
    return f"changed: {', '.join(NAMES.get(part, part) for part in changed)}"


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The parts of a key that differ; of what is a table in step 1, its entries."""
    found: set[str] = set()
    for part in old.keys() | new.keys():
        a, b = old.get(part), new.get(part)
        if a != b and part == "rows" and isinstance(a, dict) and isinstance(b, dict):
            inner = {name for name in a.keys() | b.keys() if a.get(name) != b.get(name)}
            found |= {part} if "row" in a else inner
        elif a != b:
            found.add(part)
    return sorted(found)


@dataclass(frozen=True)
class Step:
    """A step run dry: its files, those it would make with the reason, and where it had to stop."""

    name: str
    why: dict[str, str]
    stopped: str


def plan(run: Run) -> list[Step]:
    """All steps, dry."""
    steps = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        key_of: dict[Path, str] = {}
        for script in STEPS:
            link(run.output, place)
            dry = Dry(**vars(replace(run, output=place, script=script)), key_of=key_of)
            stopped = ""
            try:
                with redirect_stdout(io.StringIO()):
                    runpy.run_path(str(script))["body"](dry)
            except Exception as error:
                if not isinstance(error, STOPS) and not dry.missed:
                    raise
                stopped = (*dry.missed, first_line(error))[0].replace(folder, str(run.output))
            why = {str(path.relative_to(place)): told for path, told in dry.why.items()}
            steps.append(Step(script.stem, why, stopped))
    return steps


def link(output: Path, place: Path) -> None:
    """Links to all whole files; a dry step replaces or removes links, not files."""
    for file in output.rglob("*"):
        to = place / file.relative_to(output)
        if file.is_file() and not file.name.startswith((".part-", ".lock")) and not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            to.symlink_to(file.resolve())


def tell(step: Step, splits: list[str]) -> None:
    """Print a line per step and split, and below it the reasons."""

    def part(name: str) -> str:
        first = name.partition("/")[0]
        return first if first in splits else "all splits"

    for split, names in groupby(sorted(step.why, key=part), part):
        why = [(step.why[name], name) for name in names]
        fresh, lost = (sum(told == state for told, _ in why) for state in ("", NOT_MADE))
        stale = len(why) - fresh - lost
        print(f"{step.name:<14} {split:<11} {fresh:>5} done {stale:>5} stale {lost:>5} missing")
        for told, files in groupby(sorted(pair for pair in why if pair[0]), lambda pair: pair[0]):
            listed = [name for _, name in files]
            more = f" and {len(listed) - SAID} more" if len(listed) > SAID else ""
            print(f"    {told}: {', '.join(listed[:SAID])}{more}")
    if step.stopped:
        print(f"{step.name:<14} what else is known once this is there: {step.stopped}")


def body(run: Run) -> int:
    """Tell of every step."""
    steps = plan(run)
    splits = [path.parent.name for path in run.output.glob("*/sessions.parquet")]
    print(f"what make submission would make in {run.output} ({run.recipe.name})")
    for step in steps:
        tell(step, splits)
        if not step.why:
            break  # no more is known of those behind it
    return 0


if __name__ == "__main__":
    raise SystemExit(run_cli("status", lambda: body(parse(__doc__ or "", Path(__file__)))))
