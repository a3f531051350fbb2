# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Parse lines of LETOR text of the usual shape; stop at a line of another shape.

The shape: `2 qid:10 1:0.5 2:NULL 46:1e-3 #docid = GX000-00-0000000 inc = 1`. Grades and values are
decimal numbers; NULL and nan, in any case, are missing values; an index that is not there has the
value 0. A line may lack the qid and the comment.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from src.core.arrays import F32, I64

U8 = NDArray[np.uint8]


class Stop(IntEnum):
    """Why `scan` stopped."""

    END = 0  # of the data
    FULL = 1  # no row of the table is left
    SHAPE = 2  # a line of another shape
    WIDTH = 3  # an index beyond the columns of the table


class Rows(NamedTuple):
    """Rows of a block of text; numba takes tuples, not dataclasses.

    line, number in the file. grade. qid, doc: first byte and end of the texts, int64 (rows, 2);
    both 0 where there is none. values: float32 (rows, columns), a column per index. seen: the
    last row, counted from 1, that had each index, int64 (columns).
    """

    line: I64
    grade: F32
    qid: I64
    doc: I64
    values: F32
    seen: I64


SPACE, TAB, RETURN, NEWLINE = 32, 9, 13, 10
COLON, HASH, MINUS, PLUS, DOT, EQUALS, E = 58, 35, 45, 43, 46, 61, 101
LOWER = 32  # bit that makes a letter a small one
QID = np.frombuffer(b"qid:", np.uint8)
DOCID = np.frombuffer(b"docid", np.uint8)
NULL, NAN = np.frombuffer(b"null", np.uint8), np.frombuffer(b"nan", np.uint8)
POWERS = 10.0 ** np.arange(23)  # exact in float64
MAX_DIGITS = 17  # that count
LARGEST = float(np.finfo(np.float32).max)


@njit(inline="always")
def _is_blank(byte):
    return byte in (SPACE, TAB, RETURN)


@njit(inline="always")
def _skip_blanks(data, i, end):
    while i < end and _is_blank(data[i]):
        i += 1
    return i


@njit(inline="always")
def _token_end(data, i, end):
    while i < end and not _is_blank(data[i]) and data[i] != HASH:
        i += 1
    return i


@njit(cache=True)
def _starts(data, i, end, text):
    """Whether the bytes from i on begin with a text."""
    same = i + text.size <= end
    k = 0
    while same and k < text.size:
        same = data[i + k] == text[k]
        k += 1
    return same


@njit(cache=True)
def _number(data, i, end):
    """Read a decimal number in all bytes i : end; the second value is False where it is none.

    Digits after the first MAX_DIGITS do not count; a float32 has 9. A number beyond float32 becomes
    its largest one.
    """
    negative = i < end and data[i] == MINUS
    if i < end and (negative or data[i] == PLUS):
        i += 1
    digits, n_digits, power = np.int64(0), 0, np.int64(0)  # the number: digits * 10 ** power
    has_digit = has_point = False
    while i < end:
        byte = data[i]
        if 48 <= byte <= 57:
            has_digit = True
            if n_digits < MAX_DIGITS:
                digits = digits * 10 + (np.int64(byte) - 48)
                n_digits += 1 if digits > 0 else 0
                power -= 1 if has_point else 0
            elif not has_point:
                power += 1
        elif byte == DOT and not has_point:
            has_point = True
        else:
            break
        i += 1
    if not has_digit:
        return 0.0, False
    if i < end and data[i] | LOWER == E:
        i += 1
        sign = np.int64(1)
        if i < end and (data[i] == MINUS or data[i] == PLUS):
            sign = np.int64(-1) if data[i] == MINUS else np.int64(1)
            i += 1
        first, exponent = i, np.int64(0)
        while i < end and i < first + 5 and 48 <= data[i] <= 57:
            exponent = exponent * 10 + (np.int64(data[i]) - 48)
            i += 1
        if i == first:
            return 0.0, False
        power += sign * exponent
    if i != end:
        return 0.0, False
    if -22 <= power < 0:
        value = digits / POWERS[-power]
    else:
        value = min(digits * 10.0**power, LARGEST) if digits > 0 else 0.0
    return (-value if negative else value), True


