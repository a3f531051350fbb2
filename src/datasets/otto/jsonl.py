"""Parse session logs in JSON lines into tables; raise errors that name the line.

The kernel reads lines of one shape. `parse_slow` reads every other line with Python's json. It
raises an error for a fault, or rewrites a valid line (other key order, extra keys, escapes) in the
shape of the kernel.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from src.datasets.otto.jsonl_kernel import LARGEST, scan, type_names
from src.datasets.times import NEWEST, OLDEST

RAW = pl.Schema(
    {
        "line": pl.Int32,
        "session": pl.Int64,
        "position": pl.Int32,
        "aid": pl.Int64,
        "ts": pl.Int64,
        "type": pl.Int8,
    }
)
"""One event a row, in file order: line from 1, position in the session from 0, ts in ms."""
SMALLEST_EVENT = 24  # bytes, so that a table has room for all events of a block
LONGEST_INT = 99  # digits: Python raises an error for much longer integers
SHOWN = 40  # characters of a wrong value in a message


def find(folder: Path, stem: str) -> Path | None:
    """Find the file of this stem: .jsonl, .jsonl.gz or .jsonl.zst, in this order."""
    paths = (folder / f"{stem}.jsonl{suffix}" for suffix in ("", ".gz", ".zst"))
    return next((path for path in paths if path.is_file()), None)


def parse(block: bytes, first: int, path: Path, types: tuple[str, ...]) -> pl.DataFrame:
    """Parse whole lines into RAW events.

    first: number of the block's first line in the file at `path`. Raises ValueError, naming file
    and line, for a malformed line.
    """
    names, data = type_names(types), np.frombuffer(block, np.uint8)
    table = np.empty((len(RAW), data.size // SMALLEST_EVENT + 1), np.int64)
    at, line, row = scan(data, 0, first, names, table, 0)
    while at < data.size:
        stop = block.find(b"\n", at)
        stop = data.size if stop < 0 else stop
        try:
            rewritten = np.frombuffer(parse_slow(block[at:stop], types), np.uint8)
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
        done, _, row = scan(rewritten, 0, line, names, table, row)
        assert done == rewritten.size, f"{path}, line {line}: {done} of {rewritten.size} bytes"
        at, line, row = scan(data, min(stop + 1, data.size), line + 1, names, table, row)
    columns = dict(zip(RAW, table[:, :row], strict=True))
    return pl.DataFrame(columns).cast(RAW)


def parse_slow(text: bytes, types: tuple[str, ...]) -> bytes:
    """Rewrite a line in the kernel's shape, a blank line as nothing; raise ValueError for a fault.

    The error message has no file and line yet.
    """
    if not text.strip():
        return b""
    value = decode(text)
    session = _integer(value, "session", "the line")
    events = value.get("events") if isinstance(value, dict) else None
    if not isinstance(events, list) or not events:
        raise ValueError(f"session {session} has no events; remove the line or give it a list")
    last, out = OLDEST, []
    for n, event in enumerate(events, 1):
        where = f"event {n} of session {session}"
        aid, last = _integer(event, "aid", where), _time(event, last, where)
        out.append(f'{{"aid":{aid},"ts":{last},"type":{_type(event, types, where)}}}')
    return f'{{"session":{session},"events":[{",".join(out)}]}}'.encode()


def decode(text: bytes) -> object:
    """Decode a line of JSON; raise ValueError with the fault and its cure."""
    try:
        return json.loads(text.decode(), object_pairs_hook=_unique_keys, parse_int=_number)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text; save or download the file again") from None
    except json.JSONDecodeError as error:
        reason = f"{error.msg}, character {error.pos + 1}"
        raise ValueError(f"malformed JSON ({reason}); download the file again") from None
    except RecursionError:
        raise ValueError("malformed JSON (nested too deep); download the file again") from None


def _number(digits: str) -> float:
    """Parse an integer, as a float where it is too long for Python's int."""
    return int(digits) if len(digits) < LONGEST_INT else float(digits)


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ValueError(f"a key appears twice among {keys}; remove one")
    return dict(pairs)


def _integer(value: object, key: str, where: str) -> int:
    """Return the integer, from 0 to 2^63 - 1, under a key."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} is not a JSON object; write {{...}}")
    if key not in value:
        raise ValueError(f'{where} has no "{key}"; add it')
    number = value[key]
    if type(number) is not int or not 0 <= number <= LARGEST:
        shown = json.dumps(number)[:SHOWN]
        raise ValueError(f'"{key}" of {where} is {shown}; give a whole number from 0 to 2^63 - 1')
    return number


def _time(event: object, last: int, where: str) -> int:
    ts = _integer(event, "ts", where)
    if ts < OLDEST:
        raise ValueError(f'"ts" of {where} is {ts}, seconds by its size; give milliseconds')
    if ts > NEWEST:
        raise ValueError(f'"ts" of {where} is {ts}, after 2038; give milliseconds since 1970')
    if ts < last:
        raise ValueError(f"time goes back at {where}, {last} to {ts}; sort its events by ts")
    return ts


def _type(event: object, types: tuple[str, ...], where: str) -> str:
    if not isinstance(event, dict) or "type" not in event:
        raise ValueError(f'{where} has no "type"; add it')
    if event["type"] not in types:
        shown = json.dumps(event["type"])[:SHOWN]
        raise ValueError(f"{where} has unknown type {shown}; the types are {', '.join(types)}")
    return json.dumps(event["type"])
