"""The Spark engine says in a line what is missing.

pytest tests/spark/test_spark_engine.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from src.core.engines import SparkEngine


def test_a_machine_without_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert (SparkEngine.fault() or "").startswith(f"{tmp_path}/bin/java is not found; install Java")


def test_an_old_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert "is older than 17" in (SparkEngine.fault() or "")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SPARK_MASTER", "spark://127.0.0.1:9", "no master answers at spark://127.0.0.1:9"),
        ("SPARK_MASTER", "here", "give local[2], spark://host:7077"),
        ("SPARK_CONF", "driver.memory=1g", "SPARK_CONF has 'driver.memory'"),
        ("SPARK_CONF", "spark.driver.memory", "give settings like"),
    ],
)
@pytest.mark.usefixtures("spark")
def test_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert said in (SparkEngine.fault() or "")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("[INVALID_DRIVER_MEMORY] System memory 1 must be at least 471859200.", "450 MiB at least"),
        ("[JAVA_GATEWAY_EXITED] Java gateway process exited", "mend SPARK_CONF or JAVA_HOME"),
        ("Job aborted: Master removed our application: FAILED\n at java", "goes on from here"),
        ("Job aborted: ExecutorLostFailure (executor 3 exited)\n at java", "spark.executor.memory"),
        ("Job 0 cancelled because SparkContext was shut down", "^Java has ended; give it more"),
        ("[PATH_NOT_FOUND] Path does not exist: file:/a.", "executors see as --input and --output"),
    ],
)
@pytest.mark.usefixtures("spark")
def test_an_error_of_spark_is_a_line_with_the_cure(error: str, said: str) -> None:
    from pyspark.errors import PySparkException

    from src.spark.session import one_line_errors

    with pytest.raises(ValueError, match=said) as found, one_line_errors():
        raise PySparkException(error)
    assert "\n" not in str(found.value)


@pytest.mark.usefixtures("spark")
def test_java_that_has_ended_is_told_and_a_bug_is_not_hidden() -> None:
    from pyspark.errors import PySparkException

    from src.spark.session import one_line_errors

    with pytest.raises(ValueError, match="Java has ended"), one_line_errors():
        raise ConnectionRefusedError(111, "Connection refused")
    with pytest.raises(PySparkException, match="a bug"), one_line_errors():
        raise PySparkException("a bug")
