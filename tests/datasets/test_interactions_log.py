"""Logs in the forms that people have: each is read as it is meant.

pytest tests/datasets/test_interactions_log.py
"""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import interactions as log
import polars as pl
import pytest
from interactions import DAY, T0, csv, of_users, prepare, some_rows, write

from src.datasets.interactions.rows import as_text

ROWS = some_rows()
WHOLE = of_users(ROWS)


def iso(ts: int) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def timed(form) -> list[tuple]:
    return [(user, item, form(ts)) for user, item, ts in ROWS]


FORMS = {
    "seconds": csv(ROWS),
    "milliseconds, another order of columns": csv(
        [(ts * 1000, item, user) for user, item, ts in ROWS], "timestampMs,itemId,userId"
    ),
    "microseconds, tabs": csv(timed(lambda ts: ts * 10**6), "user\titem\tts", "\t"),
    "nanoseconds": csv(timed(lambda ts: ts * 10**9)),
    "decimals": csv(timed(lambda ts: f"{ts}.0")),
    "ISO 8601": csv(timed(iso)),
    "ISO 8601 with an offset": csv(timed(lambda ts: iso(ts + 7200).replace(".000Z", "+02:00"))),
    "no T, semicolons": csv(
        timed(lambda ts: iso(ts)[:19].replace("T", " ")), "visitorid;itemid;date", ";"
    ),
    "RecBole": csv(ROWS, "user_id:token\titem_id:token\ttimestamp:float", "\t"),
    "colons": csv(ROWS, "user::movie::time", "::"),
    "CRLF and a mark of the byte order": "\ufeff" + csv(ROWS).replace("\n", "\r\n"),
    "quotes": csv([(f'"{u}"', f'"{i}"', ts) for u, i, ts in ROWS]),
    "more columns": csv([(9, u, "x y", i, ts, "") for u, i, ts in ROWS], "n,user,text,item,ts,z"),
}
FORMS["milliseconds, another order of columns"] = FORMS[
    "milliseconds, another order of columns"
].replace("timestampMs", "timestamp")


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_read_as_it_is_meant(tmp_path: Path, form: str) -> None:
    write(tmp_path, FORMS[form], "log.inter" if form == "RecBole" else "log.csv")
    assert prepare(tmp_path) == 0
    assert log.events(tmp_path / "out", "test") == WHOLE


def test_packed_and_parquet_and_several_files_are_one_log(tmp_path: Path) -> None:
    write(tmp_path, gzip.compress(csv(ROWS[:50]).encode()), "a.csv.gz")
    write(tmp_path, csv(ROWS[50:90], "item\tuser\tts", "\t").replace("item\tuser", "user\titem"),
          "b.tsv")  # fmt: skip
    columns = zip(*ROWS[90:], strict=True)
    frame = pl.DataFrame(dict(zip(("user", "item", "time"), columns, strict=True)))
    frame.with_columns(pl.from_epoch("time")).write_parquet(tmp_path / "in" / "c.parquet")
    write(tmp_path, "kept apart", "notes.txt")
    assert prepare(tmp_path) == 0
    assert log.events(tmp_path / "out", "test") == WHOLE


def test_headerless_columns_are_named_by_number(tmp_path: Path) -> None:
    write(tmp_path, csv([(u, iso(ts), i, 0) for u, i, ts in ROWS], ""), "clicks.dat")
    write(tmp_path, csv([(i, "a title") for _, i, _ in ROWS], ""), "movies.dat")  # no log
    assert prepare(tmp_path, "--columns", "user=1,time=2,item=3") == 0
    assert log.events(tmp_path / "out", "test") == WHOLE
    assert log.found(tmp_path / "out")["columns"] == {"user": "1", "item": "3", "time": "2"}


