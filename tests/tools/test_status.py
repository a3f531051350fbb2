"""`make status` says what the steps would do: the same files, for the right reason; it makes none.

pytest tests/tools/test_status.py
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import RECIPE, STEPS, run_steps
from worlds import TYPES, register

from src.cli import parse
from src.core import code, store
from src.data.recipe import Recipe
from src.tools import status

pytestmark = pytest.mark.slow


def stamps(out: Path) -> dict[Path, tuple[int, int]]:
    """When each file was written, and its inode."""
    return {f: (f.stat().st_mtime_ns, f.stat().st_ino) for f in out.rglob("*") if f.is_file()}


def planned(source: Path, out: Path, recipe: Recipe = RECIPE) -> dict[str, str]:
    """The files that would be made, and why."""
    before = stamps(out)
    with pytest.MonkeyPatch.context() as patch:
        register(patch, recipe)
        argv = ["--dataset", recipe.name, "--input", str(source), "--output", str(out)]
        run = parse("", Path(status.__file__), [*argv, "--engine", "cpu"])
        steps = status.plan(run)
    assert stamps(out) == before, "looked only"
    assert not [step.missing for step in steps if step.missing]
    return {name: why for step in steps for name, why in step.reasons.items() if why}


def folders(files: set[str]) -> set[str]:
    """Their folders (of matrices: the files), whatever the split."""
    of_split = {re.sub(r"^(valid|test|train_\d+)/", "", name) for name in files}
    of_split = {name for name in of_split if not name.startswith("logs/")}
    return {n if n.startswith("matrices") else n.rpartition("/")[0] for n in of_split}


def remade(source: Path, out: Path, recipe: Recipe = RECIPE) -> set[str]:
    """The files with a manifest that a run really makes."""

    def dated() -> dict[Path, tuple[int, int]]:
        files = [f for f in out.rglob("*") if store.manifest_path(f).exists()]
        return {f: (f.stat().st_mtime_ns, f.stat().st_ino) for f in files}

    before = dated()
    assert run_steps(source, out, recipe=recipe) == 0
    files = {
        f.relative_to(out).as_posix() for f, stamp in dated().items() if before.get(f) != stamp
    }
    return files


def test_nothing_is_left_to_do_after_a_run(source, first) -> None:
    assert planned(source, first) == {}


def change_matrix() -> Recipe:
    rows = tuple(replace(r, top_n=9) if r.name == "near3" else r for r in RECIPE.matrices)
    return replace(RECIPE, matrices=rows)


def change_ranker() -> Recipe:
    one, two, *more = RECIPE.rankers
    return replace(RECIPE, rankers=(one, replace(two, num_boost_round=9), *more))


RESULTS = ""  # submission.csv, cv.json and report.html lie in the output folder itself
BEHIND = {"candidates/near3_ends", "pool", "train", "scores", RESULTS}
MODELS = {r.name: {f"models/{r.name}/{r.target(o)}" for o in TYPES} for r in RECIPE.rankers}
LAST = RECIPE.rankers[1].name


@pytest.mark.parametrize(
    ("recipe", "row", "wanted"),
    [
        (change_matrix(), "valid/matrices/near3.parquet",
         {"matrices/near3.parquet", *BEHIND, *set().union(*MODELS.values())}),
        (change_ranker(), f"models/{LAST}/orders/fold_0.ubj", {*MODELS[LAST], "scores", RESULTS}),
    ],
    ids=["matrix", "ranker"],
)  # fmt: skip
def test_a_changed_row_rebuilds_what_depends_on_it(source, copy, recipe, row, wanted) -> None:
    """And status tells so before: exactly these files, for the right reason."""
    found = planned(source, copy, recipe)
    assert found[row] == "changed: recipe row"
    assert "input" in found["valid/scores/part-0000.parquet"]
    assert folders(set(found)) == wanted
    assert remade(source, copy, recipe) == set(found)
    assert planned(source, copy, recipe) == {}


def test_lost_files_are_reported(source, copy) -> None:
    lost = ["test/matrices/buy2buy.parquet", "valid/pool/part-0000.parquet.json",
            "models/logistic/carts/fold_1.ubj"]  # fmt: skip
    for name in lost:
        (copy / name).unlink()
    found = planned(source, copy)
    assert found == dict.fromkeys((n.removesuffix(".json") for n in lost), status.NOT_MADE)
    assert remade(source, copy) == set(found)


def test_a_stale_file_of_an_older_version_is_no_crash(source, copy) -> None:
    (copy / "cv.json").write_text('{"objectives": {"clicks": {"weights_of_old": 1}}}')
    with pytest.MonkeyPatch.context() as patch:
        register(patch, change_ranker())
        argv = ["--dataset", RECIPE.name, "--input", str(source), "--output", str(copy)]
        steps = status.plan(parse("", Path(status.__file__), [*argv, "--engine", "cpu"]))
    assert steps[-1].reasons["cv.json"].startswith("changed")
    assert steps[-1].missing == f"{copy / 'cv.json'} of this version"


def test_a_new_raw_file_and_new_code_are_reported(source, copy, tmp_path, monkeypatch) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(source, raw)
    os.utime(raw / "test.jsonl")
    found = planned(raw, copy)
    assert found["raw/test.parquet"] == "changed: raw file" and "raw/train.parquet" not in found
    assert found["test/events.parquet"] == "changed: input"
    version = code.version
    monkeypatch.setattr("src.core.run.code_version", lambda *parts: f"new {version(*parts)}")
    found = planned(source, copy)
    assert found["raw/train.parquet"] == "changed: code"
    assert found["valid/matrices/near3.parquet"] == "changed: code, input"


def test_what_is_printed(source, copy, tmp_path, capsys, monkeypatch) -> None:
    register(monkeypatch, RECIPE)
    argv = ["--dataset", RECIPE.name, "--input", str(source), "--engine", "cpu"]
    run = parse("", Path(status.__file__), [*argv, "--output", str(copy)])
    assert status.body(run) == 0
    said = capsys.readouterr().out
    assert "2_matrices     valid           4 done     0 stale     0 missing" in said
    assert "7_blend        all splits      5 done     0 stale     0 missing" in said
    (copy / "test/matrices/near3.parquet").unlink()
    assert status.body(run) == 0
    said = capsys.readouterr().out
    assert "2_matrices     test            3 done     0 stale     1 missing" in said
    assert "    not made: test/matrices/near3.parquet\n" in said
    same = "the same matrix is made again, so nothing behind it changes"
    assert "7_blend        all splits      5 done     0 stale     0 missing" in said, same
    assert status.body(replace(run, recipe=change_ranker())) == 0
    said = capsys.readouterr().out
    assert "7_blend        all splits      0 done     5 stale     0 missing" in said
    files = "cv.json, logs/query_scores.parquet, logs/vs_baselines.csv and 1 more"
    assert f"    changed: input: {files}\n" in said
    assert "    changed: input, rankers: report.html\n" in said
    new = parse("", Path(status.__file__), [*argv, "--output", str(tmp_path / "new")])
    assert status.body(new) == 0
    said = capsys.readouterr().out
    assert "1_preparation" in said and "raw/train.parquet" in said
    assert "2_matrices     cannot plan further; missing: " in said
    assert "3_candidates" not in said and str(tmp_path / "new") in said


def test_a_demo_that_has_no_files_yet_gets_none(tmp_path, capsys) -> None:
    folders = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    run = parse("", Path(status.__file__), ["--dataset", "demo", *folders, "--engine", "cpu"])
    assert status.body(run) == 0
    said = capsys.readouterr().out
    assert "cannot plan further; missing: raw files; 1_preparation.py simulates them in" in said
    assert not (tmp_path / "in").exists() and not (tmp_path / "out").exists()


def test_a_folder_of_an_older_version_is_named(tmp_path, monkeypatch, capsys) -> None:
    """Its splits.json is a list of names."""
    register(monkeypatch, RECIPE)
    out = tmp_path / "out"
    out.mkdir()
    (out / "splits.json").write_text('["valid", "test", "earlier_1"]')
    argv = ["--dataset", RECIPE.name, "--output", str(out), "--engine", "cpu"]
    assert status.body(parse("", Path(status.__file__), argv)) == 0
    line = f"{out / 'splits.json'} is of an older version; run 1_preparation.py again\n"
    assert line in capsys.readouterr().out
    assert (out / "splits.json").exists()


def test_a_step_without_files_hides_no_later_step(source, tmp_path, monkeypatch, capsys) -> None:
    """With --causal, and no window, there are no matrices: step 2 has nothing to make."""
    register(monkeypatch, replace(RECIPE, by_window=False))
    out = tmp_path / "out"
    assert run_steps(source, out, STEPS[:1]) == 0
    argv = ["--dataset", RECIPE.name, "--input", str(source), "--output", str(out), "--causal"]
    assert status.body(parse("", Path(status.__file__), [*argv, "--engine", "cpu"])) == 0
    said = capsys.readouterr().out
    assert "2_matrices " not in said.partition("what make submission")[2]
    assert "not made: valid/candidates/own/part-0000.parquet" in said
