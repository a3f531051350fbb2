"""Where polars queries run: on the CPU's streaming engine, or on a GPU through RAPIDS.

One code path: a step builds a lazy query, `Engine.collect` runs it. On `gpu` nothing may fall back
to the CPU unseen, so the query raises when RAPIDS cannot run it (`make gpu-check` finds that out
without a GPU). Never used there, because cudf-polars lacks them: group_by().head, int_range().over,
cum_count().over, list operations, cut, categoricals, rle_id, map_batches, join_asof(by=).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Engine:
    """The resolved choice, made once at start."""

    name: str  # "cpu" or "gpu"
    threads: int

    @property
    def xgb_device(self) -> str:
        return "cuda" if self.name == "gpu" else "cpu"

    def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        if self.name == "gpu":
            return query.collect(engine=pl.GPUEngine(raise_on_fail=True))
        return query.collect(engine="streaming")


def gpu_trouble() -> str | None:
    """Why RAPIDS cannot be used here, or None when a GPU answers and the packages are there."""
    if shutil.which("nvidia-smi") is None:
        return "no NVIDIA driver on this machine (nvidia-smi not found)"
    if subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode != 0:
        return "the NVIDIA driver does not answer (run nvidia-smi)"
    for package in ("cudf_polars", "cupy"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed (pip install -r requirements-gpu.txt)"
    return None


def resolve(wanted: str) -> Engine:
    """`auto` takes the GPU when it works; `gpu` raises ValueError with the reason when not."""
    threads = int(os.environ.get("NUMBA_NUM_THREADS", os.cpu_count() or 1))
    trouble = None if wanted == "cpu" else gpu_trouble()
    if wanted == "gpu" and trouble:
        raise ValueError(f"--engine gpu: {trouble}; use --engine cpu")
    return Engine("cpu" if wanted == "cpu" or trouble else "gpu", threads)
