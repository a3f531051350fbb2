"""What the bench of a cluster reads: logs and pages of applications, and files of two runs.

pytest tests/test_bench_spark.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from bench import spark_cluster, spark_log
from bench.spark_machines import HOST, Cluster, busy_executor, free_port


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


def test_the_executor_on_which_a_task_runs() -> None:
    """The page of an application names it; there is none on a port without a page."""
    rows = {
        "/api/v1/applications": [{"id": "app-1"}],
        "/api/v1/applications/app-1/executors": [
            {"id": "driver", "activeTasks": 0}, {"id": "0", "activeTasks": 0},
            {"id": "12", "activeTasks": 1},
        ],
    }  # fmt: skip

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(rows[self.path]).encode())

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with HTTPServer((HOST, 0), Page) as page:
        Thread(target=page.serve_forever).start()
        try:
            assert busy_executor(page.server_port) == "12"
        finally:
            page.shutdown()
    assert busy_executor(free_port()) is None


def test_the_worker_of_an_executor(tmp_path: Path) -> None:
    """Among the processes that a worker has started; 1 is not 12."""
    start = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
    sleep = ["-c", "import time; print(flush=True); time.sleep(60)", "--executor-id"]
    machines = Cluster(tmp_path, "1g")
    for number, executor in ((1, "12"), (2, "3")):
        command = [sys.executable, "-c", start, *sleep, executor, "--cores", "1"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        machines.workers[number] = process
    try:
        for process in machines.workers.values():
            assert process.stdout is not None
            process.stdout.readline()
        assert [machines.worker_of(name) for name in ("12", "3", "1")] == [1, 2, None]
    finally:
        for number, process in list(machines.workers.items()):
            machines.kill(number)
            assert process.stdout is not None
            process.stdout.close()
