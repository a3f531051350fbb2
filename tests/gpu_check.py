"""Does every polars query of the pipeline translate for RAPIDS? Needs its packages, but no GPU.

    make gpu-check

Everything given to `Engine.collect` goes through RAPIDS' translator, in the very plan that a GPU
would get, and is then computed by polars. That nothing is left to the CPU is proved; that a GPU
gives the same numbers, or has the memory, is not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import polars as pl
from cudf_polars.dsl.translate import Translator
from planted import N_ITEMS, planted_events
from test_matrices import NOT_IN_A_RECIPE

from src.core.budget import Budget
from src.core.engine import Engine
from src.core.run import Run
from src.data.schemas import EVENTS
from src.datasets import RECIPES
from src.matrices.build import Counter
from src.matrices.rows import CovisitationMatrix
from src.rankers.sampling import positives

ROOT = Path(__file__).resolve().parent.parent
GPU = Engine("gpu", threads=1)
CALLERS = {
    "src/matrices/build.py",
    "src/rankers/sampling.py",
}  # who gives queries to Engine.collect: see `steps`

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
    trouble = [line for lines in found for line in lines]
    print(f"{name:<28} {len(found)} queries  {'OK' if found and not trouble else 'FAILED'}")
    for line in trouble:
        print(f"    {line}")
    return len(found) if found and not trouble else None


def steps(output: Path) -> dict[str, Step]:
    """Every use of `Engine.collect`, on a small world: each matrix row, and the sampling."""
    budget, script = Budget(2**33, output), ROOT / "5_features.py"
    run = Run(RECIPES["otto"], output, output, GPU, budget, sample=1.0, script=script)
    write_world(output, len(run.recipe.objectives))
    counter = Counter(run, "valid")
    tables = [row for recipe in RECIPES.values() for row in recipe.matrices]
    rows = dict.fromkeys(row for row in tables if isinstance(row, CovisitationMatrix))

    def counting(row: CovisitationMatrix) -> Step:
        return lambda: list(counter.on_gpu([row]))

    merges = {f"matrix {row.name}": counting(row) for row in (*rows, *NOT_IN_A_RECIPE)}
    return merges | {"positives": lambda: positives(run)}


def write_world(output: Path, objectives: int) -> None:
    """What the steps read: all pairs of the events are candidates, and every third one is true."""
    events = planted_events()
    pairs = events.select("session", "item").unique(maintain_order=True)
    labels = pairs.with_row_index("objective").filter(pl.col("objective") % 3 == 0)
    (output / "valid" / "pool").mkdir(parents=True)
    events.write_parquet(output / "valid" / "events.parquet")
    pairs.write_parquet(output / "valid" / "pool" / "part-0000.parquet")
    sessions = pl.DataFrame({"session": range(events["session"].max() + 1)})
    queries = sessions.with_columns(query=pl.lit(True))
    queries.write_parquet(output / "valid" / "sessions.parquet")
    labels.with_columns((pl.col("objective") % objectives).cast(pl.Int8)).write_parquet(
        output / "valid" / "labels.parquet"
    )
    pl.DataFrame({"item_id": range(N_ITEMS)}).write_parquet(output / "items.parquet")
    (output / "splits.json").write_text(json.dumps(["valid"]))


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
    failed, trouble = counts.count(None), broken()
    print(f"self-test: {trouble or f'{len(unsupported())} unsupported queries were found'}")
    total = sum(n or 0 for n in counts)
    print(f"{total} queries translate; {failed} of {len(counts)} steps failed")
    return 1 if failed or trouble else 0


if __name__ == "__main__":
    sys.exit(main())
