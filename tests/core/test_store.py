"""Files are whole or absent, made again when needed; one process a folder; one-line errors."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from planted import ROOT

from src.candidates.history import HistoryRetriever
from src.candidates.seeds import Seeds
from src.cli import locked, main, parse
from src.core import store
from src.core.engines import CpuEngine, GpuEngine
from src.core.run import Run
from src.matrices.covisitation import CovisitationMatrix

KEY = {"rows": CovisitationMatrix("m", max_steps=1), "inputs": {"events": "abc"}}


def writes(text: str) -> Callable[[Path], object]:
    return lambda part: part.write_text(text)


def breaks(part: Path) -> None:
    part.write_text("half of i")
    raise RuntimeError("disk on fire")


def never(part: Path) -> None:
    raise AssertionError("made again")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "table.parquet"


# --- build --------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_full_disk_keeps_no_part(
    path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Neither of the file, nor of its manifest, nor of a text."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(os, broken, full)
        store.build(path, KEY, writes("one"))
    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(store, "write_text", full)
        store.build(path, KEY, writes("one"))
    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(os, broken, full)
        store.write_text(path, "text")
    assert not list(path.parent.glob(".part-*"))
    assert store.build(path, KEY, writes("one"))


def test_made_once_then_up_to_date(path: Path) -> None:
    assert store.build(path, KEY, writes("one"))
    assert path.read_text() == "one"
    assert not store.build(path, KEY, never)
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, path.name + ".json"]
    manifest = json.loads(store.manifest_path(path).read_text())
    assert manifest["digest"] == store.digest(KEY) == store.fingerprint(path)
    assert manifest["key"]["rows"]["max_steps"] == 1  # a person can read what it was made from


def test_made_again_when_the_key_changed(path: Path) -> None:
    store.build(path, KEY, writes("one"))
    changed = {**KEY, "rows": CovisitationMatrix("m", max_steps=2)}
    assert store.build(path, changed, writes("two"))
    assert path.read_text() == "two" and store.fingerprint(path) == store.digest(changed)


@pytest.mark.parametrize("lost", ["file", "manifest"])
def test_made_again_when_half_of_it_is_lost(path: Path, lost: str) -> None:
    store.build(path, KEY, writes("one"))
    (path if lost == "file" else store.manifest_path(path)).unlink()
    assert store.fingerprint(path) is None
    assert store.build(path, KEY, writes("two")) and path.read_text() == "two"


def test_a_manifest_taken_away_by_another_thread_is_no_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads make shards; one estimates the disk while the other replaces a shard."""
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert store.fingerprint(path) is None


def test_a_make_that_raises_leaves_nothing(path: Path) -> None:
    with pytest.raises(RuntimeError):
        store.build(path, KEY, breaks)
    assert not path.exists() and not store.manifest_path(path).exists()

    def fresh(part: Path) -> None:
        assert not part.exists()  # what the broken one left is gone
        part.write_text("one")

    assert store.build(path, KEY, fresh) and path.read_text() == "one"


def test_a_make_that_raises_leaves_the_old_file_whole_but_not_valid(path: Path) -> None:
    store.build(path, KEY, writes("one"))
    changed = {**KEY, "rows": CovisitationMatrix("m", max_steps=2)}
    with pytest.raises(RuntimeError):
        store.build(path, changed, breaks)
    assert path.read_text() == "one"
    assert store.fingerprint(path) != store.digest(changed)
    assert store.build(path, changed, writes("two")) and path.read_text() == "two"


def test_killed_between_the_file_and_its_manifest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.build(path, KEY, writes("one"))
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(store, "write_text", lambda path, text: breaks(path.with_name("x")))
        store.build(path, {"rows": 2}, writes("two"))
    # neither key may claim a file of unknown origin
    assert store.fingerprint(path) is None
    assert store.build(path, KEY, writes("one"))


def test_synced_before_it_gets_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    sync, move = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: (calls.append("sync"), sync(f)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append(Path(b).name), move(a, b)))
    store.build(path, KEY, writes("one"))
    assert calls == ["sync", path.name, "sync", path.name + ".json"]


def test_digest_sees_every_field_and_the_kind_of_row() -> None:
    @dataclass(frozen=True)
    class Other:
        name: str
        seeds: Seeds
        top: int

    row = HistoryRetriever("own", Seeds(), 100)
    rows = [row, replace(row, top=99), replace(row, seeds=Seeds(decay=0.8)),
            Other("own", Seeds(), 100), [row], [row, row], "own", 0, None]  # fmt: skip
    assert len({store.digest(r) for r in rows}) == len(rows)
    assert store.digest({"a": 1, "b": 2}) == store.digest({"b": 2, "a": 1})
    with pytest.raises(TypeError, match="cannot put a function"):
        store.digest(never)


# --- the key of a run ---------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Run:
    found = parse("", ROOT / "2_matrices.py", ["--output", str(tmp_path), "--engine", "cpu"])
    return replace(found, engine=CpuEngine(1))


def test_run_build_depends_on_rows_inputs_and_engine(run: Run) -> None:
    events, table = run.output / "events.parquet", run.output / "m.parquet"
    with pytest.raises(FileNotFoundError, match=r"events.parquet is missing; run the steps before"):
        run.build(table, never, 1, [events])
    assert not table.exists()
    store.build(events, {"made": 1}, writes("events"))
    assert run.build(table, writes("m"), 1, [events])
    assert not run.build(table, never, 1, [events])
    assert run.build(table, writes("m"), 2, [events])
    store.build(events, {"made": 2}, writes("events"))
    assert run.build(table, writes("m"), 2, [events])
    assert run.build(table, writes("m"), 2, [])
    assert replace(run, engine=GpuEngine(1)).build(table, writes("m"), 2, [])


# --- one process a folder, one line an error ----------------------------------------------------

HOLD = """
import os, sys
from pathlib import Path
from src.cli import locked
with locked(Path(sys.argv[1])):
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, text=True) as first:
        assert first.stdout is not None
        pid = int(first.stdout.readline())
        with pytest.raises(ValueError, match=rf"in use by process {pid}; wait"), locked(tmp_path):
            raise AssertionError("two at once")
        first.kill()
    with locked(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


@pytest.mark.parametrize("error", [ValueError, FileNotFoundError])
def test_a_mistake_is_one_line(
    error: type[Exception], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(run: Run) -> None:
        raise error("train.jsonl line 3: cure")

    argv = ["--output", str(tmp_path), "--engine", "cpu"]
    assert main("", str(ROOT / "2_matrices.py"), body, argv) == 2
    assert capsys.readouterr().err == "2_matrices.py: train.jsonl line 3: cure\n"
    assert main("", str(ROOT / "2_matrices.py"), lambda run: None, argv) == 0
    assert main("", "2_matrices.py", body, [*argv, "--sample", "0"]) == 2
    assert capsys.readouterr().err.startswith("2_matrices.py: --sample 0.0: give a share")


def test_a_fault_of_ours_is_not_hidden(tmp_path: Path) -> None:
    def body(run: Run) -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        main("", "2_matrices.py", body, ["--output", str(tmp_path), "--engine", "cpu"])
