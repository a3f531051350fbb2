"""Logs and flags that cannot be used: one line that names the cure, and no output.

pytest tests/datasets/test_bad_interactions.py
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from interactions import DAY, T0, csv, prepare, some_rows, write
from refusal import assert_refused

ROWS = some_rows()
GOOD = csv(ROWS)
RATED = csv([(*row, 1 + n % 5) for n, row in enumerate(ROWS)], "user,item,time,rating")
TYPED = csv([(*row, "ab"[n % 2]) for n, row in enumerate(ROWS)], "user,item,time,type")
MANY = csv([(*row, f"t{n % 9}") for n, row in enumerate(ROWS)], "user,item,time,type")


def with_line(number: int, line: str) -> str:
    """The good log with another line; the header is line 1."""
    lines = GOOD.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


WRONG: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "no header": (csv(ROWS, ""), ("line 1: no user (or session) and item column in 'u0,i0",
                                  "--columns user=1,item=2,time=3")),
    "no item column": (csv(ROWS, "user,thing,time"), ("in 'user,thing,time'", "--columns")),
    "an empty file": ("", ("log.csv is empty",)),
    "a header alone": ("user,item,time\n", ("no rows but the header",)),
    "ids missing everywhere": (csv([("NA", i, t) for _, i, t in ROWS]), ("no row has all of",)),
    "a time that is none": (with_line(7, "u1,i1,soon"), ("line 7: 'soon' is no time",)),
    "another unit": (with_line(9, f"u1,i1,{T0}000"), ("line 9: ", "in seconds, the unit of")),
    "seconds among ms": (csv([*((u, i, t * 1000) for u, i, t in ROWS), ("u1", "i1", T0)]),
                         ("line 152: ", "in milliseconds")),
    "after 2038": (csv([(u, i, 3 * 10**9) for u, i, t in ROWS]), ("line 2: ", "1970 to 2038")),
    "day and month in doubt": (with_line(2, "u1,i1,04/05/2014").replace(f"{T0}", "4/5/2014"),
                               ("write times as 2014-04-21 12:30:00",)),
    "a time of day alone": (csv([(u, i, "12:30:01") for u, i, _ in ROWS]), ("line 2: '12:30:01'",)),
    "not UTF-8": (GOOD.encode().replace(b"u3,i", b"\xff3,i", 1), ("line ", "not UTF-8")),
    "UTF-16": (GOOD.encode("utf-16"), ("log.csv is UTF-16; save it as UTF-8",)),
    "a line break in quotes": (with_line(5, '"u\n1",i1,' + str(T0)), ("has a line break",)),
    "a time added to a date": (csv([(u, i, "2014-04-20", t) for u, i, t in ROWS],
                                   "user,item,date,time"), ("looks like a time of its own",)),
    "no times": (csv([(u, i) for u, i, _ in ROWS], "user,item"), ("no column of times",)),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_log(tmp_path: Path, capsys, fault: str) -> None:
    text, parts = WRONG[fault]
    write(tmp_path, text)
    assert_refused(prepare(tmp_path), tmp_path, capsys.readouterr().err, *parts)


FLAGS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "a role that is none": (GOOD, ("--columns", "who=user"), ("'who=user' is not role=name",)),
    "a role twice": (GOOD, ("--columns", "user=a,user=b"), ("user appears twice",)),
    "users and sessions": (GOOD, ("--columns", "user=a,session=b"), ("give one of both",)),
    "a column that is not there": (GOOD, ("--columns", "item=thing"),
                                   ("log.csv: no column thing; the columns are user, item",)),
    "a number that is not there": (GOOD, ("--columns", "user=1,item=2,time=9"),
                                   ("there is no column 9",)),
    "names and numbers": (GOOD, ("--columns", "user=1,item=item"), ("give names, or numbers",)),
    "a split that is none": (GOOD, ("--split", "last:0"), ("give time, time:7d, last:1",)),
    "a share above 1": (GOOD, ("--split", "random:2"), ("give time, time:7d",)),
    "a metric that is none": (GOOD, ("--metric", "clicks@9"), ("no metric 'clicks@9'",)),
    "a metric without a length": (GOOD, ("--metric", "map"), ("of the first items, like ndcg@10",)),
    "a metric of whole lists": (GOOD, ("--metric", "auc"), ("150 at most", "like ndcg@10")),
    "weights without types": (GOOD, ("--weights", "buy=1"), ("the log has no column of types",)),
    "relevant ratings without ratings": (GOOD, ("--relevant", "4"), ("no column of ratings",)),
    "grades without ratings": (GOOD, ("--grades", "rating"), ("no column of ratings",)),
    "no rating is high enough": (RATED, ("--relevant", "9", "--split", "last:1"), ("no rating",)),
    "a weight of nothing": (TYPED, ("--weights", "a"), ("'a' is not type=weight",)),
    "a weight of 0": (TYPED, ("--weights", "a=0"), ("weights are above 0",)),
    "a weight that is no number": (TYPED, ("--weights", "a=nan"), ("nan: not a finite number",)),
    "a type that never happens": (TYPED, ("--weights", "a=1,c=2"), ("no event is of type c",)),
    "too many types": (MANY, (), ("9 event types, at most 7", "--weights")),
    "a window before the log": (GOOD, ("--split", "time:90d"), ("on both sides of", "last:1")),
    "more than anyone has": (GOOD, ("--split", "last:5"), ("on both sides of --split last:5",)),
}  # fmt: skip


@pytest.mark.parametrize("fault", FLAGS)
def test_wrong_flags(tmp_path: Path, capsys, fault: str) -> None:
    text, flags, parts = FLAGS[fault]
    write(tmp_path, text)
    assert_refused(prepare(tmp_path, *flags), tmp_path, capsys.readouterr().err, *parts)


def test_a_wrong_rating(tmp_path: Path, capsys) -> None:
    write(tmp_path, RATED.replace(",3\n", ",good\n", 1))
    assert_refused(
        prepare(tmp_path), tmp_path, capsys.readouterr().err, "line 4: 'good'", "rating="
    )
    assert prepare(tmp_path, "--columns", "rating=") == 0, "left out, as the line says"


def test_a_wrong_row_of_a_parquet_file(tmp_path: Path, capsys) -> None:
    (tmp_path / "in").mkdir()
    columns = zip(*ROWS, strict=True)
    frame = pl.DataFrame(dict(zip(("user", "item", "time"), columns, strict=True)))
    frame = frame.cast({"time": pl.String}).with_columns(
        pl.when(pl.int_range(pl.len()) == 8).then(pl.lit("soon")).otherwise("time").alias("time")
    )
    frame.write_parquet(tmp_path / "in" / "log.parquet")
    refusal = prepare(tmp_path), tmp_path, capsys.readouterr().err
    assert_refused(*refusal, "log.parquet, row 9: 'soon' is no time")


def test_files_of_other_columns_are_not_one_log(tmp_path: Path, capsys) -> None:
    write(tmp_path, GOOD, "a.csv")
    write(tmp_path, RATED, "b.csv")
    refusal = prepare(tmp_path), tmp_path, capsys.readouterr().err
    assert_refused(*refusal, "b.csv: its columns are not those of a.csv", "in/a.csv")
    assert prepare(tmp_path, given="in/a.csv") == 0, "as the line says"


def test_files_that_are_no_log_are_named(tmp_path: Path, capsys) -> None:
    write(tmp_path, GOOD, "a.csv")
    write(tmp_path, "code,parent\n1,2\n", "tree.csv")
    assert prepare(tmp_path) == 0
    assert "not read, without user and item: tree.csv" in capsys.readouterr().out


def test_a_missing_folder(tmp_path: Path, capsys) -> None:
    assert_refused(prepare(tmp_path), tmp_path, capsys.readouterr().err, "in not found; name the")
    (tmp_path / "in").mkdir()
    assert_refused(prepare(tmp_path), tmp_path, capsys.readouterr().err, "has no .csv, .tsv")


def test_a_table_of_items_with_an_id_twice(tmp_path: Path, capsys) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, "item_id,colour\ni1,red\ni1,blue\n", "items.csv")
    assert_refused(prepare(tmp_path), tmp_path, capsys.readouterr().err, "item 'i1' has two rows")
    write(tmp_path, "code,colour\ni1,red\n", "items.csv")
    assert_refused(
        prepare(tmp_path), tmp_path, capsys.readouterr().err, "no item column", "item_id"
    )


def test_flags_of_later_steps_are_those_of_step_1(tmp_path: Path, capsys) -> None:
    from src.cli import run_cli
    from src.tools import status

    write(tmp_path, csv([*ROWS, ("u1", "i1", T0 + 40 * DAY)]))
    assert prepare(tmp_path, "--split", "last:1") == 0
    argv = ["--dataset", "interactions", "--input", str(tmp_path / "in"), "--output",
            str(tmp_path / "out")]  # fmt: skip

    def later(*flags: str) -> int:
        parsed = lambda: status.body(status.parse("", Path("status.py"), [*argv, *flags]))  # noqa: E731
        return run_cli("status", parsed)

    assert later() == 0 and later("--split", "last:1") == 0
    capsys.readouterr()
    assert later("--split", "last:2") == 2
    error = capsys.readouterr().err
    assert "--split last:2: step 1 ran with 'last:1'" in error and "1_preparation.py" in error
    assert prepare(tmp_path, "--split", "last:2") == 0 and later("--split", "last:2") == 0
    noted = tmp_path / "out" / "dataset.json"
    noted.write_text(noted.read_text().replace('"unit"', '"units"'))
    capsys.readouterr()
    assert later() == 2 and "is of another version; run 1_prep" in capsys.readouterr().err
    assert prepare(tmp_path, "--split", "last:2") == 0, "step 1 does not read it"


def test_wrong_parquet_files(tmp_path: Path, capsys) -> None:
    write(tmp_path, b"", "log.parquet")
    assert_refused(
        prepare(tmp_path), tmp_path, capsys.readouterr().err, "log.parquet: ", "save it again"
    )
    frame = pl.DataFrame({"user": ["a"], "item": [["b"]], "time": [T0]})
    frame.write_parquet(tmp_path / "in" / "log.parquet")
    refusal = prepare(tmp_path), tmp_path, capsys.readouterr().err
    assert_refused(*refusal, "log.parquet: column item holds List(String); write numbers, texts")


@pytest.mark.parametrize("flags", [("--test", "held-out"), ("--candidates", "held-out")])
def test_asked_users_and_a_hidden_test(tmp_path: Path, capsys, flags: tuple[str, ...]) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, "user\nu1\n", "test_users.csv")
    refusal = prepare(tmp_path, "--split", "last:1", *flags), tmp_path, capsys.readouterr().err
    assert_refused(*refusal, "test_users.csv asks for lists, but `test` is what the flags hide")


def test_asked_users_that_are_none(tmp_path: Path, capsys) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, "user\n", "test_users.csv")
    refusal = prepare(tmp_path, "--split", "last:1"), tmp_path, capsys.readouterr().err
    assert_refused(*refusal, "test_users.csv asks for no user")


def test_no_rating_at_all(tmp_path: Path, capsys) -> None:
    write(tmp_path, csv([(*row, "view", "") for row in ROWS], "user,item,time,type,rating"))
    refusal = prepare(tmp_path, "--grades", "rating"), tmp_path, capsys.readouterr().err
    assert_refused(*refusal, "no rating makes a positive, the highest is 0")
