"""Tasks of Spark write a file whole or not at all, and say in one line what ended them.

pytest tests/spark/test_spark_tasks.py
"""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest
from planted import run_in

from src.core.engines import SparkEngine
from src.core.run import Run


@pytest.fixture
def run(tmp_path: Path, spark: SparkEngine) -> Run:
    return run_in(tmp_path, engine=spark)


def write_name(path: Path) -> str:
    """Write the name that the task was given; another attempt may leave its own."""
    path.write_text(path.name)
    path.with_name(f"{path.name}9").write_text("of an attempt that was given up")
    return path.name


def fail(path: Path, error: type[Exception]) -> None:
    path.write_text("half")
    raise error(f"cannot go on with {path.parent.name}")


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)  # as the system does where memory runs out


def test_each_attempt_has_its_own_file(run: Run) -> None:
    from src.spark.tasks import write_on_executor

    names = [write_on_executor(run, run.output / "table", write_name) for _ in range(2)]
    assert names[0] != names[1] and all(name.startswith("table.") for name in names)
    assert [path.name for path in run.output.glob("table*")] == ["table"]
    assert (run.output / "table").read_text() == names[1]


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (FileNotFoundError, "an executor found no file or folder .*; give folders that all"),
        (ValueError, "^cannot go on with"),
        (MemoryError, "^cannot go on with"),
    ],
)
def test_an_error_of_a_task_leaves_nothing(run: Run, error: type[Exception], cure: str) -> None:
    from src.spark.tasks import write_on_executor

    expected = ValueError if error is FileNotFoundError else error
    with pytest.raises(expected, match=cure):
        write_on_executor(run, run.output / "table", partial(fail, error=error))
    assert not list(run.output.glob("table*"))


def test_a_task_that_the_system_killed(run: Run) -> None:
    from src.spark.tasks import on_executor

    with pytest.raises(ValueError, match=r"^a task of Spark was killed") as error:
        on_executor(run, end)
    assert "\n" not in str(error.value) and "spark.executor.memory" in str(error.value)
