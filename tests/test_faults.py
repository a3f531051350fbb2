"""What goes wrong around a run: kills, a full disk, too little memory, two at once, Ctrl-C.

pytest tests/test_faults.py; KILLS=50 pytest tests/test_faults.py -k killed (make faults)
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_pipeline import results, same_results
from tiny import STEPS, run_steps
from worlds import ROOT

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "5"))
SECONDS = 3.0  # about what a step takes
RUN = f"""
import sys
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
import tiny
sys.exit(tiny.run_steps(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def start(source: Path, out: Path, **options) -> subprocess.Popen:
    """All steps in a process of their own."""
    command = [sys.executable, "-u", "-c", RUN, str(source), str(out)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def wait_for(process: subprocess.Popen, step: str) -> bool:
    """Whether the run got as far as a step."""
    return any(line.startswith(f"== {step}") for line in process.stdout)


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
    """Kills in up to seven steps of a run, each at a random moment, then the run as it goes on."""
    draw, left, killed_in = random.Random(KILLS), KILLS, []
    while left > 0:
        out = tmp_path / f"out-{left}"
        for step in sorted(draw.sample(STEPS, min(left, len(STEPS)))):
            process = start(source, out)
            if wait_for(process, step):
                time.sleep(draw.uniform(0, SECONDS))
                process.kill()
            said = process.communicate()[1]
            if process.returncode == -signal.SIGKILL:
                left -= 1
                killed_in.append(step[0])
            else:
                assert process.returncode == 0, said
            whole_or_not_there(out, first)
        assert run_steps(source, out) == 0
        same_results(out, first)
    print(f"\n{len(killed_in)} kills, in or after steps {''.join(sorted(killed_in))}")


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
    subprocess.run(["umount", str(place)], check=True)


def leave(disk: Path, room: float) -> None:
    """Fill the disk but for so many bytes."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast.write_bytes(bytes(max(0, free - int(room))))


def test_a_full_disk_is_one_line_and_goes_on_with_more_room(source, first, disk, capsys) -> None:
    out, size = disk / "out", sum(f.stat().st_size for f in first.rglob("*") if f.is_file())
    for share in (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        used = sum(f.stat().st_blocks * 512 for f in out.rglob("*"))
        leave(disk, share * size - used)
        code = run_steps(source, out)
        said = capsys.readouterr().err
        assert code == 2 and ("the disk is full" in said or "of disk" in said), said
        one_line(said)
        whole_or_not_there(out, first)
        assert not list(out.rglob(".part-*"))
        print(share, said)
    (disk / "ballast").unlink()
    assert run_steps(source, out) == 0
    same_results(out, first)


def limited(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


@pytest.mark.parametrize("gib", [1.5, 2.0, 3.0, 4.0])
def test_a_hard_limit_of_memory_is_one_line(source, first, tmp_path, gib) -> None:
    out = tmp_path / "out"
    process = start(source, out, preexec_fn=lambda: limited(int(gib * 2**30)))
    said, error = process.communicate()
    print(gib, process.returncode, said[-300:], error)
    assert process.returncode in (0, 2)
    if process.returncode:
        one_line(error, "memory")
    whole_or_not_there(out, first)
    assert run_steps(source, out) == 0
    same_results(out, first)


def test_the_second_of_two_runs_is_refused(source, tmp_path, capsys) -> None:
    process = start(source, tmp_path / "out")
    assert wait_for(process, STEPS[0])
    assert run_steps(source, tmp_path / "out") == 2
    told = f"is in use by process {process.pid}; wait for it, or give another --output"
    one_line(capsys.readouterr().err, told)
    assert process.poll() is None, "the first goes on"
    process.kill()
    process.communicate()


SLEEPERS = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from src import ranker, run
def body(run):
    print("at work", flush=True)
    ranker.in_parallel(run.engine, [lambda: time.sleep(60)] * 4)
sys.exit(run.main("", "6_xgb.py", body, ["--output", sys.argv[1]]))
"""


def test_control_c_does_not_wait_for_threads(tmp_path) -> None:
    command = [sys.executable, "-c", SLEEPERS, str(tmp_path)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    assert any("at work" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=10)[1]
    assert process.returncode == 130
    one_line(error.lstrip("\n"), "6_xgb.py: stopped; the same command goes on from here")
