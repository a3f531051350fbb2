"""logs/steps.json keeps what each line took when it last built a file.

pytest tests/core/test_steplog.py
"""

from __future__ import annotations

from pathlib import Path

from src.core import steplog
from src.core.steplog import StepLog


def end_line(output: Path, name: str, seconds: float, built: list[bool]) -> StepLog:
    """End one line of a script that has asked for some files."""
    log = StepLog(output, "1_x", built=built)
    log.add(name, {"rows": 3}, seconds, n_built=0)
    return log


def test_a_line_stays_until_it_builds_something(tmp_path: Path) -> None:
    end_line(tmp_path, "read", 9.0, [True])
    end_line(tmp_path, "read", 0.1, [False, False])  # all files were up to date
    assert steplog.read(tmp_path)["1_x"]["read"]["seconds"] == 9.0
    end_line(tmp_path, "read", 0.1, [False, True])
    assert steplog.read(tmp_path)["1_x"]["read"]["seconds"] == 0.1
    end_line(tmp_path, "print", 9.0, [])  # asks for no file: always the latest
    end_line(tmp_path, "print", 0.1, []).close()
    assert steplog.read(tmp_path)["1_x"]["print"]["seconds"] == 0.1
    assert list(steplog.read(tmp_path)["1_x"]) == ["print"], "lines of former scripts are dropped"


def test_only_files_of_the_line_count(tmp_path: Path) -> None:
    log = StepLog(tmp_path, "1_x", built=[True])  # by the line before
    log.add("read", {"rows": 3}, 9.0, n_built=1)
    log.built.append(False)
    log.add("read", {"rows": 3}, 0.1, n_built=1)
    assert steplog.read(tmp_path)["1_x"]["read"]["seconds"] == 9.0
