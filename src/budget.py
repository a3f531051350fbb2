"""What a step may use of memory and disk: told and checked before the work starts.

A step states what it needs at least, prints that beside what is free, and fits the size of its
blocks to the rest; no result depends on the budget.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

GIB = 2**30
SHARE = 0.9  # of what is free, by default: the rest is for the page cache and for others
CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def parse_size(text: str) -> int:
    """Bytes of `8G`, `500M` or a plain number; raises ValueError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"--memory {text}: give a number of bytes, or one with M or G, like 8G")
    return int(float(found[1]) * 1024 ** " KMG".index(found[2].upper() or " "))


def free_memory() -> int:
    """Bytes that this process may still take: of the machine, or of its container."""
    free = int(psutil.virtual_memory().available)
    for path in CGROUPS:
        if path.exists() and (text := path.read_text().strip()).isdigit():
            free = min(free, int(text))
    return int(free * SHARE)


@dataclass(frozen=True)
class Budget:
    """Bytes of memory that a step may use, and the folder it writes to."""

    memory: int
    folder: Path

    def claim(self, name: str, memory: float, disk: float = 0) -> None:
        """Print what a piece of work needs; ValueError, with the cure, where that is not there."""
        free = shutil.disk_usage(self.folder).free
        print(
            f"{name:<34} needs {_gib(memory)} of {_gib(self.memory)} memory"
            + (f", {_gib(disk)} of {_gib(free)} disk" if disk else ""),
            flush=True,
        )
        if memory > self.memory:
            raise ValueError(
                f"{name}: needs {_gib(memory)} of memory, {_gib(self.memory)} are allowed; "
                "free some, raise --memory, or lower --sample"
            )
        if disk > free:
            raise ValueError(
                f"{name}: needs about {_gib(disk)} of disk, {self.folder} has {_gib(free)} free; "
                "set --output to another disk, or lower --sample"
            )


def _gib(size: float) -> str:
    return f"{size / GIB:.2f} GiB"
