"""Engines, a class each; `resolve` gives the one of --engine."""

from src.core.engines.base import Engine
from src.core.engines.cpu import CpuEngine
from src.core.engines.gpu import GpuEngine
from src.core.engines.spark import SparkEngine

__all__ = ["ENGINES", "CpuEngine", "Engine", "GpuEngine", "SparkEngine", "resolve"]

ENGINES: dict[str, type[Engine]] = {
    engine.name: engine for engine in (CpuEngine, GpuEngine, SparkEngine)
}


def resolve(name: str) -> Engine:
    """Make the engine of that name; `auto` is the GPU if it works, else the CPU.

    Raises ValueError, with the reason, where the engine does not work on this machine.
    """
    if name == "auto":
        name = GpuEngine.name if GpuEngine.fault() is None else CpuEngine.name
    engine = ENGINES[name]
    if fault := engine.fault():
        raise ValueError(f"--engine {name}: {fault}; use --engine {CpuEngine.name}")
    return engine()
