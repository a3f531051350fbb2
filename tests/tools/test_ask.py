"""Ask by command: lists, the prompt, and runs that cannot answer.

pytest tests/tools/test_ask.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import worlds
from tiny import RECIPE

from src.cli import run_cli, step_flags
from src.tools import ask, page

Asked = Callable[..., int]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: Path) -> Asked:
    """Run the command on the output of the tiny run, or on another folder; return its exit code.

    The raw files are not there any more.
    """

    def run(*flags: str, output: Path = first, pool_size: int = RECIPE.pool_size) -> int:
        worlds.register(monkeypatch, replace(RECIPE, pool_size=pool_size))
        argv = ["--dataset", "tiny", "--input", str(tmp_path / "raw"), "--output", str(output)]
        argv += ["--engine", "cpu", *flags]
        args = step_flags("", Path(ask.__file__), argv, ask.flags)
        return run_cli("ask", lambda: ask.body(args))

    return run


def test_a_query_then_a_prompt(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked("--events", "7 carts:11", "--k", "5") == 0
    out = capsys.readouterr().out
    for objective in RECIPE.objective_names:
        assert f"\n{objective}\n" in out
    ranks = [line.split()[0] for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert ranks == ["1", "2", "3", "4", "5"] * 3
    assert "proposed by" in out and "title" not in out

    lines = ["find 1", "clicks:9999999", "views:7", "text a", "help", "", "clicks:7", "quit", "no"]
    monkeypatch.setattr("sys.stdin", iter_of(lines))
    assert asked("--k", "1") == 0
    out = capsys.readouterr().out
    assert "no item has the id '9999999'" in out and "unknown event type 'views'" in out
    assert "no texts" in out and "\norders\n" in out and "id 'no'" not in out


class iter_of(list):  # noqa: N801 - reads as a function
    """Lines of a standard input that is no terminal."""

    def isatty(self) -> bool:
        return False


def test_a_folder_that_is_not_there(asked: Asked, tmp_path: Path, capsys) -> None:
    assert asked("--events", "7", output=tmp_path / "no") == 2
    err = capsys.readouterr().err
    made_by = f"run make submission DATASET=tiny OUTPUT={tmp_path / 'no'} first"
    assert err.count("\n") == 1 and made_by in err and not (tmp_path / "no").exists()
    assert asked("--causal", output=tmp_path / "no") == 2
    assert "DATASET=tiny CAUSAL=1 OUTPUT=" in capsys.readouterr().err


def test_a_stale_run_names_the_step(asked: Asked, capsys) -> None:
    assert asked("--events", "7", pool_size=140) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "is stale or missing (changed: " in err
    assert "run 4_embeddings.py and the steps after it" in err


def test_a_missing_file_names_the_step(asked: Asked, copy: Path, capsys) -> None:
    (copy / "models" / "graded" / "all" / "fold_1.ubj").unlink()
    assert asked("--events", "7", output=copy) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "(not made); run 6_xgb.py" in err


def test_a_wrong_length(asked: Asked, capsys) -> None:
    assert asked("--events", "7", "--k", "0") == 2
    assert "give a whole number from 1 to 200" in capsys.readouterr().err


def test_ports() -> None:
    with page.listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=r"cannot listen on 127.0.0.1:.*give another PORT"):
            page.listening("127.0.0.1", port)
    with pytest.raises(ValueError, match="give a number from 0 to 65535"):
        page.listening("127.0.0.1", 70_000)
    with pytest.raises(ValueError, match="cannot listen on nowhere"):
        page.listening("nowhere.invalid", 0)


def test_a_missing_value_is_shown_as_such() -> None:
    features = [{"feature": n, "value": v, "effect": 0.5} for n, v in (("a", None), ("b", 2.0))]
    row = {"rank": 1, "id": "x", "title": None, "score": 0.25, "pool_rank": 3, "proposed_by": [],
           "features": features}  # fmt: skip
    assert ask.shown(row)["features (effect)"] == "a missing (+0.50), b 2 (+0.50)"
