"""Get the raw files of a competition by its own client, or tell how; then check them.

    python -m src.tools.download --dataset otto --input input/otto

The client asks for credentials itself, and keeps them where it does: nothing of them passes here.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import zipfile
from pathlib import Path

import polars as pl

from src.cli import run_cli, tool_flags
from src.data.recipe import RawFile, Recipe, Source
from src.datasets import RECIPES


def parse(argv: list[str] | None) -> argparse.Namespace:
    return tool_flags("data", __doc__, argv, input="folder for the raw files")


def find(folder: Path, file: RawFile) -> Path | None:
    return next(iter(sorted(folder.glob(file.name))), None)


def fetch(source: Source, folder: Path) -> None:
    """Download and unpack what is missing; ValueError tells how where that cannot be done."""
    wanted = " and ".join(file.name for file in source.files)
    told = f"get {wanted} from {source.page} ({source.licence}) and put them into {folder}"
    client = shutil.which("kaggle")
    if not source.kaggle:
        raise ValueError(f"{told}; no client fetches them: register there, and download by hand")
    if not client:
        raise ValueError(
            f"{told}; or let Kaggle's client do it: pip install kaggle, set up its token, accept "
            "the rules on that page, and run this again"
        )
    folder.mkdir(parents=True, exist_ok=True)
    command = [client, "competitions", "download", "-c", source.kaggle, "-p", str(folder)]
    if subprocess.run(command).returncode:
        raise ValueError(f"the client failed (see above); {told}, or mend that and run this again")
    archive = folder / f"{source.kaggle}.zip"
    with zipfile.ZipFile(archive) as packed:
        for member in packed.namelist():
            if any(Path(member).match(file.name) for file in source.files):
                with packed.open(member) as piece, open(folder / Path(member).name, "wb") as out:
                    shutil.copyfileobj(piece, out)
    archive.unlink()


def verify(source: Source, recipe: Recipe, folder: Path) -> list[str]:
    """What differs from the competition's files; a line is printed for each of them."""
    wrong = []
    for file in source.files:
        path = find(folder, file)
        if path is None:
            wrong.append(f"{folder}: no {file.name}; download it again")
            continue
        rows, first, last = recipe.facts(path, recipe)
        days = " to ".join(f"{pl.from_epoch(pl.Series([ms]), 'ms')[0]:%Y-%m-%d %H:%M}"
                           for ms in (first, last))  # fmt: skip
        print(f"{path}: {rows:,} rows, {days}")
        if rows != file.rows:
            wrong.append(f"{path}: {rows:,} rows, the competition's has {file.rows:,}; "
                         "download it again")  # fmt: skip
        if not file.first <= first <= last <= file.last:
            wrong.append(f"{path}: times from {days}, which are not the competition's; "
                         "download it again")  # fmt: skip
    return wrong


def body(args: argparse.Namespace) -> int:
    """Fetch what is missing, verify all; 2 where something is wrong."""
    recipe = RECIPES[args.dataset]
    if recipe.source is None:
        print(f"{args.dataset} makes its own files: make submission DATASET={args.dataset}")
        return 0
    if not all(find(args.input, file) for file in recipe.source.files):
        fetch(recipe.source, args.input)
    wrong = verify(recipe.source, recipe, args.input)
    print("\n".join(wrong) or f"these are the competition's files ({recipe.source.licence})")
    return 2 if wrong else 0


if __name__ == "__main__":
    args = parse(None)
    raise SystemExit(run_cli("data", lambda: body(args)))