@njit(cache=True)
def _value(data, i, end):
    """Read a number, or NaN for a missing value; the second value is False for another text."""
    value, good = _number(data, i, end)
    if not good:
        for text in (NULL, NAN):
            if end - i == text.size:
                same = True
                for k in range(text.size):
                    same &= data[i + k] | LOWER == text[k]
                if same:
                    return np.nan, True
    return value, good


@njit(cache=True)
def _doc(data, i, end, rows, row):
    """Note the bytes of the document id in the comment i : end, if it has one."""
    rows.doc[row, 0] = rows.doc[row, 1] = 0
    while i < end and not _starts(data, i, end, DOCID):
        i += 1
    i = _skip_blanks(data, min(i + DOCID.size, end), end)
    if i < end and data[i] == EQUALS:
        i = _skip_blanks(data, i + 1, end)
        stop = i
        while stop < end and not _is_blank(data[stop]):
            stop += 1
        if stop > i:
            rows.doc[row, 0], rows.doc[row, 1] = i, stop


@njit(cache=True)
def _line(data, i, end, rows, row):
    """Read the line i : end, which is not blank, into a row; return a Stop, END if it is read."""
    stop = _token_end(data, i, end)
    grade, good = _number(data, i, stop)
    if not good:
        return Stop.SHAPE
    rows.grade[row] = grade
    rows.qid[row, 0] = rows.qid[row, 1] = 0
    rows.values[row] = 0.0
    i = _skip_blanks(data, stop, end)
    if _starts(data, i, end, QID):
        stop = _token_end(data, i, end)
        rows.qid[row, 0], rows.qid[row, 1] = i + QID.size, stop
        if stop == i + QID.size:
            return Stop.SHAPE
        i = _skip_blanks(data, stop, end)
    while i < end and data[i] != HASH:
        stop, index = _token_end(data, i, end), np.int64(0)
        first = i
        while i < stop and i < first + 9 and 48 <= data[i] <= 57:
            index = index * 10 + (np.int64(data[i]) - 48)
            i += 1
        if i in (first, stop) or data[i] != COLON:
            return Stop.SHAPE
        if index >= rows.seen.size:
            return Stop.WIDTH
        value, good = _value(data, i + 1, stop)
        if not good or rows.seen[index] == row + 1:
            return Stop.SHAPE
        rows.values[row, index], rows.seen[index] = value, row + 1
        i = _skip_blanks(data, stop, end)
    _doc(data, i, end, rows, row)
    return Stop.END


@njit(cache=True)
def scan(data, at, line, rows, row):
    """Read lines from byte `at` on into rows, from `row` on; skip blank lines and comments.

    line: number of the line at `at`. Returns byte, line and row where it stopped, and a Stop.
    """
    while at < data.size:
        end = at
        while end < data.size and data[end] != NEWLINE:
            end += 1
        i = _skip_blanks(data, at, end)
        if i < end and data[i] != HASH:
            if row == rows.line.size:
                return at, line, row, Stop.FULL
            why = _line(data, i, end, rows, row)
            if why != Stop.END:
                return at, line, row, why
            rows.line[row] = line
            row += 1
        at, line = min(end + 1, data.size), line + 1
    return at, line, row, Stop.END


@njit(cache=True)
def new_runs(data, spans):
    """Mark the rows whose text differs from that of the row before: bool (rows).

    spans: first byte and end of the texts, int64 (rows, 2).
    """
    new = np.ones(len(spans), np.bool_)
    for row in range(1, len(spans)):
        a, b = spans[row - 1], spans[row]
        size = a[1] - a[0]
        if size == b[1] - b[0]:
            k = np.int64(0)
            while k < size and data[a[0] + k] == data[b[0] + k]:
                k += 1
            new[row] = k < size
    return new


@njit(cache=True)
def joined(data, spans):
    """Copy the texts one after the other: bytes, and int64 offsets (rows + 1)."""
    offsets = np.zeros(len(spans) + 1, np.int64)
    for row in range(len(spans)):
        offsets[row + 1] = offsets[row] + spans[row, 1] - spans[row, 0]
    text = np.empty(offsets[-1], np.uint8)
    for row in range(len(spans)):
        text[offsets[row] : offsets[row + 1]] = data[spans[row, 0] : spans[row, 1]]
    return text, offsets
