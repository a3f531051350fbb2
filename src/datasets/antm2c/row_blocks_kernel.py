"""Find the rows of a CSV file among its bytes, as Arrow does.

A quote opens a field only at the field's begin. In a field that it opened, two quotes stand for
one, and a quote alone closes it: what follows, up to the comma, is text as in other fields.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

QUOTE, COMMA, LF, CR = np.frombuffer(b'",\n\r', np.uint8)
BEGIN, PLAIN, QUOTED, CLOSED = range(4)
"""Where a byte may stand: at a field's begin, in it, in its quotes, behind what may end them."""


@njit(cache=True)
def scan_lines(data: NDArray[np.uint8], quoted: bool) -> tuple[int, int, int, int, int, int, bool]:
    """Count the rows of whole lines; quoted: whether they begin in a field in quotes.

    Returns the byte at which the first row begins, or -1; the rows and the lines that end before
    it; the rows and the lines that end at all, and the lines before the last row that begins;
    whether the lines end in a field in quotes.
    """
    state = QUOTED if quoted else BEGIN
    first, first_rows, first_lines = (-1 if quoted else 0), 0, 0
    rows, lines, last_lines = 0, 0, 0
    for n in range(data.size):
        byte = data[n]
        lines += byte == LF
        if state == QUOTED:
            if byte == QUOTE:
                state = CLOSED
        elif byte == QUOTE and state != PLAIN:
            state = QUOTED
        elif byte == COMMA:
            state = BEGIN
        elif byte in (LF, CR):
            rows += byte == CR or n == 0 or data[n - 1] != CR  # CR LF ends one row
            state, last_lines = BEGIN, lines
            if first < 0 and byte == LF:
                first, first_rows, first_lines = n + 1, rows, lines
        else:
            state = PLAIN
    return first, first_rows, first_lines, rows, lines, last_lines, state == QUOTED
