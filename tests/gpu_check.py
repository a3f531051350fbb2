"""Does every polars query of the pipeline translate for RAPIDS? Needs its packages, but no GPU.

    make gpu-check

Everything given to `Engine.collect` goes through RAPIDS' translator, in the very plan that a GPU
would get, and is then computed by polars. That nothing is left to the CPU is proved; that a GPU
gives the same numbers, or has the memory, is not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import polars as pl
from cudf_polars.dsl.translate import Translator
from matrix_rows import EVERY_ROW
from planted import ROOT, planted_events, whole, write_split

from src.core.engines import GpuEngine
from src.data.schemas import EVENTS
from src.data.split_data import SplitData
from src.matrices.covisitation import CovisitationMatrix, self_merged
from src.rankers.train_table import count_positives

GPU = GpuEngine(threads=1)
CALLERS = {"src/matrices/covisitation.py", "src/rankers/train_table.py"}
"""Modules that give queries to Engine.collect: see `steps`."""

Step = Callable[[], object]


def untranslated(step: Step) -> list[list[str]]:
    """For each query that the step gives to a GPU: what RAPIDS cannot run of it."""
    found: list[list[str]] = []

    def translate(plan: object, _: int | None, *, config: pl.GPUEngine) -> None:
        """In place of RAPIDS' own: translates the plan, but leaves it to polars to run."""
        translator = Translator(plan, config)
        translator.translate_ir()
        found.append(sorted({f"{type(e).__name__}: {e}" for e in translator.errors}))

    memory = patch("cudf_polars.utils.config.get_total_device_memory", return_value=2**35)
    with memory, patch("cudf_polars.execute_with_cudf", translate):
        step()
    return found


def passes(name: str, step: Step) -> int | None:
    """Print and count the queries of a step; None when it has none, or not all translate."""
    found = untranslated(step)
    faults = [line for lines in found for line in lines]
    print(f"{name:<28} {len(found)} queries  {'OK' if found and not faults else 'FAILED'}")
    for line in faults:
        print(f"    {line}")
    return len(found) if found and not faults else None


def steps(output: Path) -> dict[str, Step]:
    """Every use of `Engine.collect`, on a small split: each matrix row, and the sampling."""
    data = planted_pool(output)
    merges = {f"matrix {name}": partial(merge, data, row) for name, row in EVERY_ROW.items()}
    return merges | {"positives": lambda: count_positives(data.run)}


def merge(data: SplitData, row: CovisitationMatrix) -> list[list[pl.DataFrame]]:
    return list(self_merged(data, [row]))


def planted_pool(output: Path) -> SplitData:
    """A split whose pool is all pairs of session and item; every third one is a positive."""
    events = planted_events()
    data = write_split(output, events, queries=300)
    pairs = events.select("session", "item").unique(maintain_order=True)
    whole(output / "valid" / "pool" / "part-0000.parquet", pairs)
    labels = pairs.with_row_index("objective").filter(pl.col("objective") % 3 == 0)
    whole(
        output / "valid" / "labels.parquet",
        labels.with_columns((pl.col("objective") % 3).cast(pl.Int8)),
    )
    return SplitData(replace(data.run, engine=GPU), "valid")


def unsupported() -> dict[str, pl.LazyFrame]:
    """Queries that RAPIDS cannot run, which this check must find out."""
    events = pl.LazyFrame(schema=EVENTS)
    return {
        "head in agg": events.group_by("session").agg(pl.col("item").head(2)),
        "int_range over": events.with_columns(n=pl.int_range(pl.len()).over("session")),
        "cum_count over": events.with_columns(n=pl.col("item").cum_count().over("session")),
        "cut": events.with_columns(n=pl.col("ts").cut([1, 2])),
    }


def broken() -> list[str]:
    """What is wrong with the check itself."""
    missed = [
        f"{name} was not found to be unsupported"
        for name, query in unsupported().items()
        if not any(untranslated(lambda query=query: GPU.collect(query)))
    ]
    files = [*ROOT.glob("[0-9]_*.py"), *(ROOT / "src").rglob("*.py")]
    callers = {f.relative_to(ROOT).as_posix() for f in files if "engine.collect(" in f.read_text()}
    return missed + [f"{name}: add its queries here" for name in sorted(callers ^ CALLERS)]


def main() -> int:
    with TemporaryDirectory() as folder:
        counts = [passes(name, step) for name, step in steps(Path(folder)).items()]
    failed, faults = counts.count(None), broken()
    print(f"self-test: {faults or f'{len(unsupported())} unsupported queries were found'}")
    total = sum(n or 0 for n in counts)
    print(f"{total} queries translate; {failed} of {len(counts)} steps failed")
    return 1 if failed or faults else 0


if __name__ == "__main__":
    sys.exit(main())
