"""Session logs as JSON lines: blocks of whole lines, parsed into tables; a fault names its line.

A line that is not of the shape the kernel reads gets a second look by Python's json, which says
what is wrong with it, or gives it back in that shape (other key order, extra keys, escapes).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from src.datasets.otto.jsonl_kernel import LARGEST, NEWEST, OLDEST, scan, type_names

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
SMALLEST_EVENT = 24  # bytes; bounds the events of a block


def find(folder: Path, stem: str) -> Path | None:
    """The file of this stem: .jsonl, .jsonl.gz or .jsonl.zst, in this order."""
    paths = (folder / f"{stem}.jsonl{suffix}" for suffix in ("", ".gz", ".zst"))
    return next((path for path in paths if path.is_file()), None)


def parse(block: bytes, first: int, path: Path, types: tuple[str, ...]) -> pl.DataFrame:
    """The events (RAW) of whole lines, the first being line `first` of the file at `path`."""
    names, data = type_names(types), np.frombuffer(block, np.uint8)
    table = np.empty((len(RAW), data.size // SMALLEST_EVENT + 1), np.int64)
    at, line, row = scan(data, 0, first, names, table, 0)
    while at < data.size:
        stop = block.find(b"\n", at)
        stop = data.size if stop < 0 else stop
        try:
            plain = np.frombuffer(second_look(block[at:stop], types), np.uint8)
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
        done, _, row = scan(plain, 0, line, names, table, row)
        assert done == plain.size, f"{path}, line {line}: read {done} of {plain.size} bytes"
        at, line, row = scan(data, min(stop + 1, data.size), line + 1, names, table, row)
    columns = dict(zip(RAW, table[:, :row], strict=True))
    return pl.DataFrame(columns).cast(RAW)


def second_look(text: bytes, types: tuple[str, ...]) -> bytes:
    """The line in the kernel's shape (nothing for a blank line); ValueError says what is wrong."""
    if not text.strip():
        return b""
    found = decode(text)
    session = _integer(found, "session", "the line")
    events = found.get("events") if isinstance(found, dict) else None
    if not isinstance(events, list) or not events:
        raise ValueError(f"session {session} has no events; remove the line or give it a list")
    last, out = OLDEST, []
    for n, event in enumerate(events, 1):
        where = f"event {n} of session {session}"
        aid, last = _integer(event, "aid", where), _time(event, last, where)
        out.append(f'{{"aid":{aid},"ts":{last},"type":{_type(event, types, where)}}}')
    return f'{{"session":{session},"events":[{",".join(out)}]}}'.encode()


def decode(text: bytes) -> object:
    """A line of JSON; ValueError says what is wrong with it."""
    try:
        return json.loads(text.decode(), object_pairs_hook=_no_key_twice, parse_int=_number)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text; save or download the file again") from None
    except json.JSONDecodeError as error:
        reason = f"{error.msg}, character {error.pos + 1}"
        raise ValueError(f"malformed JSON ({reason}); download the file again") from None
    except RecursionError:
        raise ValueError("malformed JSON (nested too deep); download the file again") from None


def _number(digits: str) -> float:
    """int, but a float where Python's int would refuse the length."""
    return int(digits) if len(digits) < 99 else float(digits)


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ValueError(f"a key stands twice among {keys}; remove one")
    return dict(pairs)


def _integer(found: object, key: str, where: str) -> int:
    """The whole number from 0 to 2^63 - 1 under a key."""
    if not isinstance(found, dict):
        raise ValueError(f"{where} is not a JSON object; write {{...}}")
    if key not in found:
        raise ValueError(f'{where} has no "{key}"; add it')
    value = found[key]
    if type(value) is not int or not 0 <= value <= LARGEST:
        told = json.dumps(value)[:40]
        raise ValueError(f'"{key}" of {where} is {told}; give a whole number from 0 to 2^63 - 1')
    return value


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
        told = json.dumps(event["type"])[:40]
        raise ValueError(f"{where} has unknown type {told}; the types are {', '.join(types)}")
    return json.dumps(event["type"])
