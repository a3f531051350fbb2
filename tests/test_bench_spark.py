"""What the bench of a cluster reads: logs of applications, and files of two runs.

pytest tests/test_bench_spark.py
"""

from __future__ import annotations

import json
from pathlib import Path

from bench import spark_cluster, spark_log


def task(reason: str, written: int) -> dict[str, object]:
    metrics = {"Shuffle Write Metrics": {"Shuffle Bytes Written": written}}
    return {"Event": "SparkListenerTaskEnd", "Task End Reason": {"Reason": reason},
            "Task Metrics": metrics}  # fmt: skip


def test_sums_of_the_logs_of_applications(tmp_path: Path) -> None:
    events = [
        {"Event": "SparkListenerExecutorAdded"},
        {"Event": "SparkListenerExecutorAdded"},
        task("Success", 10),
        task("ExecutorLostFailure", 5),
        {"Event": "SparkListenerExecutorRemoved"},
        task("FetchFailed", 0),
        task("Resubmitted", 0),
        {"Event": "SparkListenerTaskEnd", "Task End Reason": {"Reason": "Success"}},
        {"Event": "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionEnd"},
    ]
    for name in ("app-1", "app-2"):
        (tmp_path / name).write_text("\n".join(map(json.dumps, events)) + "\n")
    assert spark_log.summed(tmp_path) == {
        "executors": 4, "executors_lost": 2, "tasks": 4, "tasks_lost": 2, "tasks_refetched": 4,
        "shuffled": 30,
    }  # fmt: skip


def test_compared_files(tmp_path: Path) -> None:
    for name in ("valid/a.parquet", "valid/a.parquet.json", "valid/.part-b.parquet", "lists.csv",
                 "logs/c.parquet", "experiments.csv"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert [path.as_posix() for path in spark_cluster.results(tmp_path)] == [
        "lists.csv", "valid/a.parquet",
    ]  # fmt: skip
    one, other = tmp_path / "lists.csv", tmp_path / "experiments.csv"
    assert spark_cluster.same(one, one) and not spark_cluster.same(one, other)
    assert not spark_cluster.same(tmp_path / "missing.csv", one)
