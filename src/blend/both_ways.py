"""Name the score of a run as deployed (`--causal`), and as the competition allows, side by side."""

from __future__ import annotations

import json
from typing import Any

from src.blend.cv import read_cv
from src.core.run import Run

CAUSAL = "-causal"
"""End of the name of an output folder with `--causal`."""
DEPLOYED, ALLOWED = "as deployed", "as the competition allows"


def other_cv(run: Run) -> dict[str, Any] | None:
    """Read cv.json of the run with, or without, `--causal` in the folder beside; None without one.

    It must be of the same data set, metric and number of sessions. The folders are `output/<name>`
    and `output/<name>-causal`.
    """
    output, deployed = run.output.resolve(), run.recipe.as_deployed
    beside = output.name.removesuffix(CAUSAL) if deployed else output.name + CAUSAL
    path = output.with_name(beside) / "cv.json"
    if beside == output.name or not path.exists():
        return None
    cv, own = json.loads(path.read_text()), read_cv(run)
    same = all(cv.get(key) == own[key] for key in ("dataset", "metric", "sessions"))
    return cv if same and cv.get("as_deployed") is not deployed else None


def both_scores(run: Run) -> list[str]:
    """Name the score of the run, and after it that of `other_cv` if there is one."""
    found = [cv for cv in (read_cv(run), other_cv(run)) if cv is not None]
    return [
        f"{DEPLOYED if cv['as_deployed'] else ALLOWED} {cv['score']:.4f} "
        f"[{cv['ci95'][0]:.4f}, {cv['ci95'][1]:.4f}]"
        for cv in found
    ]
