"""Compare the contents of two output folders, which a rename or a move must not change.

    python -m bench.unchanged --before output/demo --after /elsewhere/output/demo
    python -m bench.unchanged --base HEAD~1 --after output/demo --dataset demo [flags of the steps]

Names do not count: a table is compared by the values of its columns in their order. Columns, files
and folders may have other names. With --base, the seven steps of that revision first make the older
folder, in a work tree of their own, with the given flags. Prints every file of the older folder
whose content is not in the newer one; the exit code is 1 if there is one.

Left out are manifests, locks, raw/, and files that hold seconds, memory, paths or names. So models
are not compared, but their scores are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

LEFT_OUT = {
    "steps.json", "fold.json", "params.json", "experiments.csv", "report.html", "splits.json",
}  # fmt: skip
KINDS = (".parquet", ".npy", ".csv", ".json")
ROOT = Path(__file__).resolve().parent.parent


def contents(output: Path) -> dict[str, str]:
    """Hash every result in a folder, by its path there."""
    files = [file for file in sorted(output.rglob("*")) if file.suffix in KINDS]
    kept = [file for file in files if file.name not in LEFT_OUT and not _manifest(file)]
    names = {file: file.relative_to(output).as_posix() for file in kept}
    return {n: _content(file) for file, n in names.items() if not n.startswith(("raw/", "."))}


def _manifest(file: Path) -> bool:
    return file.suffix == ".json" and file.with_suffix("").exists()


def _content(file: Path) -> str:
    match file.suffix:
        case ".parquet":
            columns = [column.hash(seed=0).to_numpy().tobytes() for column in pl.read_parquet(file)]
        case ".npy":
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            columns = [str(array.shape).encode(), np.ascontiguousarray(array).tobytes()]
        case ".csv":
            table = pl.read_csv(file, infer_schema_length=None)
            columns = [np.sort(c.to_numpy()).tobytes() for c in table if c.dtype.is_numeric()]
        case _:
            columns = [",".join(sorted(re.findall(r"-?\d+\.\d+", file.read_text()))).encode()]
    return hashlib.sha256(b"|".join(columns)).hexdigest()[:16]


def compare(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """List the contents of `before` that `after` does not hold under any name."""
    unmatched = Counter(after.values()) - Counter()
    lost = []
    for name, content in before.items():
        if unmatched[content]:
            unmatched[content] -= 1
        else:
            lost.append(f"{name}: {'changed' if name in after else 'gone, or changed'}")
    return lost


def run_steps(tree: Path, output: Path, flags: list[str]) -> None:
    """Run all numbered scripts of a tree."""
    for script in sorted(tree.glob("[1-7]_*.py")):
        command = [sys.executable, str(script), "--output", str(output.resolve()), *flags]
        subprocess.run(command, cwd=tree, check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """Compare two folders, print the lost contents, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--before", type=Path, help="folder of the older results")
    parser.add_argument("--base", help="revision whose steps make them, where there is no folder")
    parser.add_argument("--after", type=Path, required=True, help="folder of the newer results")
    args, flags = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        before = args.before or Path(folder) / "output"
        if args.before is None:
            tree = Path(folder) / "tree"
            subprocess.run(["git", "worktree", "add", "-q", tree, args.base], cwd=ROOT, check=True)
            try:
                run_steps(tree, before, flags)
            finally:
                subprocess.run(["git", "worktree", "remove", "-f", tree], cwd=ROOT, check=True)
        old, new = contents(before), contents(args.after)
    lost = compare(old, new)
    print("\n".join(lost) or "no content is lost")
    print(json.dumps({"before": len(old), "after": len(new), "lost": len(lost)}))
    return int(bool(lost))


if __name__ == "__main__":
    raise SystemExit(main())
