"""The length of the window that is held out, and where it ends.

pytest tests/datasets/test_interactions_window.py
"""

from __future__ import annotations

from pathlib import Path

import interactions as log
import pytest
from interactions import DAY, HOUR, T0, Row, csv, of_users, prepare, write


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


def test_a_log_of_days_loses_no_day(tmp_path: Path) -> None:
    """The window has seven days, and the history ends with the day before."""
    rows = [(f"s{s}", f"i{s % 7 + n}", T0 // DAY * DAY + s // 5 * DAY)
            for s in range(200) for n in range(3)]  # fmt: skip
    write(tmp_path, csv(rows))
    assert prepare(tmp_path, "--split", "time:7d") == 0
    out, world = tmp_path / "out", of_users(rows)
    last = max(ts for _, _, ts in rows)
    begun = {s for s, events in world.items() if events[0][1] > last - 7 * DAY}
    assert len(begun) == 35
    for split in ("valid", "test"):
        assert set(log.queries(out, split)) == begun
        assert set(log.events(out, split)) == set(world)


def test_sessions_that_are_asked_for_are_no_queries_of_valid(tmp_path: Path) -> None:
    """They were cut before, and begin after all others: the last window ends before them."""
    rows = [(f"s{s}", f"i{s % 7 + n}", T0 + s * HOUR * 6 + n * 60)
            for s in range(160) for n in range(3)]  # fmt: skip
    asked = [f"s{s}" for s in range(130, 160)]
    write(tmp_path, "session_id\n" + "\n".join(asked), "test_users.csv")
    flags = ("--split", "time:7d", "--columns", "session=user,item=item,time=time")
    write(tmp_path, csv(rows))
    assert prepare(tmp_path, *flags) == 0
    out, alone = tmp_path / "out", tmp_path / "alone"
    assert set(log.queries(out, "test")) == set(asked)
    queries = set(log.queries(out, "valid"))
    assert queries == {f"s{s}" for s in range(102, 130)} and queries.isdisjoint(asked)
    alone.mkdir()
    write(alone, csv(rows[: 130 * 3]))
    assert prepare(alone, *flags) == 0
    assert log.events(out, "valid") == log.events(alone / "out", "valid")
