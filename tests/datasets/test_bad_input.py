"""Wrong files: each gets one line with file, line or column and the cure, exit code 2, no output.

A row of a table is a fault: what is done to good files, and what is told. Below, any bytes at all.
pytest tests/datasets/test_bad_input.py
"""

from __future__ import annotations

import ast
import gzip
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import news
import pytest
import worlds
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from news import ARTICLES, DAY, LOG, TEST
from test_otto_split import GOOD, a_world
from worlds import ROOT, T0, TYPES

from src.core import text_blocks
from src.core.csvfile import read_integers
from src.datasets.otto import jsonl

C = TYPES[0]
TRAIN, SECOND = "train.jsonl", "test.jsonl"


def refused(code: int, folder: Path, error: str, *parts: str) -> None:
    """Exit code 2, one line with a cure and these parts, and nothing that a step would take."""
    error = error.strip()
    assert code == 2
    assert error.startswith("1_preparation.py: ") and "\n" not in error, error
    assert "; " in error or "are the two files swapped?" in error, f"no cure: {error}"
    for part in parts:
        assert part in error, error
    left = [path for path in (folder / "out").rglob("*") if path.is_file()]
    assert not [path for path in left if path.name.startswith(".part-")]
    names = {"splits.json", "items.parquet", "events.parquet", "sessions.parquet"}
    assert not names & {path.name for path in left}


# --- sessions as JSON lines: one wrong line ------------------------------------------------------


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
    text, told = LINES[fault]
    path = worlds.write(tmp_path / "in", "train", [(100 + s, e) for s, e in a_world(1)])
    lines = path.read_bytes().splitlines()
    lines[30:30] = [b"", text]
    path.write_bytes(b"\n".join(lines) + b"\n")
    code = worlds.prepare(monkeypatch, tmp_path)
    refused(code, tmp_path, capsys.readouterr().err, "train.jsonl, line 32: ", told)


# --- sessions as JSON lines: wrong files ---------------------------------------------------------

Spoil = Callable[[Path], object]


def put(name: str, data: bytes | str) -> Spoil:
    """Write this file, and remove the plain one it stands for."""

    def spoil(folder: Path) -> None:
        (folder / re.sub(r"\.(gz|zst)$", "", name)).unlink(missing_ok=True)
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)

    return spoil


def append(name: str, text: str) -> Spoil:
    return lambda folder: (folder / name).write_text((folder / name).read_text() + text)


def swap(one: str, other: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / one).rename(folder / "x")
        (folder / other).rename(folder / one)
        (folder / "x").rename(folder / other)

    return spoil


def remove(name: str) -> Spoil:
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
    spoil, told = FILES[fault]
    worlds.write(tmp_path / "in", "train", a_world(1))
    later = [(10**6 + s, [(a, t + 40 * worlds.DAY, n) for a, t, n in e]) for s, e in a_world(2)]
    worlds.write(tmp_path / "in", "test", later)
    spoil(tmp_path / "in")
    refused(worlds.prepare(monkeypatch, tmp_path), tmp_path, capsys.readouterr().err, *told)


# --- click logs ----------------------------------------------------------------------------------


