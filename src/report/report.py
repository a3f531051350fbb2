"""report.html: a whole run on one page that opens offline; docs/report.md goes through it.

It is made from the files of a run alone, so it can be made again at any time.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from src.core import steplog
from src.core.run import Run
from src.data.shards import part_files
from src.embeddings.train import log_path
from src.rankers.score import log_folder, model_path
from src.report import data as report_data
from src.report import page, sections
from src.report.data import Blend, Blends, Sample
from src.report.sections import Report

SHOWN = ("types", "objectives", "metric", "k", "rules", "rankers", "features", "folds", "seed",
         "expect")  # fmt: skip
"""What of the recipe the page shows."""


def write_report(run: Run) -> bool:
    """Bring report.html up to date; False when it was.

    logs/steps.json is no reason to make it again: seconds differ from run to run.
    """
    blends = blends_of(run)
    rows = {
        "recipe": {name: getattr(run.recipe, name) for name in SHOWN},
        "templates": page.templates(),
        "logs": {str(f.relative_to(run.output)): _digest(f) for f in _logs(run, blends)},
    }

    def make(path: Path) -> None:
        path.write_text(html(run, blends))

    return run.build(run.output / "report.html", make, rows, _inputs(run, blends))


def html(run: Run, blends: Blends) -> str:
    """The page."""
    sample = Sample.load(run, blends)
    cv = json.loads((run.output / "cv.json").read_text())
    report = Report(run, cv, blends, sample, steplog.read(run.output))
    title = f"{run.recipe.name}: {cv['metric']} {page.show(cv['score'])}"
    shown = [section(report) for section in sections.ALL]
    return page.page(title, shown, report_data.browse(run, sample, blends))


def blends_of(run: Run) -> Blends:
    """How the final lists are ordered."""
    objectives = json.loads((run.output / "cv.json").read_text())["objectives"]
    return {name: Blend.of(run.recipe, name, found) for name, found in objectives.items()}


def _inputs(run: Run, blends: Blends) -> list[Path]:
    place = run.output / "valid"
    inputs = [place / f"{name}.parquet" for name in ("sessions", "events", "labels")]
    logs = [run.output / "logs" / name for name in ("gains.csv", "pool/baselines.parquet")]
    inputs += [run.output / "items.parquet", run.output / "cv.json", *logs]
    for folder in ("pool", "train", "scores"):
        inputs += part_files(run, "valid", folder)
    return inputs + [model_path(run, b.best, name, 0) for name, b in blends.items() if b.best]


def _logs(run: Run, blends: Blends) -> list[Path]:
    """Tables that the page shows where they are there: without manifests, so told by content."""
    logs = run.output / "logs"
    found = [run.output / "experiments.csv"]
    found += [logs / f"{name}.csv" for name in ("pool/rules", "pool/pool", "ablation")]
    found += [log_path(run, split, e) for e in run.recipe.embeddings for split in run.splits()]
    for row, name in sections.learned(blends):
        for fold in range(run.recipe.folds):
            folder = log_folder(run, row, name, fold)
            found += [folder / file for file in ("curve.csv", "importance.csv", "fold.json")]
    return [file for file in found if file.exists()]


def _digest(file: Path) -> str:
    """Of what a log tells, but for what it took."""
    text = file.read_bytes()
    if file.name == "fold.json":
        text = json.dumps(json.loads(text) | {"seconds": None, "peak_gib": None}).encode()
    return hashlib.sha256(text).hexdigest()[:16]
