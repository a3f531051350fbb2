"""LETOR text: the kernel against a plain reader; a fault is one line with file, line and cure.

pytest tests/datasets/test_letor_text.py
"""

from __future__ import annotations

import math
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.datasets.letor import text as reader
from src.datasets.letor.text import HEAD, MAX_INDEX, parse

PATH = Path("train.txt")
Row = tuple[int, str | None, str | None, float, dict[int, float]]


def rows(block: bytes | str, first: int = 1) -> list[Row]:
    """Line, qid, doc, grade and the values of every index; those of 0 are left out."""
    data = block.encode() if isinstance(block, str) else block
    found = []
    for table in parse(data, first, PATH):
        assert list(table.schema.items())[:4] == list(HEAD.items())
        for row in table.iter_rows(named=True):
            values = {int(name[1:]): row[name] for name in table.columns[4:] if row[name] != 0}
            found.append((row["line"], row["qid"], row["doc"], row["grade"], values))
    return found


def plain(block: str) -> list[Row]:
    """The same, by Python's own means."""
    found: list[Row] = []
    for line, whole in zip(count(1), block.split("\n"), strict=False):
        left, _, comment = whole.partition("#")
        fields = left.split()
        if not fields:
            continue
        qid = fields[1][4:] if fields[1:] and fields[1].startswith("qid:") else None
        values = {}
        for token in fields[1:] if qid is None else fields[2:]:
            index, value = token.split(":")
            number = np.float32(math.nan if value.lower() in ("null", "nan") else value)
            if number != 0:
                values[int(index)] = float(number)
        words = comment.replace("=", " = ").split()
        doc = words[words.index("docid") + 2] if "docid" in words else None
        ordered = dict(sorted(values.items()))
        found.append((line, qid, doc, float(np.float32(fields[0])), ordered))
    return found


def same(a: list[Row], b: list[Row]) -> bool:
    return repr(sorted(a)) == repr(sorted(b))  # nan is not equal to nan


def random_text(seed: int) -> str:
    """Lines with all that is allowed: blanks, blank lines, comments, signs, exponents, no qid."""
    rng = np.random.default_rng(seed)
    numbers = ["0", "1", "-1.5", "+2", ".5", "3.", "1e3", "2E-7", "-0.0", "NULL", "nan", "NaN",
               "0.1234567890123456789", "12345678901234567890", "1e-60", "000.25",
               "0.00000000000000000000012345"]  # fmt: skip
    lines = []
    for _ in range(60):
        blank = " " * int(rng.integers(1, 3)) if rng.random() < 0.7 else "\t"
        kind = rng.random()
        if kind < 0.1:
            lines.append(str(rng.choice(["", "  ", "# a comment", "\t#docid = no"])))
            continue
        fields = [str(rng.choice(["0", "1", "2", "+1", "0.5", "31"]))]
        if rng.random() < 0.8:
            fields.append(f"qid:{rng.choice(['7', '10', 'TD-3', 'größe'])}")
        for index in rng.permutation(300)[: rng.integers(0, 9)]:
            fields.append(f"{index}:{rng.choice(numbers)}")
        comment = rng.choice(["", "#", " #docid = GX-1 inc = 1", "# docid=7 prob", "#docid =  é"])
        lines.append(blank.join(fields) + str(comment) + ("\r" if rng.random() < 0.2 else ""))
    return "\n".join(lines) + ("\n" if seed % 2 else "")


@pytest.mark.parametrize("seed", range(20))
def test_the_kernel_reads_as_a_plain_reader_does(seed: int) -> None:
    text = random_text(seed)
    assert same(rows(text), plain(text))


def test_numbers_are_rounded_as_numpy_does() -> None:
    rng = np.random.default_rng(2)
    texts = [f"{x:.{d}g}" for x in np.exp(rng.normal(0, 20, 300)) for d in (3, 7, 9, 17)]
    texts += ["1.17549435e-38", "1e-45", "7e-46", "3.4028234e38"]
    table = pl.concat(parse("".join(f"0 1:{t}\n" for t in texts).encode(), 1, PATH))
    assert table["f1"].to_list() == [float(np.float32(t)) for t in texts]