def first(old: str, new: str) -> Callable[[str], str]:
    """Replace the first such text of a file."""

    def spoil(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return spoil


def header_only(text: str) -> str:
    return text.splitlines()[0] + "\n"


CLICKS_T0, WORDS = news.T0, f",{news.T0 - DAY // 2},210"
AT_3 = "\n3,13,"  # line 11 of the train log
WHOLE = "not a whole number from 0 to 2^63 - 1"
CLICKS = {
    "empty": (LOG, lambda t: "", "train_click_log.csv is empty"),
    "only a header": (LOG, header_only, "holds no rows"),
    "no header": (LOG, lambda t: t.partition("\n")[2], "line 1: no column user_id"),
    "a column missing": (LOG, first("click_os", "os"), "line 1: no column click_os"),
    "a column twice": (LOG, first("click_os", "user_id"), "line 1: no column click_os"),
    "user_id twice": (LOG, lambda t: re.sub("(?m)$", ",1", t).replace(",1", ",user_id", 1),
                      "line 1: more than one column user_id"),
    "semicolons": (LOG, lambda t: t.replace(",", ";"), "line 1: no column user_id"),
    "tabs": (LOG, lambda t: t.replace(",", "\t"), "line 1: no column user_id"),
    "quoted": (LOG, lambda t: '"' + t.replace(",", '","'), "line 1: no column user_id"),
    "UTF-16": (LOG, lambda t: t.encode("utf-16"), "line 1: no column user_id"),
    "a gz": (LOG, lambda t: gzip.compress(t.encode()), "line 1: no column user_id"),
    "sessions": (LOG, lambda t: GOOD, "line 1: no column user_id"),
    "swapped with articles": (LOG, lambda t: "article_id,category_id\n1,2\n",
                              "line 1: no column user_id"),
    "not UTF-8": (LOG, lambda t: t.replace(AT_3, "\n\xff3,13,", 1).encode("latin-1"),
                  "line 11 is not UTF-8 text"),
    "user a word": (LOG, first(AT_3, "\nx3,13,"), "line 11: user_id is 'x3'"),
    "user missing": (LOG, first(AT_3, "\n,13,"), "line 11: user_id is ''"),
    "user negative": (LOG, first(AT_3, "\n-3,13,"), "line 11: user_id is '-3'"),
    "user too big": (LOG, first(AT_3, f"\n{2**63},13,"), f"line 11: user_id is '{2**63}', {WHOLE}"),
    "user NaN": (LOG, first(AT_3, "\nNaN,13,"), "line 11: user_id is 'NaN'"),
    "user quoted": (LOG, first(AT_3, '\n"3",13,'), "line 11: user_id is '\"3\"'"),
    "a quote that stays open": (LOG, first(AT_3, '\n"3,13,'), "line 11: user_id is '\"3'"),
    "article a fraction": (LOG, first(AT_3, "\n3,13.5,"), "line 11: click_article_id is '13.5'"),
    "article an exponent": (LOG, first(AT_3, "\n3,1e3,"), "line 11: click_article_id is '1e3'"),
    "article null": (LOG, first(AT_3, "\n3,null,"), "line 11: click_article_id is 'null'"),
    "article far too big": (LOG, first(AT_3, "\n3," + "9" * 5000 + ","), "'9999999999"),
    "article infinite": (LOG, first(AT_3, "\n3,inf,"), "line 11: click_article_id is 'inf'"),
    "a zero byte": (LOG, first(AT_3, "\n3\0,13,"), "line 11: user_id is '3\\x00'"),
    "a column too many": (LOG, first(AT_3, "\n3,13,4,"), "line 11 has 10 fields, the header 9"),
    "a blank line": (LOG, first(AT_3, "\n\n3,13,"), "line 11: user_id is ''"),
    "cut in the middle": (LOG, lambda t: t[: len(t) // 2].rpartition(",")[0],
                          "line 70: click_timestamp is ''"),
    "time negative": (LOG, first(f"{CLICKS_T0}", f"-{CLICKS_T0}"), "click_timestamp is '-15"),
    "time 0": (LOG, first(f"{CLICKS_T0}", "0"), "line 2: time 0 is in seconds"),
    "time in seconds": (LOG, first(f"{CLICKS_T0}", f"{CLICKS_T0 // 1000}"),
                        "line 2: time 1506826800 is in seconds"),
    "time in microseconds": (LOG, first(f"{CLICKS_T0}", f"{CLICKS_T0}000"), "lies after 2038"),
    "time after 2038": (LOG, first(f"{CLICKS_T0}", f"{2**31 * 1000}"), "lies after 2038"),
    "time a date": (LOG, first(f"{CLICKS_T0}", "2017-10-01"), "click_timestamp is '2017-10-01'"),
    "region too big": (LOG, first(",1,3,2\n", f",1,{2**31},2\n"),
                       f"click_region is '{2**31}', not a whole number from 0 to 2^31 - 1"),
    "user in both logs": (TEST, first("\n100,", "\n3,"), "user 3 is in the train and in the test"),
    "test empty": (TEST, lambda t: "", "testA_click_log.csv is empty"),
    "test only a header": (TEST, header_only, "holds no rows"),
    "test a submission": (TEST, lambda t: "user_id,article_1\n100,5\n", "no column click_art"),
    "article twice": (ARTICLES, lambda t: t + t.splitlines()[1] + "\n", "article 10 appears twice"),
    "articles empty": (ARTICLES, lambda t: "", "articles.csv is empty"),
    "no words": (ARTICLES, first("words_count", "words"), "line 1: no column words_count"),
    "created 0": (ARTICLES, first(f"{CLICKS_T0 - DAY // 2}", "0"), "line 2: time 0 is in seconds"),
    "created after 2038": (ARTICLES, first(f"{CLICKS_T0 - DAY // 2}", f"{2**42}"), "after 2038"),
    "words too many": (ARTICLES, first(WORDS, f"{WORDS[:-3]}{2**31}"),
                       f"line 2: words_count is '{2**31}', not a whole number from 0 to 2^31 - 1"),
    "category negative": (ARTICLES, first("\n10,1,", "\n10,-1,"), "line 2: category_id is '-1'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", CLICKS)
def test_wrong_click_logs(tmp_path, monkeypatch, capsys, fault) -> None:
    name, spoil, told = CLICKS[fault]
    path = news.write(tmp_path)[name]
    spoilt = spoil(path.read_text())
    path.write_bytes(spoilt if isinstance(spoilt, bytes) else spoilt.encode())
    code = news.prepare(monkeypatch, tmp_path)
    refused(code, tmp_path, capsys.readouterr().err, told)


def test_click_logs_that_are_not_there(monkeypatch, tmp_path, capsys) -> None:
    files = news.write(tmp_path)
    other = tmp_path / "in" / "testB_click_log.csv"
    other.write_text(files[TEST].read_text())
    refused(news.prepare(monkeypatch, tmp_path), tmp_path, capsys.readouterr().err, "keep the one")
    other.unlink()
    files[ARTICLES].unlink()
    told = "articles.csv not found; put the competition's files there"
    refused(news.prepare(monkeypatch, tmp_path), tmp_path, capsys.readouterr().err, told)


def test_there_are_many_faults() -> None:
    assert len(LINES) + len(FILES) >= 40 and len(CLICKS) >= 40


# --- what is odd and right -----------------------------------------------------------------------


def test_lines_may_end_as_on_windows(tmp_path, monkeypatch) -> None:
    path = worlds.write(tmp_path / "in", "train", a_world(1))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    for file in news.write(tmp_path).values():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert news.prepare(monkeypatch, tmp_path) == 0


def test_the_largest_ids_are_taken(tmp_path, monkeypatch) -> None:
    largest = 2**63 - 1
    path = news.write(tmp_path)[LOG]
    path.write_text(path.read_text().replace(AT_3, f"\n{largest},{largest},"))
    assert news.prepare(monkeypatch, tmp_path) == 0


# --- any bytes -----------------------------------------------------------------------------------


def read_or_told(read: Callable[[Path], object], name: str, data: bytes) -> object:
    """What was read from a file of these bytes, or None where one line tells what is wrong."""
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
        found = json.loads(text) if text.strip() else {"events": []}
        rows += [(number, found["session"], n, e["aid"], e["ts"], TYPES.index(e["type"]))
                 for n, e in enumerate(found["events"])]  # fmt: skip
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
    found = read_or_told(read_sessions, f"x.jsonl{suffix}", pack(data))
    assert found is None or found == as_json_reads(data)
    read_or_told(read_sessions, f"x.jsonl{suffix}", data)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200) | damaged(TABLE))
def test_any_bytes_as_a_table(data) -> None:
    found = read_or_told(lambda path: read_integers(path, COLUMNS, ["article"]), "x.csv", data)
    if found is not None:
        # what is no text in a column that is left out does not matter
        text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n").removesuffix("\n")
        # not by csv, which takes a carriage return within a line for an end of it
        header, *rows = (line.split(",") for line in text.split("\n") if line)
        at = [header.index(name) for name in COLUMNS]
        assert found.rows() == [tuple(int(row[column]) for column in at) for row in rows]


# --- nothing read is run -------------------------------------------------------------------------

RUNS_CODE = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
BARE = {"eval", "exec", "compile", "__import__"}  # a net has an eval() of its own
CALLS = {"system", "popen", "deserialize", "read_pickle"}


def unsafe(tree: ast.AST) -> list[str]:
    """What could run code that was read from a file."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [name for name in names if name.partition(".")[0] in RUNS_CODE]
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            found += [name] if name in BARE or name.rpartition(".")[2] in CALLS else []
            if name == "np.load" and given.get("allow_pickle") != "False":
                found.append(name)
            if name == "torch.load" and given.get("weights_only") != "True":
                found.append(name)
    return found


@pytest.mark.parametrize("path", [*sorted(ROOT.glob("[0-9]_*.py")), *(ROOT / "src").rglob("*.py")],
                         ids=lambda path: path.name)  # fmt: skip
def test_nothing_read_can_run(path) -> None:
    assert not unsafe(ast.parse(path.read_text()))


CODE = ["import pickle", "from joblib import load", "np.load(p)", "torch.load(p)", "eval(x)",
        "np.load(p, allow_pickle=True)", "torch.load(p, weights_only=False)",
        "os.system(x)"]  # fmt: skip


@pytest.mark.parametrize("line", CODE)
def test_what_could_run_would_be_found(line) -> None:
    assert unsafe(ast.parse(line))