def test_columns_are_named_by_a_flag(tmp_path: Path) -> None:
    write(tmp_path, csv([(u, i, ts, ts - 9) for u, i, ts in ROWS], "who,what,time,when"))
    assert prepare(tmp_path, "--columns", "user=who,item=what,time=when") == 0
    assert log.events(tmp_path / "out", "test") == of_users([(u, i, t - 9) for u, i, t in ROWS])


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_day_and_what_is_added_to_it_are_one_time(tmp_path: Path, unit: int) -> None:
    """The rows are shuffled: a sort by day alone would scramble the sessions."""
    rows = [(u, "NA", i, (ts - ts // DAY * DAY) * unit, iso(ts)[:10]) for u, i, ts in ROWS]
    shuffled = sorted(rows, key=lambda row: hash(row[:3]) % 97)
    write(tmp_path, csv(shuffled, "sessionId;userId;itemId;timeframe;eventdate", ";"))
    assert prepare(tmp_path, "--split", "last:1") == 0, "found by their names"
    assert log.events(tmp_path / "out", "test") == WHOLE
    flag = "session=sessionId,item=itemId,time=eventdate+timeframe"
    assert prepare(tmp_path, "--split", "last:1", "--columns", flag) == 0
    assert log.events(tmp_path / "out", "test") == WHOLE


def test_a_date_and_a_time_of_day_are_one_time(tmp_path: Path) -> None:
    rows = [(u, i, iso(ts)[:10], iso(ts)[11:19]) for u, i, ts in ROWS]
    write(tmp_path, csv(rows, "user,item,date,time"))
    assert prepare(tmp_path) == 0
    assert log.events(tmp_path / "out", "test") == WHOLE


def test_dates_of_eight_digits(tmp_path: Path) -> None:
    write(tmp_path, csv(timed(lambda ts: iso(ts)[:10].replace("-", ""))))
    assert prepare(tmp_path, "--split", "last:1") == 0
    days = of_users([(u, i, ts // DAY * DAY) for u, i, ts in ROWS])
    assert log.events(tmp_path / "out", "test") == days


def test_equal_times_keep_the_order_of_the_file(tmp_path: Path) -> None:
    """Times cut to five minutes, ids that sort otherwise, rows that repeat."""
    rows = [("u", item, T0 + n // 4 * 300) for n, item in enumerate("zaybzczaab")] + ROWS
    rounded = [(u, i, ts // 300 * 300) for u, i, ts in rows]
    write(tmp_path, csv(rounded))
    assert prepare(tmp_path, "--split", "last:1") == 0
    made = log.events(tmp_path / "out", "test")
    assert made == of_users(rounded) and [item for item, _ in made["u"]] == list("zaybzczaab")


def test_rows_doubled_to_the_letter_count_once(tmp_path: Path, capsys) -> None:
    doubled = [row for n, row in enumerate(ROWS) for _ in range(1 + (n % 3 == 0))]
    write(tmp_path, csv(doubled))
    assert prepare(tmp_path) == 0
    assert log.events(tmp_path / "out", "test") == WHOLE
    assert f"doubled (counted once) {len(doubled) - len(ROWS)}" in capsys.readouterr().out


def test_rows_doubled_in_whole_minutes_are_all_kept(tmp_path: Path, capsys) -> None:
    """Two clicks within a minute look the same: nothing says that one was written twice."""
    rows = [(u, i, ts // 60 * 60) for u, i, ts in ROWS]
    write(tmp_path, csv([*rows, rows[0], rows[0]]))
    assert prepare(tmp_path) == 0
    assert log.events(tmp_path / "out", "test")["u0"][:3] == [(rows[0][1], rows[0][2])] * 3
    assert "doubled (kept: times are whole minutes) 2" in capsys.readouterr().out


def test_another_type_or_time_is_another_event(tmp_path: Path) -> None:
    rows = [(*row, kind) for row in ROWS for kind in ("view", "buy")]
    write(tmp_path, csv([*rows, rows[1]], "user,item,time,event"))
    assert prepare(tmp_path) == 0
    assert log.found(tmp_path / "out")["types"] == ["buy", "view"]
    assert len(log.events(tmp_path / "out", "test")["u0"]) == 10


@pytest.mark.parametrize("missing", ["", "NA", "null", "NaN"])
def test_rows_without_an_id_are_left_out_and_counted(tmp_path: Path, capsys, missing) -> None:
    broken = [(missing, "i1", T0), ("u1", missing, T0), ("u1", "i1", missing)]
    write(tmp_path, csv([*broken, *ROWS]) + "\n")
    assert prepare(tmp_path) == 0
    assert log.events(tmp_path / "out", "test") == WHOLE
    out = capsys.readouterr().out
    assert "left out, without an id or a value 4" in out, "the blank line too"


def test_ids_are_texts_or_numbers_but_never_changed(tmp_path: Path) -> None:
    """007 is not 7, and a slash, an accent, a comma and a quote stay."""
    names = {"i0": "007", "i1": "SKU/1é", "i2": "a,b", "i3": 'say "x"', "i4": " 7", "i5": "-1"}
    rows = [(u.replace("u", "0"), names.get(i, i), ts) for u, i, ts in ROWS]
    write(tmp_path, pl.DataFrame(rows, ["user", "item", "time"], orient="row").write_csv())
    assert prepare(tmp_path) == 0
    assert log.events(tmp_path / "out", "test") == of_users(rows)
    numbers = [(int(u[1:]), int(i[1:]), ts) for u, i, ts in ROWS]
    write(tmp_path, csv(numbers))
    assert prepare(tmp_path) == 0
    sessions = pl.read_parquet(tmp_path / "out" / "test" / "sessions.parquet")
    assert sessions.schema == {"session": pl.Int64, "query": pl.Boolean}
    assert sessions["session"].to_list() == list(range(30)), "sorted as numbers"
    assert log.ids(tmp_path / "out", "test")[1] == sorted({i for _, i, _ in numbers})


def test_blocks_and_parts_change_nothing(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path, csv([*ROWS, *ROWS[:40]]))
    assert prepare(tmp_path) == 0
    whole = {p.name: p.read_bytes() for p in (tmp_path / "out" / "test").glob("*.parquet")}
    monkeypatch.setattr("src.core.text_blocks.READ", 64)
    monkeypatch.setattr("src.datasets.interactions.rows.BLOCK", 200)
    monkeypatch.setattr("src.datasets.interactions.log_writer.PART", 20)
    (tmp_path / "out" / "raw" / "log.parquet").unlink()
    assert prepare(tmp_path) == 0
    assert len(list((tmp_path / "out" / "raw").glob("log-*.parquet"))) > 3
    for name, content in whole.items():
        table = pl.read_parquet(tmp_path / "out" / "test" / name)
        assert table.equals(pl.read_parquet(content)), name


def test_floats_of_a_parquet_file(tmp_path: Path) -> None:
    """Ratings have fractions, times are whole numbers stored as floats."""
    (tmp_path / "in").mkdir()
    columns = dict(zip(("user", "item", "time"), zip(*ROWS, strict=True), strict=True))
    frame = pl.DataFrame(columns).cast({"time": pl.Float64}).with_columns(rating=pl.lit(2.5))
    frame.write_parquet(tmp_path / "in" / "log.parquet")
    assert prepare(tmp_path, "--split", "last:1") == 0
    assert log.events(tmp_path / "out", "test") == WHOLE
    events = pl.read_parquet(tmp_path / "out" / "test" / "events.parquet")
    assert events["rating"].unique().to_list() == [2.5]
    values = pl.Series([1.5, 2.0, None, float("nan"), 1e19])
    assert as_text(values).to_list() == ["1.5", "2", None, "NaN", "1e+19"]


def test_an_id_is_the_item_where_a_name_stands_beside(tmp_path: Path) -> None:
    rows = [(u, "a name", i, ts) for u, i, ts in ROWS]
    write(tmp_path, csv(rows, "user_id,movie,movie_id,time"))
    assert prepare(tmp_path, "--split", "last:1") == 0
    assert log.events(tmp_path / "out", "test") == WHOLE


def test_cells_behind_those_that_are_read_may_be_too_many(tmp_path: Path, capsys) -> None:
    rows = [(u, i, ts, "one, two" if n % 3 else "one") for n, (u, i, ts) in enumerate(ROWS)]
    write(tmp_path, csv(rows, "user,item,time,title"))
    assert prepare(tmp_path, "--split", "last:1") == 0
    assert log.events(tmp_path / "out", "test") == WHOLE
    write(tmp_path, csv([(*row, "view") for row in rows], "user,item,time,title,type"))
    assert prepare(tmp_path, "--split", "last:1") == 2
    said = capsys.readouterr().err
    assert "line 3: more than the 5 cells of the first line; quote the text" in said


def test_step_1_tells_the_time_of_the_log(tmp_path: Path, capsys) -> None:
    write(tmp_path, csv(ROWS))
    assert prepare(tmp_path) == 0
    assert "events from 2014-04-20 13:20 to 2014-04-24 13:20 UTC" in capsys.readouterr().out
