"""Bars: on a terminal with an ETA, beside the lines that are printed; nothing of them in a pipe.

pytest tests/core/test_progress.py
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

from planted import ROOT

WORK = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from src.cli import main
def body(run):
    with run.step("some work") as facts:
        for n in run.progress(range(8), "blocks"):
            time.sleep(0.45)
            if n == 6:
                run.budget.claim("lists", 1000)
        facts["blocks"] = 8
sys.exit(main("", "2_matrices.py", body, ["--output", sys.argv[1], "--engine", "cpu"]))
"""
LINES = ("== 2_matrices", "lists   ", "some work   ")


def test_a_pipe_gets_lines_only(tmp_path) -> None:
    command = [sys.executable, "-c", WORK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(LINES) and "\r" not in done.stdout
    assert all(line.startswith(start) for line, start in zip(lines, LINES, strict=True))


def test_a_terminal_gets_a_bar_that_spoils_no_line(tmp_path) -> None:
    here, there = pty.openpty()
    command = [sys.executable, "-c", WORK, str(tmp_path)]
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("4H", 24, 90, 0, 0))
    process = subprocess.Popen(command, stdout=there, stderr=there)
    os.close(there)
    said = b""
    while True:
        try:
            piece = os.read(here, 4096)
        except OSError:  # the terminal is gone: the process ended
            break
        if not piece:
            break
        said += piece
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", said.decode())
    assert re.search(r"blocks: +\d+%\|.*\[\d\d:\d\d<\d\d:\d\d", text), "a bar with an ETA"
    seen = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    lines = [line for line in seen if line.strip()]
    assert len(lines) == len(LINES), lines
    assert all(line.startswith(start) for line, start in zip(lines, LINES, strict=True)), lines
