"""The benchmark of the steps: its folder, runs that go on, and flags.

pytest tests/test_bench_steps.py
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import measure, steps

WHOLE = {"size": 1.0}


def test_only_a_folder_of_a_bench_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    steps.fresh(folder)
    (folder / "some").touch()
    steps.fresh(folder)
    assert [path.name for path in folder.iterdir()] == ["bench.log"]
    (tmp_path / "precious").touch()
    with pytest.raises(SystemExit, match="not of an earlier bench"):
        steps.fresh(tmp_path)


def test_going_on_keeps_the_folder_and_sums_the_runs_of_a_step(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert steps.former_runs(folder, True, WHOLE) == []  # nothing to go on with: the folder is new
    (folder / "made").touch()
    assert steps.former_runs(folder, True, WHOLE) == [] and (folder / "made").exists()
    for code, seconds, disk in ((-9, 5.0, 300), (0, 2.0, 200)):
        run = dict.fromkeys((*steps.SUMMED, *steps.LARGEST), 1.0)
        run |= {"step": "6_xgb", "code": code, "seconds": seconds, "disk_bytes": disk, "size": 1.0}
        measure.append_line(run, steps.runs_file(folder))
    (total,) = steps.summed(steps.former_runs(folder, True, WHOLE))
    names = ("seconds", "cpu_seconds", "disk_bytes", "runs", "code")
    assert [total[name] for name in names] == [7.0, 2.0, 300, 2, 0]
    with pytest.raises(SystemExit, match=r"a bench of size 1\.0"):
        steps.former_runs(folder, True, {"size": 0.5})
    run |= {"dataset": "demo"}
    measure.append_line(run, steps.runs_file(folder))
    with pytest.raises(SystemExit, match=r"a bench of dataset demo"):
        steps.former_runs(folder, True, {**WHOLE, "dataset": "otto"})
    assert steps.former_runs(folder, False, WHOLE) == [] and not (folder / "made").exists()


def test_a_bench_that_is_killed_with_its_step_keeps_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk in use grows by 1,000 bytes and shrinks again: an unnamed file, say."""
    output, used = tmp_path / "out", iter([500, 700, 1500, 600])

    def disk_usage(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(used=next(used))

    def run(command: list[str], log: Path, look: measure.Look) -> measure.Measured:
        for seconds in (1.0, 2.0, 3.0):
            look(measure.Measured(-9, seconds, seconds, 0.5, 10, 20, ""))
        if command:
            raise KeyboardInterrupt  # the bench ends without a word
        return measure.Measured(0, 4.0, 4.0, 0.5, 10, 20, "the last")

    steps.fresh(output)
    (output / "part").write_bytes(b"1" * 10_000)
    size = steps.folder_size(output)
    monkeypatch.setattr(steps.shutil, "disk_usage", disk_usage)
    monkeypatch.setattr(measure, "run", run)
    facts = {"step": "6_xgb", **WHOLE}
    with pytest.raises(KeyboardInterrupt):
        steps.measured(["killed"], output, facts)
    for _ in range(2):  # it is kept once
        (kept,) = steps.former_runs(output, True, WHOLE)
        assert (kept["seconds"], kept["code"], kept["step"]) == (3.0, -9, "6_xgb")
        assert kept["disk_bytes"] == size + 1000 >= 11_000
    used = iter([500] * 9)
    steps.keep(steps.measured([], output, facts), output)
    (total,) = steps.summed(steps.former_runs(output, True, WHOLE))
    assert (total["seconds"], total["runs"], total["code"]) == (7.0, 2, 0)


def test_flags_of_the_steps_go_to_the_steps_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where there are no raw files
    args, flags = steps.parse(["--dataset", "tiny", "--size", "1", "--memory", "8G"])
    todo = dict(steps.commands(args.dataset, 10, args.data, args.output, flags))
    assert list(todo) == ["simulate", *steps.STEPS] and str(args.data) == "input/bench-1"
    assert todo["3_candidates"][-2:] == ["--memory", "8G"] and "--memory" not in todo["simulate"]
