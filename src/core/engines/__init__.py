"""Engines, a class each; `resolve` makes the choice of --engine."""

from src.core.engines.base import Engine
from src.core.engines.cpu import CpuEngine
from src.core.engines.gpu import GpuEngine

__all__ = ["ENGINES", "CpuEngine", "Engine", "GpuEngine", "resolve"]

ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (CpuEngine, GpuEngine)}


def resolve(wanted: str) -> Engine:
    """Take the engine of that name (`auto`: a GPU if it works); ValueError if not there."""
    if wanted == "auto":
        wanted = GpuEngine.name if GpuEngine.trouble() is None else CpuEngine.name
    engine = ENGINES[wanted]
    if trouble := engine.trouble():
        raise ValueError(f"--engine {wanted}: {trouble}; use --engine {CpuEngine.name}")
    return engine()
