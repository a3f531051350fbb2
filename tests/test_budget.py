"""Memory and disk: a small budget changes no byte, too small a one is refused before the work.

pytest tests/test_budget.py
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import worlds
import xgboost

from src import cli
from src.candidates import lists as candidates
from src.core import budget
from src.core.budget import Budget, parse_size
from src.datasets.demo import simulate

STEPS = tiny.STEPS[:3]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    simulate.write(tiny.SHOP, folder)
    return folder


def step(name: str, source: Path, out: Path, *flags: str) -> int:
    """Run one script; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        worlds.register(patch, tiny.RECIPE)
        module = worlds.script(name)
        argv = ["--dataset", tiny.RECIPE.name, "--input", str(source), "--output", str(out)]
        return cli.main(
            module.__doc__, module.__file__, module.body, [*argv, "--engine", "cpu", *flags]
        )


def results(out: Path) -> dict[str, bytes]:
    return {str(f.relative_to(out)): f.read_bytes() for f in sorted(out.rglob("*.parquet"))}


@pytest.mark.parametrize(
    ("text", "size"),
    [("123", 123), ("8G", 8 << 30), ("1.5g", 3 << 29), ("20M", 20 << 20), ("7KiB", 7 << 10)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "8T", "-1", "8 G B", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--memory"):
        parse_size(text)


def test_the_least_budget_changes_no_byte_and_less_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(candidates, "MIN_QUERIES", 10)
    claim, claimed = Budget.claim, dict[str, dict[str, int]]()
    for name in STEPS:
        with pytest.MonkeyPatch.context() as patch:

            def spy(self: Budget, what: str, memory: float, *rest: Any, of: str = name) -> None:
                needs, kind = claimed.setdefault(of, {}), re.sub(r"\d+ ", "", what)
                needs[kind] = min(needs.get(kind, int(memory) + 1), int(memory) + 1)
                claim(self, what, memory, *rest)

            patch.setattr(Budget, "claim", spy)
            assert step(name, source, tmp_path / "much") == 0
    least = {name: max(needs.values()) for name, needs in claimed.items()}
    wide, narrow = capsys.readouterr().out, ""
    assert set(least) == set(STEPS)
    for name in STEPS:
        before = results(tmp_path / "little")
        assert step(name, source, tmp_path / "little", "--memory", str(least[name] // 2)) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "raise --memory" in error
        assert results(tmp_path / "little") == before
        assert step(name, source, tmp_path / "little", "--memory", str(least[name])) == 0
        narrow += capsys.readouterr().out
    assert re.search(r"^valid \w+, near3, \w+ +built", wide, re.MULTILINE), "all rows of the types"
    assert re.search(r"^\w+ near3 +built", narrow, re.MULTILINE), "one row at a time"
    assert results(tmp_path / "little") == results(tmp_path / "much")


def test_a_full_disk_is_told_before_the_work(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(budget.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert step(STEPS[0], source, tmp_path / "out") == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and "--output" in told.err and "0.00 GiB free" in told.err
    assert not results(tmp_path / "out")


def test_a_container_lowers_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both versions of control groups; the limits around the process's own group count too."""
    monkeypatch.setattr(budget, "CGROUPS", tmp_path)
    monkeypatch.setattr(budget, "OWN_CGROUPS", tmp_path / "cgroup")
    (tmp_path / "cgroup").write_text("4:memory:/x\n1:cpu:/\n0::/a/b\n")
    for file, text in {
        "a/memory.max": f"{100 << 20}", "a/memory.stat": f"anon {30 << 20}\nfile 7",
        "a/b/memory.max": "max", "memory/memory.limit_in_bytes": f"{2**63 - 4096}",
    }.items():  # fmt: skip
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(f"{text}\n")
    assert budget.free_memory() == int((70 << 20) * budget.USABLE_SHARE)
    (tmp_path / "memory/x").mkdir()
    (tmp_path / "memory/x/memory.limit_in_bytes").write_text(f"{50 << 20}")
    (tmp_path / "memory/x/memory.stat").write_text(f"rss 5\ntotal_rss {60 << 20}\n")
    assert budget.free_memory() == 0
    (tmp_path / "cgroup").unlink()
    assert budget.free_memory() > 100 << 20


def refuse(error: type[Exception], text: str) -> None:
    raise error(text)


@pytest.mark.parametrize("work", [
    lambda: np.empty(1 << 50, np.uint8),
    lambda: torch.empty(1 << 50, dtype=torch.uint8),
    lambda: refuse(xgboost.core.XGBoostError, "[21:30:01] std::bad_alloc"),
    lambda: refuse(RuntimeError, "can't start new thread"),
])  # fmt: skip
def test_memory_refused_in_the_midst_of_work_is_one_line(
    work: Callable[[], object], capsys: pytest.CaptureFixture
) -> None:
    assert cli.run_cli("5_features.py", lambda: bool(work())) == 2
    said = capsys.readouterr().err
    assert said == "5_features.py: out of memory; lower --memory or --sample\n"


def test_a_package_that_is_not_installed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def work(name: str) -> bool:
        raise ModuleNotFoundError("no module", name=name)

    assert cli.run_cli("page", lambda: work("uvicorn")) == 2
    assert capsys.readouterr().err == "page: uvicorn is not installed; make installs what its " + (
        "targets need\n"
    )
    with pytest.raises(ModuleNotFoundError):  # a bug of ours
        cli.run_cli("page", lambda: work("src.nothing"))
