"""Keep what each step took when it last made something: logs/steps.json, for the report."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.core import store
from src.core.budget import peak_gib

Steps = dict[str, dict[str, dict[str, Any]]]
"""Script -> line -> {summary, seconds, peak_gib}."""


def read(output: Path) -> Steps:
    """Read the log of an output folder; empty where no step has ended."""
    path = output / "logs" / "steps.json"
    return json.loads(path.read_text()) if path.exists() else {}


@dataclass
class StepLog:
    """The log of one script that is running."""

    output: Path
    script: str  # without its ending
    built: list[bool] = field(default_factory=list)  # per group of files asked for: any made?
    lines: list[str] = field(default_factory=list)  # names of the lines that have ended

    def keep(self, name: str, summary: dict[str, object], seconds: float, before: int) -> None:
        """Put a line that has ended into the log.

        before: how many of `built` were there when it began. A line that found all of its files up
        to date leaves what the run that made them wrote.
        """
        steps, built = read(self.output), self.built[before:]
        self.lines.append(name)
        if any(built) or not built or name not in steps.get(self.script, {}):
            peak = round(peak_gib(), 3)
            line = {"summary": summary, "seconds": round(seconds, 2), "peak_gib": peak}
            steps.setdefault(self.script, {})[name] = line
            self._write(steps)

    def close(self) -> None:
        """Drop the lines that the script, which has ended, has no longer."""
        steps = read(self.output)
        known = steps.get(self.script, {})
        if known.keys() - set(self.lines):
            steps[self.script] = {name: known[name] for name in self.lines}
            self._write(steps)

    def _write(self, steps: Steps) -> None:
        text = json.dumps(steps, indent=1, default=str)
        store.write_text(self.output / "logs" / "steps.json", text)
