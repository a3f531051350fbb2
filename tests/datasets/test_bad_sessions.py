"""Wrong sessions: each fault gets one line with file, line and cure, exit code 2, no output.

A row of a table is a fault: how a good file is damaged, and the message.
pytest tests/datasets/test_bad_sessions.py
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import worlds
import zstandard
from otto_log import GOOD, a_world
from refusal import assert_refused
from worlds import T0

TRAIN, SECOND = "train.jsonl", "test.jsonl"


def change(old: str, new: str) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new, 1).encode()


def pickle_like() -> bytes:
    return b"\x80\x04\x95\x1e\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."


EVENT = f'{{"aid":5,"ts":{T0},"type":"clicks"}}'
LINES = {
    "cut line": (GOOD[:40].encode(), "malformed JSON"),
    "two on a line": ((GOOD + GOOD).encode(), "malformed JSON"),
    "not an object": (b"[1,2]", "is not a JSON object"),
    "event is no object": (change(EVENT, "5"), "event 1 of session 1 is not a JSON object"),
    "event is null": (change(EVENT, "null"), "is not a JSON object"),
    "no session": (change('"session":1,', ""), 'no "session"'),
    "no events": (b'{"session":1}', "session 1 has no events"),
    "events null": (b'{"session":1,"events":null}', "has no events"),
    "events an object": (change(f"[{EVENT}]", EVENT), "has no events"),
    "empty session": (b'{"session":1,"events":[]}', "has no events"),
    "no aid": (change('"aid":5,', ""), 'no "aid"'),
    "no ts": (change(f'"ts":{T0},', ""), 'no "ts"'),
    "no type": (change(',"type":"clicks"', ""), 'no "type"'),
    "unknown type": (change("clicks", "views"), 'unknown type "views"'),
    "blank in a type": (change("clicks", " clicks"), 'unknown type " clicks"'),
    "type a number": (change('"clicks"', "1"), "unknown type 1"),
    "type null": (change('"clicks"', "null"), "unknown type null"),
    "type a list": (change('"clicks"', "[]"), "unknown type []"),
    "aid negative": (change('"aid":5', '"aid":-5'), '"aid" of event 1 of session 1 is -5'),
    "aid a fraction": (change('"aid":5', '"aid":3.7'), "is 3.7; give a whole number"),
    "aid an exponent": (change('"aid":5', '"aid":1e3'), "is 1000.0"),
    "aid a string": (change('"aid":5', '"aid":"12"'), 'is "12"'),
    "aid null": (change('"aid":5', '"aid":null'), "is null"),
    "aid too big": (change('"aid":5', f'"aid":{2**63}'), "is 9223372036854775808"),
    "aid far too big": (change('"aid":5', '"aid":' + "9" * 5000), "is Infinity; give"),
    "aid zero first": (change('"aid":5', '"aid":05'), "malformed JSON"),
    "aid twice": (change('"aid":5', '"aid":5,"aid":6'), "a key appears twice"),
    "ts true": (change(str(T0), "true"), '"ts" of event 1 of session 1 is true'),
    "ts negative": (change(str(T0), "-1"), "is -1"),
    "ts in seconds": (change(str(T0), str(T0 // 1000)), "give milliseconds"),
    "ts after 2038": (change(str(T0), str(2**31 * 1000)), "after 2038"),
    "time goes back": (change(EVENT, EVENT + "," + EVENT.replace(str(T0), str(T0 - 1))),
                       "time goes back at event 2 of session 1"),
    "session negative": (change('"session":1', '"session":-1'), '"session" of the line is -1'),
    "session a string": (change('"session":1', '"session":"1"'), 'is "1"'),
    "session too big": (change('"session":1', f'"session":{2**63}'), "2^63 - 1"),
    "not UTF-8": (change("clicks", "cl\xefcks").replace("ï".encode(), b"\xef"), "not UTF-8"),
    "NaN": (change('"aid":5', '"aid":NaN'), "is NaN"),
    "a zero byte": (change('"aid":5', '"aid":5\0'), "malformed JSON"),
    "deep": (b"[" * 100_000, "malformed JSON"),
    "a byte order mark": ("\ufeff".encode() + GOOD.encode(), "malformed JSON"),
    "UTF-16": (GOOD.encode("utf-16-le"), "malformed JSON"),
    "a click log": (b"3,13,1506826800000,4,1,12,1,3,2", "malformed JSON"),
    "a pickle": (pickle_like(), "not UTF-8"),
    "single quotes": (GOOD.replace('"', "'").encode(), "malformed JSON"),
    "a comment": (GOOD.encode() + b" // first", "malformed JSON"),
    "no closing bracket": (GOOD[:-1].encode(), "malformed JSON"),
    "a comma too many": (change("}]", "},]"), "malformed JSON"),
    "infinity": (change('"aid":5', '"aid":Infinity'), "is Infinity"),
    "ts a string": (change(str(T0), f'"{T0}"'), f'is "{T0}"'),
    "ts a fraction": (change(str(T0), f"{T0}.5"), f"is {T0}.5; give a whole number"),
    "ts null": (change(str(T0), "null"), "is null"),
    "session null": (change('"session":1', '"session":null'), '"session" of the line is null'),
    "session a list": (change('"session":1', '"session":[1]'), "is [1]"),
    "type upper case": (change("clicks", "Clicks"), 'unknown type "Clicks"'),
    "type a surrogate": (change("clicks", "\\ud800"), 'unknown type "\\ud800"'),
    "labels": (b'{"session":1,"labels":{"clicks":5}}', "session 1 has no events"),
}  # fmt: skip


@pytest.mark.parametrize("fault", LINES)
def test_a_wrong_line_of_sessions(tmp_path, monkeypatch, capsys, fault) -> None:
    text, expected = LINES[fault]
    path = worlds.write(tmp_path / "in", "train", [(100 + s, e) for s, e in a_world(1)])
    lines = path.read_bytes().splitlines()
    lines[30:30] = [b"", text]
    path.write_bytes(b"\n".join(lines) + b"\n")
    code = worlds.prepare(monkeypatch, tmp_path)
    assert_refused(code, tmp_path, capsys.readouterr().err, "train.jsonl, line 32: ", expected)


Damage = Callable[[Path], object]


def put(name: str, data: bytes | str) -> Damage:
    """Write this file, and remove the plain one it stands for."""

    def damage(folder: Path) -> None:
        (folder / re.sub(r"\.(gz|zst)$", "", name)).unlink(missing_ok=True)
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)

    return damage


def append(name: str, text: str) -> Damage:
    return lambda folder: (folder / name).write_text((folder / name).read_text() + text)


def swap(one: str, other: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / one).rename(folder / "x")
        (folder / other).rename(folder / one)
        (folder / "x").rename(folder / other)

    return damage


def remove(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


MANY = "".join(worlds.line(*session) + "\n" for session in a_world(1, 2000)).encode()
GZ, ZST = gzip.compress(MANY), zstandard.ZstdCompressor().compress(MANY)
AGAIN = "download it again"
FILES = {
    "no train": (remove(TRAIN), ("train.jsonl not found", "--input")),
    "train empty": (put(TRAIN, ""), ("train.jsonl is empty", AGAIN)),
    "only blank lines": (put(TRAIN, "\n \n\r\n"), ("train.jsonl is empty", AGAIN)),
    "test empty": (put(SECOND, ""), ("test.jsonl is empty", AGAIN)),
    "session twice": (append(TRAIN, GOOD * 2), ("malformed JSON",)),
    "session in two lines": (append(TRAIN, f"{GOOD}\n{GOOD}\n"), ("appears in lines [61, 62]",)),
    "test session in train": (append(SECOND, worlds.line(*a_world(1)[4])),
                              ("test.jsonl, line 61", "train.jsonl, line 5", "download both")),
    "swapped": (swap(TRAIN, SECOND), ("test.jsonl ends before", "swapped")),
    "cut gz": (put(f"{TRAIN}.gz", GZ[: len(GZ) // 2]), ("train.jsonl.gz", AGAIN)),
    "gz without its end": (put(f"{TRAIN}.gz", GZ[:-3]), ("train.jsonl.gz", AGAIN)),
    "gz that is none": (put(f"{TRAIN}.gz", b"no archive " * 9), ("train.jsonl.gz", AGAIN)),
    "gz with a tail": (put(f"{TRAIN}.gz", GZ + b"tail"), ("train.jsonl.gz", AGAIN)),
    "gz empty": (put(f"{TRAIN}.gz", b""), ("train.jsonl.gz is empty", AGAIN)),
    "a bit of gz turned": (put(f"{TRAIN}.gz", GZ[:500] + bytes([GZ[500] ^ 1]) + GZ[501:]),
                           ("train.jsonl.gz",)),
    "cut zst": (put(f"{TRAIN}.zst", ZST[: len(ZST) // 2]), ("train.jsonl.zst", AGAIN)),
    "zst without its end": (put(f"{TRAIN}.zst", ZST[:-3]), ("train.jsonl.zst", AGAIN)),
    "zst that is none": (put(f"{TRAIN}.zst", b"no archive " * 9), ("train.jsonl.zst", AGAIN)),
    "zst with a tail": (put(f"{TRAIN}.zst", ZST + b"tail"), ("train.jsonl.zst", AGAIN)),
    "gz without its suffix": (put(TRAIN, GZ), ("train.jsonl, line 1: not UTF-8",)),
    "a line without end": (put(f"{TRAIN}.gz", gzip.compress(b"[" * (260 << 20), 1)),
                           ("train.jsonl.gz, line 1: endless",)),
}  # fmt: skip


@pytest.mark.parametrize("fault", FILES)
def test_wrong_files_of_sessions(tmp_path, monkeypatch, capsys, fault) -> None:
    damage, expected = FILES[fault]
    worlds.write(tmp_path / "in", "train", a_world(1))
    later = [(10**6 + s, [(a, t + 40 * worlds.DAY, n) for a, t, n in e]) for s, e in a_world(2)]
    worlds.write(tmp_path / "in", "test", later)
    damage(tmp_path / "in")
    assert_refused(
        worlds.prepare(monkeypatch, tmp_path), tmp_path, capsys.readouterr().err, *expected
    )


def test_there_are_many_faults() -> None:
    assert len(LINES) + len(FILES) >= 40


def test_lines_may_end_as_on_windows(tmp_path, monkeypatch) -> None:
    path = worlds.write(tmp_path / "in", "train", a_world(1))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert worlds.prepare(monkeypatch, tmp_path) == 0
