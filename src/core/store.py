"""Write files completely or not at all, and again only when something they depend on changed.

`build` writes a file under a temporary name, syncs and renames it. Then it writes a manifest
`<file>.json` with the key that the file was made from. After a kill at any moment there is the old
file, the new file, or none. The same command continues from there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any


def digest(value: object) -> str:
    """Hash rows, numbers, strings, paths and containers of them to 16 characters."""
    return hashlib.sha256(as_json(value).encode()).hexdigest()[:16]


def as_json(value: object) -> str:
    """Serialise rows, numbers, strings, paths and containers of them as a manifest has them.

    A row that reads files which no step has made says with `content_hash()` what is in them.
    """
    return json.dumps(value, default=_plain, sort_keys=True)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        if (read := getattr(value, "content_hash", None)) and (said := read()):
            parts["content_hash"] = said
        return {"row": type(value).__name__, **parts}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot put a {type(value).__name__} into a manifest")


def manifest_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def fingerprint(path: Path) -> str | None:
    """Return the digest of the key that a file was made from; None without a complete file."""
    if not path.exists():
        return None
    try:  # another thread may take the manifest away at any moment, to make the file again
        return str(json.loads(manifest_path(path).read_text())["digest"])
    except FileNotFoundError:
        return None


def inputs(path: Path) -> dict[str, str]:
    """Return what a file was made from: the inputs of its manifest, path -> fingerprint."""
    made_from: dict[str, str] = json.loads(manifest_path(path).read_text())["key"]["inputs"]
    return made_from


def remove(path: Path) -> None:
    """Remove a file and its manifest; either may be missing."""
    for file in (path, manifest_path(path)):
        file.unlink(missing_ok=True)


def build(path: Path, key: dict[str, Any], make: Callable[[Path], object]) -> bool:
    """Make `path` with make(temporary path) unless its manifest has this key.

    Returns whether the file was made.
    """
    return path in build_many({path: key}, lambda temporary: make(temporary[path]))


def build_many(
    keys: dict[Path, dict[str, Any]], make: Callable[[dict[Path, Path]], object]
) -> list[Path]:
    """Make the files whose manifests do not have their keys in one call; return their paths.

    make: writes each file to its temporary path, given as path -> temporary path.
    """
    stale = [path for path, key in keys.items() if fingerprint(path) != digest(key)]
    temporary = {path: path.with_name(f".part-{path.name}") for path in stale}
    for path, temporary_path in temporary.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        manifest_path(path).unlink(missing_ok=True)
        temporary_path.unlink(missing_ok=True)
    with removed_on_error(*temporary.values()):
        if stale:
            make(temporary)
        for path, temporary_path in temporary.items():
            replace(temporary_path, path)
            key = keys[path]
            manifest = json.dumps({"digest": digest(key), "key": key}, default=_plain, indent=1)
            write_text(manifest_path(path), manifest)
    return stale


def write_text(path: Path, text: str) -> None:
    """Write a small text file completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary_path = path.with_name(f".part-{path.name}")
    with removed_on_error(temporary_path):
        temporary_path.write_text(text)
        replace(temporary_path, path)


@contextmanager
def removed_on_error(*temporary: Path) -> Iterator[None]:
    """Remove temporary files when writing them fails, so that a full disk does not stay full."""
    try:
        yield
    except BaseException:
        for temporary_path in temporary:
            temporary_path.unlink(missing_ok=True)
        raise


def replace(temporary_path: Path, path: Path) -> None:
    """Sync a finished temporary file to disk, then rename it."""
    with open(temporary_path, "rb") as f:
        os.fsync(f.fileno())
    os.replace(temporary_path, path)
