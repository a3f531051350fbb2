"""Start Spark; turn its errors into one line; read and write tables."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Timer

import polars as pl
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from src.core.engines.spark import master, settings
from src.core.run import Run

ROOT = Path(__file__).resolve().parents[2]
LOGGING = Path(__file__).with_name("log4j2.properties")
LOCAL_HEAP = 0.5  # of --memory, for the tasks of a local master; Python and its files have the rest
PARTITIONS_PER_THREAD = 2  # of a shuffle on a local master; a cluster has Spark's own number
ONE_THREAD = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS")  # of a Python task
MAX_RESULT = "1g"
EXECUTOR_S = 30  # after which a missing executor is told
MORE_MEMORY = ("give it more memory: spark.driver.memory=8g in SPARK_CONF (local), "
               "spark.executor.memory (cluster)")  # fmt: skip
SHARED = "give folders that all executors see as --input and --output"
FAULTS = {
    "INVALID_DRIVER_MEMORY": "Java needs 450 MiB at least; raise spark.driver.memory in SPARK_CONF",
    "INVALID_EXECUTOR_MEMORY":
        "executors need 450 MiB at least; raise spark.executor.memory in SPARK_CONF",
    "JAVA_GATEWAY_EXITED":
        "Java did not start, and said why above; mend SPARK_CONF or JAVA_HOME",
    "Master removed our application":
        "the master has ended, or executors failed at once; see its log, then give the same "
        "command: it goes on from here",
    "Python worker exited unexpectedly":
        "a task of Spark was killed, mostly for its memory; its Python lies outside of Java's "
        "heap: run fewer tasks at a time, local[1] or less spark.executor.cores, or lower "
        "spark.executor.memory",
    "No space left": "No space left in spark.local.dir",
    **dict.fromkeys(
        ("OutOfMemoryError", "exceeds spark.driver.maxResultSize", "MemoryError",
         "killed by external signal", "Container killed", "ExecutorLostFailure"),
        f"Spark is out of memory; {MORE_MEMORY}",
    ),
    "SparkContext was shut down": f"Java has ended; {MORE_MEMORY}",
}  # fmt: skip
"""Part of an error of Spark -> what the user reads; the first that is found counts."""
MISSING = re.compile(r"(?:File|Path|Input path) \S+ does not exist|PATH_NOT_FOUND.*")


@cache
def started(heap: int, threads: int) -> SparkSession:
    """Start Spark with a Java heap of so many bytes, and shuffles for threads, if it is local."""
    address = master()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = {
        "spark.executorEnv.PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        **{f"spark.executorEnv.{name}": "1" for name in ONE_THREAD},
        "spark.app.name": "candidate-rerank",
        "spark.driver.defaultJavaOptions": f"-Dlog4j2.configurationFile={LOGGING.as_uri()}",
        "spark.driver.maxResultSize": MAX_RESULT,
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": str(sys.stderr.isatty()).lower(),
    }
    if address.startswith("local"):
        conf["spark.driver.memory"] = f"{max(heap >> 20, 512)}m"
        conf["spark.sql.shuffle.partitions"] = str(PARTITIONS_PER_THREAD * threads)
        conf["spark.driver.bindAddress"] = conf["spark.driver.host"] = "127.0.0.1"
    builder = SparkSession.builder.master(address)
    for key, value in (conf | settings()).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    if not address.startswith("local"):
        waiting = Timer(EXECUTOR_S, _tell_missing_executors, [spark])
        waiting.daemon = True
        waiting.start()
    return spark


def _tell_missing_executors(spark: SparkSession) -> None:
    """Print a line where no executor has started: Spark itself waits, and says nothing."""
    with suppress(Py4JError, OSError):
        known = spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
        if len(known) > 1:  # the first is the driver
            return
        memory = spark.conf.get("spark.executor.memory", "1g")
        print(
            f"{master()} has started no executor after {EXECUTOR_S} s: a worker needs a free core "
            f"and {memory} of memory (spark.executor.memory in SPARK_CONF); still waiting",
            flush=True,
        )


def session(run: Run) -> SparkSession:
    """Return the session of this process; the first call starts Java."""
    with one_line_errors():
        return started(int(run.budget.memory * LOCAL_HEAP), run.engine.threads)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Raise ValueError, with the cure, for what the user can change: memory, paths, masters."""
    try:
        yield
    except (Py4JNetworkError, ConnectionError):
        raise ValueError(f"Java has ended; {MORE_MEMORY}") from None
    except (Py4JError, PySparkException) as error:
        text = str(error)
        for mark, cure in FAULTS.items():
            if mark in text:
                raise ValueError(cure) from None
        if missing := MISSING.search(text):
            raise ValueError(f"Spark: {missing[0]}; {SHARED}") from None
        raise


def with_row_number(spark: SparkSession, path: Path, name: str) -> DataFrame:
    """Read a parquet file with the number of each row in a column."""
    table = spark.read.parquet(path.absolute().as_uri())
    return table.withColumn(name, table["_metadata.row_index"])


def written(table: DataFrame, path: Path, by: str) -> Iterator[pl.DataFrame]:
    """Write a table in pieces beside `path`, and yield the piece of each value of a column.

    Values ascend from 0; a value without rows has no piece. Rows have no order. The pieces are
    removed in the end.
    """
    folder = path.with_name(f"{path.name}.spark")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with one_line_errors():
            pieces = table.repartition(by).write.partitionBy(by)
            pieces.parquet(folder.absolute().as_uri())
        numbers = sorted(int(piece.name.partition("=")[2]) for piece in folder.glob(f"{by}=*"))
        for number in numbers:
            yield pl.read_parquet(folder / f"{by}={number}" / "*.parquet", hive_partitioning=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
