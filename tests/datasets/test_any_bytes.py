"""Any bytes as raw files: they are read as Python's own parsers read them, or refused.

pytest tests/datasets/test_any_bytes.py
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import worlds
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from otto_log import GOOD, C
from worlds import T0, TYPES

from src.core import text_blocks
from src.core.csvfile import read_integers
from src.datasets.otto import jsonl


def read_or_refused(read: Callable[[Path], object], name: str, data: bytes) -> object:
    """What was read from a file of these bytes, or None where they are refused with one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            return read(path)
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error) and "; " in str(error)
            return None


def read_sessions(path: Path) -> list[tuple[int, ...]]:
    rows = [jsonl.parse(block, line, path, TYPES) for line, block in text_blocks.blocks(path)]
    return [row for table in rows for row in table.rows()]


def as_json_reads(data: bytes) -> list[tuple[int, ...]]:
    """The same by Python's json, line by line."""
    rows = []
    for number, text in enumerate(data.split(b"\n"), 1):
        session = json.loads(text) if text.strip() else {"events": []}
        rows += [(number, session["session"], n, e["aid"], e["ts"], TYPES.index(e["type"]))
                 for n, e in enumerate(session["events"])]  # fmt: skip
    return rows


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """A file with a few bytes cut out, and others put in."""
    at, cut, data = st.integers(0, len(whole)), st.integers(0, 9), st.binary(max_size=4)
    pieces = st.sampled_from([b"\n", b"\r", b'"', b",", b"0", b"-", b"null", b"\0", b"\xff"])
    one = st.tuples(at, cut, data | pieces)

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        text = whole
        for at, cut, data in changes:
            text = text[:at] + data + text[at + cut :]
        return text

    return st.lists(one, max_size=3).map(apply)


SESSIONS = f"{GOOD}\n{worlds.line(2, [(6, T0, C), (7, T0 + 1, C)])}\n".encode()
COLUMNS = {"user": "a", "article": "b"}
TABLE = b"user,x,article\n1,y,2\n3,,44\n"


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200) | damaged(SESSIONS), st.sampled_from(["", ".gz", ".zst"]))
def test_any_bytes_as_sessions(data, suffix) -> None:
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[suffix]
    rows_read = read_or_refused(read_sessions, f"x.jsonl{suffix}", pack(data))
    assert rows_read is None or rows_read == as_json_reads(data)
    read_or_refused(read_sessions, f"x.jsonl{suffix}", data)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200) | damaged(TABLE))
def test_any_bytes_as_a_table(data) -> None:
    table = read_or_refused(lambda path: read_integers(path, COLUMNS, ["article"]), "x.csv", data)
    if table is not None:
        # columns that are not read may hold bytes that are no text
        text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n").removesuffix("\n")
        # Python's csv would end a line at a carriage return within it
        header, *rows = (line.split(",") for line in text.split("\n") if line)
        at = [header.index(name) for name in COLUMNS]
        assert table.rows() == [tuple(int(row[column]) for column in at) for row in rows]