def test_a_number_beyond_float32_is_its_largest() -> None:
    found = rows("0 1:1.79769313486232E+308 2:-1e39 3:0e999\n")
    largest = float(np.finfo(np.float32).max)
    assert found[0][4] == {1: largest, 2: -largest}


def test_an_absent_index_is_0_and_a_missing_value_is_nan() -> None:
    (table,) = parse(b"0 qid:1 1:NULL 2:3\n1 qid:1 4:2\n", 1, PATH)
    assert table.columns[4:] == ["f1", "f2", "f4"], "only what occurs has a column"
    assert repr(table.select("f1", "f2", "f4").rows()) == "[(nan, 3.0, 0.0), (0.0, 0.0, 2.0)]"


def test_tables_are_bounded_and_grow_wider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CELLS", 3000)
    text = "".join(f"{n % 3} qid:{n // 7} 1:{n + 1} {n + 5}:2\n" for n in range(900))
    tables = list(parse(text.encode(), 1, PATH))
    assert len(tables) > 100 and all(t.height * (t.width - 4) <= 3000 for t in tables)
    assert same(rows(text), plain(text))


def test_lines_count_from_the_first_line_of_the_block() -> None:
    assert [row[0] for row in rows("0 1:1\n\n# c\n1 1:2", first=41)] == [41, 44]


FAULTS = {
    "x qid:1 1:2": "the grade is 'x', not a number; write it first",
    "qid:1 1:2": "the grade is 'qid:1', not a number; write it first",
    "1,5 1:2": "the grade is '1,5'",
    "0 qid: 1:2": "the qid is empty; write qid:<id>, without a blank",
    "0 1:2 qid:1": "'qid:1' is not <index>:<value>; mend or drop it",
    "0 qid:1 1:2 3": "'3' is not <index>:<value>; mend or drop it",
    "0 qid:1 a:2": "'a:2' is not <index>:<value>",
    "0 qid:1 -1:2": "'-1:2' is not <index>:<value>",
    "0 qid:1 1 :2": "'1' is not <index>:<value>",
    "0 qid:1 1:": "value '' of index 1 is no number; write one, or NULL",
    "0 qid:1 1:2 3:inf": "value 'inf' of index 3 is no number; write one, or NULL",
    "0 qid:1 3:-Infinity": "value '-Infinity' of index 3 is no number",
    "0 qid:1 3:1e": "value '1e' of index 3 is no number",
    "0 qid:1 3:1.2.3": "value '1.2.3' of index 3 is no number",
    "0 qid:1 3:0x1F": "value '0x1F' of index 3 is no number",
    "0 qid:1 1:2 2:3 1:4": "index 1 stands twice; keep one",
    f"0 qid:1 {MAX_INDEX + 1}:2": f"index {MAX_INDEX + 1} is above {MAX_INDEX}; number the",
    "0 qid:1 99999999999:2": "'99999999999:2' is not <index>:<value>",
    '{"session": 1}': "the grade is '{\"session\":', not a number",
}  # fmt: skip


@pytest.mark.parametrize("line", FAULTS)
def test_a_fault_names_file_line_and_cure(line: str) -> None:
    good = "0 qid:1 1:2 300:1\n" * 3
    with pytest.raises(ValueError) as error:
        rows(f"{good}\n{line}\n{good}", first=10)
    message = str(error.value)
    assert message.startswith(f"train.txt, line 14: {FAULTS[line]}") and "\n" not in message


def test_the_largest_index_is_read() -> None:
    assert rows(f"0 qid:1 {MAX_INDEX}:2\n")[0][4] == {MAX_INDEX: 2.0}


def test_any_bytes_are_read_or_refused() -> None:
    rng = np.random.default_rng(3)
    alphabet = np.frombuffer(b"01 :.#e-+qidNUL\n\t\xff\x00", np.uint8)
    for _ in range(300):
        block = rng.choice(alphabet, int(rng.integers(1, 60))).tobytes()
        try:
            rows(block)
        except ValueError as error:
            assert str(error).startswith("train.txt, line ")
