"""Log the time and memory of each step's last work: logs/steps.json, for the report."""

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
    """Read the log of an output folder; empty before a first step has ended."""
    path = output / "logs" / "steps.json"
    return json.loads(path.read_text()) if path.exists() else {}


@dataclass
class StepLog:
    """Log of the script that is running."""

    output: Path
    script: str  # file name without its suffix
    built: list[bool] = field(default_factory=list)  # per call of `Run.build`: was a file made?
    lines: list[str] = field(default_factory=list)  # names of the lines that have ended

    def add(self, name: str, summary: dict[str, object], seconds: float, n_built: int) -> None:
        """Add a line that has ended.

        n_built: length of `built` when the line began. A line whose files were all up to date does
        not replace the line of the run that made them.
        """
        steps, built = read(self.output), self.built[n_built:]
        self.lines.append(name)
        if any(built) or not built or name not in steps.get(self.script, {}):
            peak = round(peak_gib(), 3)
            line = {"summary": summary, "seconds": round(seconds, 2), "peak_gib": peak}
            steps.setdefault(self.script, {})[name] = line
            self._write(steps)

    def close(self) -> None:
        """Drop logged lines that the script, which has ended, no longer prints."""
        steps = read(self.output)
        known = steps.get(self.script, {})
        if known.keys() - set(self.lines):
            steps[self.script] = {name: known[name] for name in self.lines}
            self._write(steps)

    def _write(self, steps: Steps) -> None:
        text = json.dumps(steps, indent=1, default=str)
        store.write_text(self.output / "logs" / "steps.json", text)
