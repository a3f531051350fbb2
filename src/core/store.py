"""Files that exist are whole, and are made again exactly when something they depend on changed.

Every file a step makes goes through `build`: written beside its place, synced, renamed; then a
manifest `<file>.json` with the key it was made from. A kill at any moment leaves either the old
file, the new one, or neither, and the same command goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any


def digest(value: object) -> str:
    """A short hash of rows, numbers, strings and containers of them."""
    return hashlib.sha256(as_json(value).encode()).hexdigest()[:16]


def as_json(value: object) -> str:
    """The same, as a manifest holds it."""
    return json.dumps(value, default=_plain, sort_keys=True)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {"row": type(value).__name__, **asdict(value)}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot put a {type(value).__name__} into a manifest")


def manifest_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def fingerprint(path: Path) -> str | None:
    """The key digest a whole file was made from, or None when it is not there."""
    manifest = manifest_path(path)
    if not (path.exists() and manifest.exists()):
        return None
    return str(json.loads(manifest.read_text())["digest"])


def build(path: Path, key: dict[str, Any], make: Callable[[Path], object]) -> bool:
    """Make `path` with `make(temporary path)` unless it was made from this very key.

    Returns True when it was made, False when it was up to date.
    """
    return path in build_many({path: key}, lambda parts: make(parts[path]))


def build_many(
    keys: dict[Path, dict[str, Any]], make: Callable[[dict[Path, Path]], object]
) -> list[Path]:
    """Make several files in one go: those not made from their very key, which are returned.

    `make` is given the temporary path of each, and writes them all.
    """
    stale = [path for path, key in keys.items() if fingerprint(path) != digest(key)]
    parts = {path: path.with_name(f".part-{path.name}") for path in stale}
    for path, part in parts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        manifest_path(path).unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    with none_left(*parts.values()):
        if stale:
            make(parts)
        for path, part in parts.items():
            replace(part, path)
            key = keys[path]
            manifest = json.dumps({"digest": digest(key), "key": key}, default=_plain, indent=1)
            write_text(manifest_path(path), manifest)
    return stale


def write_text(path: Path, text: str) -> None:
    """Write a small text file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    with none_left(part):
        part.write_text(text)
        replace(part, path)


@contextmanager
def none_left(*parts: Path) -> Iterator[None]:
    """Remove parts of files where writing them breaks off: a full disk is not to stay so."""
    try:
        yield
    except BaseException:
        for part in parts:
            part.unlink(missing_ok=True)
        raise


def replace(part: Path, path: Path) -> None:
    """Sync a finished file to disk, then give it its name."""
    with open(part, "rb") as f:
        os.fsync(f.fileno())
    os.replace(part, path)
