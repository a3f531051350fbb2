"""report.html: a whole run on one page that opens offline; docs/report.md goes through it.

It is made from the files of a run alone, so it can be made again at any time.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from src import page, report_data, sections, steplog
from src.candidates import part_files
from src.report_data import Sample, Weights, heaviest
from src.run import Run
from src.scoring import log_folder, model_path
from src.sections import Report

SHOWN = ("types", "objectives", "metric", "k", "rules", "rankers", "features", "folds", "seed",
         "expect")  # fmt: skip
"""What of the recipe the page shows."""


def write_report(run: Run) -> bool:
    """Bring report.html up to date; False when it was.

    logs/steps.json is no reason to make it again: seconds differ from run to run.
    """
    blend = blend_of(run)
    rows = {
        "recipe": {name: getattr(run.recipe, name) for name in SHOWN},
        "templates": page.templates(),
        "logs": {str(f.relative_to(run.output)): _digest(f) for f in _logs(run, blend)},
    }

    def make(path: Path) -> None:
        path.write_text(html(run, blend))

    return run.build(run.output / "report.html", make, rows, _inputs(run, blend))


def html(run: Run, blend: Weights) -> str:
    """The page."""
    sample = Sample.load(run, blend)
    cv = json.loads((run.output / "cv.json").read_text())
    report = Report(run, cv, blend, sample, steplog.read(run.output))
    title = f"{run.recipe.name}: {cv['metric']} {page.show(cv['score'])}"
    shown = [section(report) for section in sections.ALL]
    return page.page(title, shown, report_data.browse(run, sample, blend))


def blend_of(run: Run) -> Weights:
    """The weights of the final lists."""
    objectives = json.loads((run.output / "cv.json").read_text())["objectives"]
    return {name: found["blend"] for name, found in objectives.items()}


def _inputs(run: Run, blend: Weights) -> list[Path]:
    place = run.output / "valid"
    inputs = [place / f"{name}.parquet" for name in ("sessions", "events", "labels")]
    inputs.append(run.output / "aids.parquet")
    for folder in ("pool", "train", "scores"):
        inputs += part_files(run, "valid", folder)
    best = [(heaviest(run.recipe, blend, name), name) for name in blend]
    return inputs + [model_path(run, row, name, 0) for row, name in best if row]


def _logs(run: Run, blend: Weights) -> list[Path]:
    """Tables that the page shows where they are there: without manifests, so told by content."""
    logs = run.output / "logs"
    found = [run.output / name for name in ("cv.json", "experiments.csv")]
    found += [logs / f"{name}.csv" for name in ("gains", "pool/rules", "pool/pool", "ablation")]
    for row, name in sections.learned(run.recipe, blend):
        for fold in range(run.recipe.folds):
            folder = log_folder(run, row, name, fold)
            found += [folder / file for file in ("curve.csv", "importance.csv", "fold.json")]
    return [file for file in found if file.exists()]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
