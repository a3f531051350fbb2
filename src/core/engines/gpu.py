"""An NVIDIA GPU: polars through RAPIDS (cudf-polars), XGBoost and torch on CUDA."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass

import polars as pl

from src.core.engines.base import Engine


@dataclass(frozen=True)
class GpuEngine(Engine):
    """One GPU; numba kernels still run on the CPU."""

    name = "gpu"
    device = "cuda"
    by_self_merge = True

    @classmethod
    def fault(cls) -> str | None:
        """Return the reason why RAPIDS does not work here; None with a driver and cudf-polars."""
        if shutil.which("nvidia-smi") is None:
            return "no NVIDIA driver on this machine (nvidia-smi not found)"
        if subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode != 0:
            return "the NVIDIA driver does not answer (run nvidia-smi)"
        if importlib.util.find_spec("cudf_polars") is None:
            return "cudf_polars is not installed (pip install -r requirements-gpu.txt)"
        return None

    @property
    def models_at_a_time(self) -> int:
        """One, as models share the memory of the GPU."""
        return 1

    def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        """Run a query on the GPU; raise an error if RAPIDS cannot."""
        return query.collect(engine=pl.GPUEngine(raise_on_fail=True))
