"""What a step may use of memory and disk: told and checked before the work starts.

A step states what it needs at least, prints that beside what is free, and fits the size of its
blocks to the rest; no result depends on the budget.
"""

from __future__ import annotations

import re
import resource
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from tqdm import tqdm

GIB = 2**30
LEAST = 200 << 20  # bytes without which nothing is begun
RESERVED = 3 << 29  # addresses that polars, XGBoost and torch take for their threads, unused:
# .9 GiB on 2 threads, 1.4 on 32; polars aborts, or waits for ever, where it gets none
SHARE = 0.9  # of what is free, by default: the rest is for the page cache and for others
CGROUPS, GROUPS_OF_THIS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
CGROUP_FILES = {"": ("memory.max", "anon"), "memory": ("memory.limit_in_bytes", "total_rss")}
"""Of version 2 and 1: the file with the limit, and what of memory.stat cannot be given back."""


def parse_size(text: str) -> int:
    """Bytes of `8G`, `500M` or a plain number; raises ValueError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"--memory {text}: give a number of bytes, or one with M or G, like 8G")
    return int(float(found[1]) * 1024 ** " KMG".index(found[2].upper() or " "))


def free_memory() -> int:
    """Bytes that this process may still take: of the machine, its containers, its own limit."""
    free = [int(psutil.virtual_memory().available), *_cgroups()]
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        free.append(limit - int(psutil.Process().memory_info().vms) - RESERVED)
    return int(max(0, min(free)) * SHARE)


def peak_gib() -> float:
    """Largest resident size of this process so far (Linux counts in KiB, macOS in bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20


def enough_memory() -> None:
    """ValueError where hardly any memory is left."""
    if (free := free_memory()) < LEAST:
        raise ValueError(
            f"{_gib(free)} of memory are left, at least {_gib(LEAST)} are needed; free some, or "
            "raise this process's limit (ulimit -v)"
        )


def _cgroups() -> Iterator[int]:
    """What is left in each memory cgroup that this process is in, and in those around it."""
    for line in _lines(GROUPS_OF_THIS):
        _, controller, place = line.split(":", 2)
        if controller not in CGROUP_FILES:
            continue
        limit, used = CGROUP_FILES[controller]
        root = CGROUPS / controller
        inner = root / place.lstrip("/")
        for folder in (inner, *(p for p in inner.parents if p.is_relative_to(root))):
            file = folder / limit
            if file.exists() and (text := file.read_text().strip()).isdigit():
                stat = dict(row.split() for row in _lines(folder / "memory.stat"))
                yield int(text) - int(stat.get(used, 0))


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@dataclass(frozen=True)
class Budget:
    """Bytes of memory that a step may use, and the folder it writes to."""

    memory: int
    folder: Path

    def claim(self, name: str, memory: float, disk: float = 0) -> None:
        """Print what a piece of work needs; ValueError, with the cure, where that is not there."""
        free = shutil.disk_usage(self.folder).free
        tqdm.write(  # beside a bar, not into it
            f"{name:<34} needs {_gib(memory)} of {_gib(self.memory)} memory"
            + (f", {_gib(disk)} of {_gib(free)} disk" if disk else "")
        )
        sys.stdout.flush()
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
