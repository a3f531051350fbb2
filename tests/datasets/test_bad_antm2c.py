"""Files that are not of AntM2C's form: refused with one line that names the file and the cure.

pytest tests/datasets/test_bad_antm2c.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from antm2c import planted, prepare, row, small_blocks, write
from refusal import assert_refused

from src.datasets.antm2c.columns import COLUMNS

NO_TITLE = [name for name in COLUMNS if name != "item_title"]
NO_LABEL = [name for name in COLUMNS if name != "label"]
HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",".join(NO_TITLE), "a.csv, line 1: no column item_title; give a file of AntM2C's form"),
        (",".join(NO_LABEL), "a.csv, line 1: no column label; give a file of AntM2C's form"),
        (HEADER + ",scene", "a.csv, line 1: more than one column scene; give a file"),
        ("", "a.csv is empty; download it again"),
        (HEADER, "a.csv holds no rows; download it again"),
        (HEADER + "\n1,2", "a.csv, line 2: 2 fields, the header has 37; 1 of 1 rows are bad"),
    ],
)
def test_no_file_of_that_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    text: str, message: str,
) -> None:  # fmt: skip
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(text)
    code = prepare(monkeypatch, tmp_path)
    assert_refused(code, tmp_path, capsys.readouterr().err, message)


def test_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in" / "test.csv", [row(1)])
    code = prepare(monkeypatch, tmp_path)
    assert_refused(code, tmp_path, capsys.readouterr().err, "no CSV file with clicks in")


def test_a_quote_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that is longer than a block, as all rows behind such a quote are one field."""
    small_blocks(monkeypatch, 1 << 12)
    lines = [",".join([HEADER, *[""] * 0])] + ["1,1,2023/7/10 1:00,0" + "," * 33] * 200
    lines[2] = lines[2].replace("1,", '"1,', 1)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("\n".join(lines))
    code = prepare(monkeypatch, tmp_path)
    error = capsys.readouterr().err
    said = "a.csv, line 3: a row of more than 4,096 bytes; look for a quote that does not end"
    assert_refused(code, tmp_path, error, said)


def test_one_time_cannot_be_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in" / "a.csv", [row(1, user) for user in range(9)])
    assert prepare(monkeypatch, tmp_path) == 2
    assert "no row is left for training or validation; give a log of" in capsys.readouterr().err


def test_a_share_is_from_0_to_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in" / "a.csv", planted(50, 1))
    assert prepare(monkeypatch, tmp_path, "--max-bad", "3") == 2
    assert "--max-bad 3.0: give a share from 0 to 1" in capsys.readouterr().err
