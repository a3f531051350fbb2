"""One Spark of two local threads for all tests of this folder."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from needs import lacking

from src.core.engines import SparkEngine

SOCKETS = (
    "ignore:unclosed <socket:ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow the sockets that py4j leaves to the garbage collector."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            for allowed in SOCKETS:
                item.add_marker(pytest.mark.filterwarnings(allowed))


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkEngine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_MASTER", "local[2]")
        patch.setenv("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1")  # starts faster
        patch.setenv("SPARK_CONF", "spark.driver.memory=1g spark.sql.shuffle.partitions=3")
        if fault := SparkEngine.fault():
            lacking(fault)
        yield SparkEngine(2)
    from pyspark.sql import SparkSession

    if (session := SparkSession.getActiveSession()) is not None:
        session.stop()
    with warnings.catch_warnings(action="ignore"):
        gc.collect()  # else the sockets would fail a later test
