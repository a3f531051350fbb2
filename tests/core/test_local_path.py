"""Flags take paths and file:// URIs; other URIs are refused with the cure.

pytest tests/core/test_local_path.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import script

from src import cli
from src.core.local_path import local_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("input/otto", "input/otto"),
        ("file:///shared/otto", "/shared/otto"),
        ("FILE://localhost/shared/two%20words", "/shared/two words"),
        ("s3a:/bucket", "s3a:/bucket"),
    ],
)
def test_a_path_of_this_machine(text: str, path: str) -> None:
    assert local_path(text) == Path(path)


def test_another_file_system_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step, out = script("1_preparation"), tmp_path / "out"
    for flag in ("--input", "--output"):
        argv = ["--input", str(tmp_path), "--output", str(out), flag, "hdfs://namenode:9000/otto"]
        assert cli.main(step.__doc__, step.__file__, step.body, argv) == 2
        (said,) = capsys.readouterr().err.splitlines()
        assert (
            "hdfs://namenode:9000/otto: hdfs is not a file system" in said and "; mount it" in said
        )
        assert not out.exists()
