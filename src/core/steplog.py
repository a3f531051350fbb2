"""What each step took when it last made something: logs/steps.json, for the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from src.core import store

Steps = dict[str, dict[str, dict[str, Any]]]
"""Script -> step -> {facts, seconds, peak_gib}."""


def read(output: Path) -> Steps:
    """The log of an output folder; empty where no step has ended."""
    path = output / "logs" / "steps.json"
    return json.loads(path.read_text()) if path.exists() else {}


def keep(output: Path, script: str, name: str, told: dict[str, object], built: list[bool]) -> None:
    """Put a step that has ended into the log.

    built: for each file that it asked for, whether it was made; a step that found all of them up
    to date leaves what the run that made them told.
    """
    steps = read(output)
    if any(built) or not built or name not in steps.get(script, {}):
        steps.setdefault(script, {})[name] = told
        _write(output, steps)


def forget(output: Path, script: str, told: list[str]) -> None:
    """Drop the steps that a script, which has ended, has no longer."""
    steps = read(output)
    known = steps.get(script, {})
    if known.keys() - set(told):
        steps[script] = {name: known[name] for name in told}
        _write(output, steps)


def _write(output: Path, steps: Steps) -> None:
    store.write_text(output / "logs" / "steps.json", json.dumps(steps, indent=1, default=str))
