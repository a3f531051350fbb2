"""Check how step 1 refuses a wrong file: one line with fault and cure, and no output."""

from __future__ import annotations

from pathlib import Path


def assert_refused(code: int, folder: Path, error: str, *parts: str) -> None:
    """Assert exit code 2, one line with a cure and these parts, and no file that a step reads."""
    error = error.strip()
    assert code == 2
    assert error.startswith("1_preparation.py: ") and "\n" not in error, error
    assert "; " in error or "are the two files swapped?" in error, f"no cure: {error}"
    for part in parts:
        assert part in error, error
    written = {path.name for path in (folder / "out").rglob("*") if path.is_file()}
    assert not [name for name in written if name.startswith(".part-")]
    assert not {"splits.json", "items.parquet", "events.parquet", "sessions.parquet"} & written
