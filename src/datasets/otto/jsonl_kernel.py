# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Parse lines of JSON of one shape and check every byte; stop at a line of another shape.

The shape: {"session":0,"events":[{"aid":1,"ts":1659304800025,"type":"clicks"},...]}. Blanks may be
where JSON allows them. Numbers are whole, from 0 to 2^63 - 1; types are known. Times are in ms,
from OLDEST to NEWEST, and never go back. (The JSON reader of polars accepts missing, null and
repeated keys, -0, and 1 for "1". It is six times slower, too.)
"""

from __future__ import annotations

import json

import numpy as np
from numba import njit
from numpy.typing import NDArray

from src.core.arrays import I64
from src.datasets.times import NEWEST, OLDEST

LARGEST = 2**63 - 1

U8 = NDArray[np.uint8]


def template(text: str) -> U8:
    """Convert a text to bytes to match; ~ becomes 0, which matches any number of blanks."""
    return np.frombuffer(text.replace("~", "\0").encode(), np.uint8)


def type_names(types: tuple[str, ...]) -> U8:
    """Build a template per event type: the name, its closing quote and the end of the event."""
    ends = [json.dumps(name)[1:] + "~}" for name in types]
    longest = max(map(len, ends))
    return np.stack([template(end.ljust(longest, "~")) for end in ends])


SESSION, EVENTS = template('~{~"session"~:~'), template('~,~"events"~:~[')
AID, TS, TYPE = template('~{~"aid"~:~'), template('~,~"ts"~:~'), template('~,~"type"~:~"')
COMMA, END = template("~,"), template("~]~}~")


@njit(inline="always")
def _match(data: U8, i: int, wanted: U8) -> int:
    """Match a template at byte i; return the byte after it, or -1."""
    if i < 0:
        return -1
    for k in range(wanted.size):
        want = wanted[k]
        if want == 0:
            while i < data.size and (data[i] == 32 or data[i] == 9 or data[i] == 13):
                i += 1
        elif i < data.size and data[i] == want:
            i += 1
        else:
            return -1
    return i


@njit(cache=True)
def _number(data: U8, i: int) -> tuple[int, int]:
    """Read the whole number at byte i; return it and the byte after it, or -1.

    The number has no sign and no leading zero.
    """
    if i < 0:
        return 0, -1
    start, value = i, 0
    while i < data.size and i < start + 19 and 48 <= data[i] <= 57:
        value = value * 10 + np.int64(data[i]) - 48  # type: ignore[assignment]
        i += 1
    zero = i > start + 1 and data[start] == 48
    if i == start or zero or value < 0:  # 19 digits over 2^63 - 1 wrap to below 0
        return 0, -1
    return value, i


@njit(cache=True)
def _name(data: U8, i: int, names: U8) -> tuple[int, int]:
    """Match one of the names (a template a row) at byte i; return its row and the byte after it.

    Both are -1 where none matches.
    """
    for n in range(names.shape[0]):
        j = _match(data, i, names[n])
        if j >= 0:
            return n, j
    return -1, -1


@njit(cache=True)
def _line(data: U8, i: int, line: int, names: U8, table: I64, row: int) -> tuple[int, int]:
    """Read the events of one line into the table; return the byte after it (or -1), and the row."""
    session, i = _number(data, _match(data, i, SESSION))
    i, position, last = _match(data, i, EVENTS), 0, OLDEST
    while i >= 0:
        aid, i = _number(data, _match(data, i, AID))
        ts, i = _number(data, _match(data, i, TS))
        event_type, i = _name(data, _match(data, i, TYPE), names)
        if i < 0 or ts < last or ts > NEWEST:
            return -1, row
        table[0, row], table[1, row], table[2, row] = line, session, position
        table[3, row], table[4, row], table[5, row] = aid, ts, event_type
        row, position, last = row + 1, position + 1, ts
        more = _match(data, i, COMMA)
        if more < 0:
            i = _match(data, i, END)
            whole = i == data.size or (i >= 0 and data[i] == 10)
            return (i if whole else -1), row
        i = more
    return -1, row


@njit(cache=True)
def scan(data: U8, at: int, line: int, names: U8, table: I64, row: int) -> tuple[int, int, int]:
    """Read lines from byte `at` until the end or a line of another shape.

    Fills the table from column `row` on; its rows are line, session, position, aid, ts and type (a
    row of `names`, see `type_names`). Returns byte, line and row where it stopped.
    """
    while at < data.size:
        i, after = _line(data, at, line, names, table, row)
        if i < 0:
            break
        at, line, row = min(i + 1, data.size), line + 1, after
    return at, line, row
