"""The length of the window that is held out, and where it ends.

pytest tests/datasets/test_interactions_window.py
"""

from __future__ import annotations

from pathlib import Path

import interactions as log
import pytest
from interactions import DAY, T0, Row, csv, prepare, write


def made(folder: Path, rows: list[Row]) -> Path:
    write(folder, csv(rows))
    assert prepare(folder) == 0
    return folder / "out"


def sessions_of(days: float, sessions: int) -> list[Row]:
    """Sessions of three events, evenly over so many days."""
    begin = [T0 + n * int(days * DAY) // sessions for n in range(sessions)]
    return [(f"s{n}", f"i{(n + k) % 9}", ts + 60 * k)
            for n, ts in enumerate(begin) for k in range(3)]  # fmt: skip


@pytest.mark.parametrize("stray", [2, 3])
def test_a_window_ends_where_the_log_does(tmp_path: Path, capsys, stray: int) -> None:
    """Of 2,000 sessions two may go on for weeks alone: one in a thousand, not more."""
    rows = sessions_of(17, 2000)
    rows += [(f"s{n}", "i1", T0 + 40 * DAY + n) for n in range(stray)]
    out = made(tmp_path, rows)
    if stray == 3:
        assert log.found(out)["days"] == 7, "a quarter of 40 days at most"
        return
    assert log.found(out)["days"] == 4 and " 2 sessions go on alone" in capsys.readouterr().out
    assert set(log.queries(out, "valid")) == {f"s{n}" for n in range(1529, 2000)}


def test_a_short_log_of_many_has_a_window_of_days(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("src.datasets.interactions.choose.MANY", 200)
    assert log.found(made(tmp_path, sessions_of(17, 2000)))["days"] == 2
    monkeypatch.setattr("src.datasets.interactions.choose.MANY", 2000)
    assert "go on alone" not in capsys.readouterr().out
    assert prepare(tmp_path) == 0
    assert log.found(tmp_path / "out")["days"] == 4, "as long as can be, where none has enough"
