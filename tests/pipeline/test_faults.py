"""What goes wrong around a run: kills, a full disk, too little memory, two at once, Ctrl-C.

pytest tests/pipeline/test_faults.py; make faults kills it 50 times
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from results import results, same_results
from tiny import STEPS, run_steps
from worlds import ROOT

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "3"))
SHARES = (0.05, 0.3, 0.6, 0.9)  # of what is still to be written: room on the disk
ROOMS = (50, 400, 2100, 2700)  # MiB: refused at the door, in a claim, at a later door
RUN = f"""
import resource, sys
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
import psutil, tiny
if len(sys.argv) > 3:
    most = psutil.Process().memory_info().vms + int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
sys.exit(tiny.run_steps(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def start(source: Path, out: Path, *more: str) -> subprocess.Popen:
    """All steps in a process of their own; more: bytes of memory that it may take."""
    command = [sys.executable, "-u", "-c", RUN, str(source), str(out), *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


def wait_for(process: subprocess.Popen, step: str) -> float:
    """Wait until a step begins; the seconds that all imports took, about those of a step."""
    began, seconds = time.monotonic(), 0.0
    for line in process.stdout:
        seconds = seconds or time.monotonic() - began
        if line.startswith(f"== {step}"):
            break
    return seconds


def whole_or_not_there(out: Path, first: Path) -> None:
    """Every file that has its name has its content."""
    found, wanted = results(out), results(first)
    named = {name for name in found if not Path(name).name.startswith(".")}
    assert [name for name in sorted(named) if found[name] != wanted[name]] == []


def one_line(said: str, *parts: str) -> None:
    assert said.count("\n") == 1 and "Traceback" not in said, said
    for part in parts:
        assert part in said, said


def test_killed_at_random_moments_it_goes_on(source, first, tmp_path) -> None:
    """Up to 25 kills in a run, each at a random moment, which then goes on to the same bytes."""
    draw, left, killed = random.Random(KILLS), KILLS, []
    while left > 0:
        out = tmp_path / f"out-{left}"
        for step in sorted(draw.choices(STEPS, k=min(left, 25))):
            process = start(source, out)
            time.sleep(draw.uniform(0, wait_for(process, step)))
            process.kill()
            said = process.communicate()[1]
            if process.returncode == -signal.SIGKILL:
                left -= 1
                killed.append(step[0])
            else:
                assert process.returncode == 0, said
            whole_or_not_there(out, first)
        assert run_steps(source, out) == 0
        same_results(out, first)
    print(f"\n{len(killed)} kills, in or after the begin of steps {''.join(sorted(killed))}")


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of 64 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount command here")
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)  # files without a name are open


def size_of(folder: Path) -> int:
    """Bytes on a disk of 4 KiB pages."""
    return sum(-(-f.stat().st_size // 4096) * 4096 for f in folder.rglob("*") if f.is_file())


def begun(first: Path, out: Path) -> None:
    """A run that did steps 1 to 3 and all but the pool of step 4."""
    late = shutil.ignore_patterns("pool", "train", "models", "scores", "submission.csv", "cv.json")
    shutil.copytree(first, out, ignore=late)


def leave(disk: Path, room: float) -> None:
    """Fill the disk but for so many bytes."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast.write_bytes(bytes(max(0, free - int(room))))


def test_a_full_disk_is_one_line_and_goes_on_with_more_room(source, first, disk, capsys) -> None:
    out = disk / "out"
    begun(first, out)
    start, whole = size_of(out), size_of(first)
    for share in SHARES:
        leave(disk, start + share * (whole - start) - size_of(out))
        assert run_steps(source, out) == 2
        one_line(said := capsys.readouterr().err)
        assert "the disk is full (" in said or "GiB of disk" in said, said
        whole_or_not_there(out, first)
        assert not list(out.rglob(".part-*"))
    (disk / "ballast").unlink()
    assert run_steps(source, out) == 0
    same_results(out, first)


@pytest.mark.parametrize("room", ROOMS)
def test_a_hard_limit_of_memory_is_one_line(source, first, tmp_path, room) -> None:
    """So many MiB more than the imports take, by RLIMIT_AS."""
    out = tmp_path / "out"
    begun(first, out)
    process = start(source, out, str(room << 20))
    error = process.communicate()[1]
    assert process.returncode == 2, error
    one_line(error, "memory")
    whole_or_not_there(out, first)
    assert not list(out.rglob(".part-*"))


SLEEPERS = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from src.rankers.train import in_parallel
from src.cli import main
def body(run):
    print("at work", flush=True)
    in_parallel(run.engine, [lambda: time.sleep(60)] * 4)
sys.exit(main("", "6_xgb.py", body, ["--output", sys.argv[1]]))
"""


def at_work(out: Path) -> subprocess.Popen:
    """A step that sleeps in its threads."""
    command = [sys.executable, "-c", SLEEPERS, str(out)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    assert any("at work" in line for line in process.stdout)
    return process


def test_the_second_of_two_runs_is_refused(source, tmp_path, capsys) -> None:
    process = at_work(tmp_path / "out")
    assert run_steps(source, tmp_path / "out") == 2
    told = f"is in use by process {process.pid}; wait for it, or give another --output"
    one_line(capsys.readouterr().err, told)
    assert process.poll() is None, "the first goes on"
    process.kill()
    process.communicate()


def test_control_c_does_not_wait_for_threads(tmp_path) -> None:
    process = at_work(tmp_path)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=10)[1]
    assert process.returncode == 130
    one_line(error.lstrip("\n"), "6_xgb.py: stopped; the same command goes on from here")


@pytest.mark.parametrize(
    ("end", "lines"), [("kill -9 $$", 1), ("kill -6 $$", 1), ("exit 130", 0), ("exit 2", 0)]
)
def test_make_tells_what_a_killed_step_cannot(tmp_path, end, lines) -> None:
    """Out of memory, the system kills a step, and polars aborts: that is told, and what to do."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(f"#!/bin/bash\n{end}\n")
    python.chmod(0o755)
    for name in ("requirements.txt", "requirements-gpu.txt", ".venv/.ready"):
        (tmp_path / name).touch()
    done = subprocess.run(["make", "submission"], cwd=tmp_path, capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if line.startswith("1_preparation.py: ")]
    assert done.returncode == 2 and len(told) == lines, done.stderr
    for line in told:
        assert "out of memory" in line and "the same command goes on from here" in line
