"""Apache Spark: the counting steps as jobs of a cluster, or of local threads; else the CPU.

SPARK_MASTER is the address of the cluster (local[*]), and SPARK_CONF has settings, such as
"spark.driver.memory=4g spark.executor.memory=8g". Neither changes a result, so no manifest has
them. docs/cluster.md has the details.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from src.core.engines.cpu import CpuEngine

OLDEST_JAVA = 17
ANSWER_S = 5  # seconds in which a master answers


@dataclass(frozen=True)
class SparkEngine(CpuEngine):
    """Modules of src/spark do the work of the modules whose paths they mirror."""

    name = "spark"

    @classmethod
    def fault(cls) -> str | None:
        """Return the reason why Spark cannot start; None with Java, pyspark and a master."""
        return _java_fault() or _package_fault() or _setting_fault() or _master_fault()

    def twin(self, module: str) -> ModuleType | None:
        """Import src.spark.<...> for src.<...>, if there is such a file."""
        name = module.replace("src.", "src.spark.", 1)
        try:
            found = importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:  # no such folder
            found = False
        return importlib.import_module(name) if found else _runs_here(module)


@cache
def _runs_here(module: str) -> None:
    print(f"{module} has no form for Spark: its rows are made on this machine", flush=True)


def master() -> str:
    """Return the address of the cluster."""
    return os.environ.get("SPARK_MASTER") or "local[*]"


def settings() -> dict[str, str]:
    """Parse SPARK_CONF: key=value, separated by spaces."""
    words = os.environ.get("SPARK_CONF", "").split()
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def _java_fault() -> str | None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    cure = f"install Java {OLDEST_JAVA} (apt-get install openjdk-17-jre-headless) or set JAVA_HOME"
    if shutil.which(java) is None:
        return f"{java} is not found; {cure}"
    said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < OLDEST_JAVA:
        return f"{java} is older than {OLDEST_JAVA} ({said.partition(chr(10))[0]}); {cure}"
    return None


def _package_fault() -> str | None:
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed (pip install -r requirements-spark.txt)"
    return None


def _setting_fault() -> str | None:
    for key, value in settings().items():
        if not key.startswith("spark.") or not value:
            return f"SPARK_CONF has {key!r}; give settings like spark.driver.memory=4g"
    return None


def _master_fault() -> str | None:
    address = master()
    if address.startswith(("local", "yarn", "k8s://")):
        return None
    found = re.fullmatch(r"spark://([^:,]+):(\d+)", address)
    if found is None:
        return f"SPARK_MASTER={address}: give local[2], spark://host:7077, yarn or k8s://..."
    try:
        socket.create_connection((found[1], int(found[2])), ANSWER_S).close()
    except OSError as error:
        return f"no master answers at {address} ({error}); start it, or set SPARK_MASTER=local[2]"
    return None
