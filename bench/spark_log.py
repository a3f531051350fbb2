"""Sum what the event logs of Spark applications say: tasks, tasks lost, shuffled bytes.

    python -m bench.spark_log FOLDER [FOLDER ...]

Each file of a folder is the log of an application that ran with spark.eventLog.enabled=true,
spark.eventLog.compress=false and spark.eventLog.rolling.enabled=false. Prints a line of JSON per
folder.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

SETTINGS = {
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
}
TASK, EXECUTOR, LOST = "SparkListenerTaskEnd", "SparkListenerExecutorAdded", "ExecutorRemoved"


def settings(folder: Path) -> dict[str, str]:
    """Return the settings of Spark for logs in a folder, which must exist."""
    return {**SETTINGS, "spark.eventLog.dir": folder.absolute().as_uri()}


def summed(folder: Path) -> dict[str, int]:
    """Sum all logs of a folder.

    executors, and those that were lost; tasks that succeeded; tasks that were lost with their
    executor; tasks that lost what an executor had written for others ("refetched"); bytes that
    tasks wrote for each other, those of tasks that ran again included.
    """
    found = Counter[str]()
    for file in sorted(folder.iterdir()):
        for line in file.read_text().splitlines():
            event = json.loads(line)
            kind = event["Event"].rpartition(".")[2]
            found["executors"] += kind == EXECUTOR
            found["executors_lost"] += kind.endswith(LOST)
            if kind == TASK:
                reason = event["Task End Reason"]["Reason"]
                found["tasks"] += reason == "Success"
                found["tasks_lost"] += reason == "ExecutorLostFailure"
                found["tasks_refetched"] += reason in ("FetchFailed", "Resubmitted")
                written = event.get("Task Metrics", {}).get("Shuffle Write Metrics", {})
                found["shuffled"] += written.get("Shuffle Bytes Written", 0)
    return dict(found)


def main(argv: list[str]) -> int:
    """Print the sums of each folder."""
    for folder in map(Path, argv):
        print(json.dumps({"folder": folder.name, **summed(folder)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
