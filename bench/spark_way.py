"""Count one matrix on Spark: the process that `bench.spark` measures.

    python -m bench.spark_way --row near6 --folder output/bench-0.01/spark [--keep near.parquet]

The folder holds events.parquet and tiny.parquet (bench/frames.py), on which Spark runs first. The
last printed line is JSON, as that of bench.ways; its facts are the bytes that stages wrote for each
other, the largest resident size of Java, and its CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl
from pyspark.sql import SparkSession

from bench.ways import recipe_rows, span_of
from src.matrices.covisitation import CovisitationMatrix
from src.spark.matrices import covisitation
from src.spark.session import started

HEAP = 2 << 30  # bytes; spark.driver.memory in SPARK_CONF changes it


def count(spark: SparkSession, path: Path, row: CovisitationMatrix) -> pl.DataFrame:
    """Count a matrix as step 2 does, into memory."""
    span = span_of(pl.scan_parquet(path))
    return pl.concat(covisitation.counted(spark, path, row, span, path.with_name("matrix")))


def shuffled(spark: SparkSession) -> int:
    """Sum the bytes that all stages so far have written for others."""
    gateway: Any = spark.sparkContext._gateway
    none, no_quantiles = gateway.jvm.java.util.ArrayList(), gateway.new_array(gateway.jvm.double, 0)
    store = spark.sparkContext._jsc.sc().statusStore()
    stages = store.stageList(none, False, False, no_quantiles, none)
    return sum(stages.apply(n).shuffleWriteBytes() for n in range(stages.size()))


def java(spark: SparkSession) -> dict[str, float]:
    """Return the largest resident size of Java, in GiB, and its CPU seconds since the start."""
    gateway: Any = spark.sparkContext._gateway
    process = gateway.jvm.ProcessHandle.current()
    status = Path(f"/proc/{process.pid()}/status").read_text()
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    cpu_ms = process.info().totalCpuDuration().get().toMillis()
    return {"java_gib": int(kib) / 2**20, "java_cpu_seconds": cpu_ms / 1000}


def main(argv: list[str]) -> int:
    """Measure one row; print JSON."""
    parser = argparse.ArgumentParser(prog="bench.spark_way", description=__doc__)
    parser.add_argument("--row", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--keep", type=Path, help="file for the matrix, written after the timing")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    spark, row = started(HEAP, args.threads), recipe_rows()[args.row]
    count(spark, args.folder / "tiny.parquet", row)
    before, start = shuffled(spark), perf_counter()
    matrix = count(spark, args.folder / "events.parquet", row)
    seconds = perf_counter() - start
    facts = {"shuffled": shuffled(spark) - before, **java(spark)}
    if args.keep:
        matrix.write_parquet(args.keep)
    print(json.dumps({"found": matrix.height, "job_seconds": seconds, "facts": facts}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
