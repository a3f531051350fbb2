"""The ends of blocks are those of the blocks.

pytest tests/core/test_text_blocks.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.core import text_blocks


@settings(max_examples=200, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.lists(st.integers(0, 30), max_size=30), st.booleans(), st.integers(1, 60))
def test_block_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lengths: list[int], ended: bool, size: int
) -> None:
    monkeypatch.setattr(text_blocks, "READ", 8)
    monkeypatch.setattr(text_blocks, "MAX_BLOCKS_PER_LINE", 1000)
    path = tmp_path / "lines.txt"
    path.write_text("\n".join("x" * n for n in lengths) + "\n" * ended)
    ends = [0]
    for _, block in text_blocks.blocks(path, size):
        ends.append(ends[-1] + len(block))
    assert text_blocks.block_ends(path, size) == ends[1:]
