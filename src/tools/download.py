"""Download the raw files of a competition with Kaggle's client, and check them.

    python -m src.tools.download --dataset otto --input input/otto

Without the client, or for a competition on another site, a message names the page of the files. The
client handles the credentials; this command never reads them.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import zipfile
from pathlib import Path

import polars as pl

from src.cli import configured, run_cli, tool_flags
from src.core import store
from src.datasets.base import Dataset, RawFile, Source


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the flags."""
    return tool_flags("data", __doc__, argv, input="folder for the raw files")


def find(folder: Path, file: RawFile) -> Path | None:
    """Find a raw file by its name or pattern; the first by name where several match."""
    return next(iter(sorted(folder.glob(file.name))), None)


def fetch(source: Source, folder: Path) -> None:
    """Download and unpack the raw files; raise ValueError with the cure if that fails.

    An archive that is there already is only unpacked: a run was stopped before its end.
    """
    files = " and ".join(file.name for file in source.files)
    cure = f"get {files} from {source.page} ({source.licence}) and put them into {folder}"
    client = shutil.which("kaggle")
    if not source.kaggle:
        raise ValueError(f"{cure}; no client fetches them: register there, and download by hand")
    archive = folder / f"{source.kaggle}.zip"
    if archive.exists():
        return unpack(archive, source, folder)
    if not client:
        raise ValueError(
            f"{cure}; or let Kaggle's client do it: pip install kaggle, set up its token, accept "
            "the rules on that page, and run this again"
        )
    folder.mkdir(parents=True, exist_ok=True)
    command = [client, "competitions", "download", "-c", source.kaggle, "-p", str(folder)]
    if subprocess.run(command).returncode:
        raise ValueError(f"the client failed (see above); {cure}, or fix that and run this again")
    unpack(archive, source, folder)


def unpack(archive: Path, source: Source, folder: Path) -> None:
    """Unpack the raw files of an archive, each to its name when it is whole; then delete it."""
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in packed.namelist():
                if any(Path(member).match(file.name) for file in source.files):
                    # its name alone, so that no member is written outside the folder
                    part = folder / f".part-{Path(member).name}"
                    with packed.open(member) as data, open(part, "wb") as out:
                        shutil.copyfileobj(data, out)
                    store.replace(part, folder / Path(member).name)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{archive}: {error}; delete it and run this again") from None
    archive.unlink()


def verify(source: Source, dataset: Dataset, folder: Path) -> list[str]:
    """Print a line per raw file; return the differences from the competition's files."""
    faults = []
    for file in source.files:
        path = find(folder, file)
        if path is None:
            faults.append(f"{folder}: no {file.name}; download it again")
            continue
        raw = dataset.summarize_raw(path)
        days = f"{_minute(raw.first)} to {_minute(raw.last)}"
        print(f"{path}: {raw.rows:,} rows, {days}")
        if raw.rows != file.rows:
            faults.append(f"{path}: {raw.rows:,} rows, the competition's has {file.rows:,}; "
                          "delete it and run this again")  # fmt: skip
        if not file.first <= raw.first <= raw.last <= file.last:
            faults.append(f"{path}: times from {days}, which are not the competition's; "
                          "delete it and run this again")  # fmt: skip
    return faults


def _minute(ms: int) -> str:
    return f"{pl.from_epoch(pl.Series([ms]), 'ms')[0]:%Y-%m-%d %H:%M}"


def body(args: argparse.Namespace) -> int:
    """Download missing files and check all; return 2 if a file differs."""
    dataset = configured(args)
    source = dataset.source
    if source is None:
        makes, puts = "makes its own files", f"has no download; put your files into {args.input}"
        print(
            f"{args.dataset} {makes if dataset.simulates else puts}: make submission "
            f"DATASET={args.dataset}"
        )
        return 0
    if not source.files:
        print(f"get the files from {source.page} ({source.licence}) and put them into {args.input}")
        return 0
    if not all(find(args.input, file) for file in source.files):
        fetch(source, args.input)
    faults = verify(source, dataset, args.input)
    print("\n".join(faults) or f"these are the competition's files ({source.licence})")
    return 2 if faults else 0


if __name__ == "__main__":
    raise SystemExit(run_cli("data", lambda: body(parse(None))))
