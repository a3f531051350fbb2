"""Check memory and disk before the work starts.

A step claims the memory and disk that its work needs. The claim is printed, and refused where it
exceeds the budget. A step fits the size of its batches to the budget. No result depends on it.
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
MIN_MEMORY = 200 << 20  # bytes: a step does not start with less
RESERVED = 3 << 29  # bytes of addresses that polars, XGBoost and torch map for their threads:
# 0.9 GiB on 2 threads, 1.4 on 32; polars aborts or hangs where it gets none
USABLE_SHARE = 0.9  # of the free memory; the rest is for the page cache and other processes
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
CGROUP_FILES = {"": ("memory.max", "anon"), "memory": ("memory.limit_in_bytes", "total_rss")}
"""Controller of cgroups version 2 and 1 -> file of the limit, key of memory.stat that is in use.

Page cache is not in use: the kernel gives it back.
"""


def parse_size(text: str) -> int:
    """Parse `8G`, `500M` or a plain number to bytes; raise ValueError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ValueError(f"--memory {text}: give a number of bytes, or one with M or G, like 8G")
    return int(float(match[1]) * 1024 ** " KMG".index(match[2].upper() or " "))


def free_memory() -> int:
    """Return the bytes that this process may still use: a share of what the tightest limit leaves.

    Limits are those of the machine, of the process's cgroups and of its address space.
    """
    free = [int(psutil.virtual_memory().available), *_free_in_cgroups()]
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        free.append(limit - int(psutil.Process().memory_info().vms) - RESERVED)
    return int(max(0, min(free)) * USABLE_SHARE)


def peak_gib() -> float:
    """Return the largest resident size of this process so far, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20  # macOS bytes, Linux KiB


def require_memory() -> None:
    """Raise ValueError where less than MIN_MEMORY is free."""
    if (free := free_memory()) < MIN_MEMORY:
        raise ValueError(
            f"{_gib(free)} of memory are left, at least {_gib(MIN_MEMORY)} are needed; free some, "
            "or raise this process's limit (ulimit -v)"
        )


def _free_in_cgroups() -> Iterator[int]:
    """Yield the bytes left in each memory cgroup of this process, and in those around it."""
    for line in _lines(OWN_CGROUPS):
        _, controller, group = line.split(":", 2)
        if controller not in CGROUP_FILES:
            continue
        limit_file, used = CGROUP_FILES[controller]
        root = CGROUPS / controller
        inner = root / group.lstrip("/")
        for folder in (inner, *(p for p in inner.parents if p.is_relative_to(root))):
            file = folder / limit_file
            if file.exists() and (limit := file.read_text().strip()).isdigit():
                stat = dict(row.split() for row in _lines(folder / "memory.stat"))
                yield int(limit) - int(stat.get(used, 0))


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@dataclass(frozen=True)
class Budget:
    """Bytes of memory that a step may use, and the folder it writes to."""

    memory: int
    folder: Path

    def claim(self, name: str, memory: float, disk: float = 0) -> None:
        """Print the bytes that `name` needs; raise ValueError, with the cure, if they are not free.

        memory counts against the budget, disk against the free space of the folder.
        """
        free = shutil.disk_usage(self.folder).free
        tqdm.write(  # unlike print, does not break a progress bar
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
