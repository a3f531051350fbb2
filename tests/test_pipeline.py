"""The seven scripts on a tiny simulated shop, with a recipe of few rows.

pytest tests/test_pipeline.py
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
import weakref
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import worlds
from src.data.causal import causal
from tiny import RECIPE, STEPS, WORLD, run_alone, run_steps
from worlds import TYPES

from bench import measure, rankers
from src import cli, datasets
from src.core import run
from src.data import shards
from src.datasets import submission_rows as answers
from src.features.table import Features
from src.rankers import oof as held_out
from src.rankers import sampling as training
from src.rankers import xgb as ranker
from src.rankers.score import train_files
from src.rankers.train_set import Rows
from src.tools import ablation

pytestmark = pytest.mark.slow

DATED = "experiments.csv"
WRITTEN_EACH_TIME = {".lock", "splits.json"}  # and logs/


def results(out: Path) -> dict[str, bytes]:
    """What must not depend on threads or kills; manifests and logs with seconds may."""
    files = [f for f in out.rglob("*") if f.suffix in (".parquet", ".npy", ".ubj", ".csv")]
    files += out.glob("cv.json")
    return {f.relative_to(out).as_posix(): f.read_bytes() for f in files if f.name != DATED}


def stamps(out: Path) -> dict[str, tuple[int, int]]:
    """When each file was written, those left out that a step writes whenever it runs."""
    files = [f.relative_to(out) for f in out.rglob("*") if f.is_file()]
    lasting = [f for f in files if f.parts[0] not in {*WRITTEN_EACH_TIME, "logs"}]
    return {f.as_posix(): ((out / f).stat().st_mtime_ns, (out / f).stat().st_ino) for f in lasting}


def same_results(out: Path, other: Path) -> None:
    found, wanted = results(out), results(other)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert not list(out.rglob(".part-*"))


def submitted(out: Path, split: str) -> list[str]:
    """Faults of the submission for the queries of a split."""
    queries = pl.read_parquet(out / split / "sessions.parquet").filter("query")["session"]
    item_ids = pl.read_parquet(out / "items.parquet")["item_id"]
    asked = answers.Asked(queries.to_numpy(), item_ids.to_numpy())
    return answers.check(out / "submission.csv", RECIPE.layout(RECIPE), asked)


def test_the_submission_answers_every_test_query(source, first):
    assert json.loads((first / "splits.json").read_text()) == ["valid", "test", "earlier_1"]
    assert submitted(first, "test") == [] and submitted(first, "valid") != []
    assert (first / "submission.csv").read_text().count("\n") == 1 + 3 * WORLD.test_sessions


def test_every_fold_has_its_logs(first):
    names = Features(RECIPE).names
    for row in RECIPE.rankers:
        taught = ("all",) if row.shared else TYPES
        for folder in (first / "logs" / row.name / what / f"fold_{n}"
                       for what in taught for n in range(4)):  # fmt: skip
            assert (
                first / "models" / folder.relative_to(first / "logs").with_suffix(".ubj")
            ).exists()
            curve = pl.read_csv(folder / "curve.csv")
            metrics = dict.fromkeys(["auc", row.metric])
            told = [f"{part}_{metric}" for part in ("train", "valid") for metric in metrics]
            assert curve.columns == ["round", *told]
            assert 1 <= curve.height <= 20
            used = pl.read_csv(folder / "importance.csv")["feature"].to_list()
            assert set(used) <= set(names) and 10 < len(used) <= (row.columns or len(names))
            assert row.columns or len(used) == len(names)
            assert (
                json.loads((folder / "params.json").read_text()).items() >= dict(row.params).items()
            )
            facts = json.loads((folder / "fold.json").read_text())
            scores = [score for what, score in facts.items() if what.startswith("recall@20")]
            assert len(scores) == (3 if row.shared else 1) and facts["valid_positives"] > 0
            assert 0 <= min(scores) <= max(scores) <= 1


def test_ablation_drops_columns_and_candidates(source, copy, capsys):
    argv = ["--dataset", RECIPE.name, "--input", str(source), "--output", str(copy)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.RECIPES, RECIPE.name, RECIPE)
        assert cli.main(ablation.__doc__, ablation.__file__, ablation.body, argv) == 0
    table = pl.read_csv(copy / "logs" / "ablation.csv")
    of = {row["dropped"]: row for row in table.iter_rows(named=True)}
    assert of["nothing"]["loss"] == 0 and of["nothing"]["score"] > 0.5
    assert of["features: MatrixFeature"]["columns"] == 40  # 4 x (1 x 3 + 5 + 1), 4 ranks
    assert len(set(table["score"])) > 3
    assert all(row["low"] <= row["loss"] <= row["high"] for row in of.values())
    assert set(of) > {f"candidates: {type(rule).__name__}" for rule in RECIPE.rules}


def test_rankers_are_compared_on_all_windows_out_of_fold(source, copy, monkeypatch, capsys):
    monkeypatch.setitem(datasets.RECIPES, RECIPE.name, RECIPE)
    monkeypatch.setattr(measure, "append_table", lambda title, table: print(title, table))
    flags = ["--dataset", RECIPE.name, "--output", str(copy)]
    learned = list[Rows]()
    binned = ranker.Binned.of
    monkeypatch.setattr(
        ranker.Binned,
        "of",
        lambda job, rows, names: learned.append(rows) or binned(job, rows, names),
    )
    few = ["--first", "3", "10000"]
    assert rankers.main([*flags, "--also", "softmax", "columns_80", *few]) == 0
    assert all(rows.fold.min() >= 0 for rows in learned), "no row that all folds learn from"
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    found = {cells[0]: cells for cells in lines if len(cells) == len(rankers.HEAD)}
    names = [row.name for row in RECIPE.rankers] + ["logistic_softmax", "logistic_columns_80"]
    assert set(found) >= {*names, *(f"{names[0]} + {name}" for name in names[1:])}
    assert [int(found[name][1]) for name in names] == [12, 12, 4, 12, 12]
    assert float(found["logistic"][6]) == 0 and float(found["logistic_softmax"][5]) > 0.4
    assert float(found["logistic, first 3"][6]) < -0.1
    assert found["logistic, first 10000"][4:] == found["logistic"][4:]
    asked = list(held_out.asked(made(source, copy), 10**9))
    session, fold = (
        np.concatenate([getattr(a, part) for a in asked]) for part in ("session", "fold")
    )
    queries = [pl.read_parquet(copy / split / "labels.parquet") for split in ("valid", "earlier_1")]
    assert session.size == sum(q["session"].n_unique() for q in queries)
    assert all(np.unique(fold[session == s]).size == 1 for s in session), "of the raw session"
    few = [ask.session for ask in held_out.asked(made(source, copy), 100)]
    assert 80 < np.concatenate(few).size < 160


def made(source: Path, out: Path) -> run.Run:
    argv = ["--dataset", RECIPE.name, "--input", str(source), "--output", str(out)]
    return cli.parse("", Path("6_xgb.py"), argv)


def test_no_window_has_rows_that_every_fold_learns_from(source, copy, monkeypatch):
    monkeypatch.setitem(datasets.RECIPES, RECIPE.name, RECIPE)
    this = made(source, copy)
    rows = Rows.load(train_files(this), ("clicks",))
    fold = held_out.folds_of_rows(this, rows)
    valid = rows.fold >= 0
    assert 0 < valid.sum() < valid.size and (fold[valid] == rows.fold[valid]).all()
    assert set(fold[~valid]) == {0, 1, 2, 3}
    sizes = dict[int, int]()
    monkeypatch.setattr(
        ablation, "learn", lambda _, job, __, known: sizes.setdefault(job.fold, len(known.X))
    )
    ablation.learned(this, "clicks", ablation.experiments(RECIPE, Features(RECIPE))[:1])
    assert sizes == {f: (fold != f).sum() for f in range(4)}


def test_what_a_split_holds_is_free_when_it_is_done(source, copy, monkeypatch):
    monkeypatch.setitem(datasets.RECIPES, RECIPE.name, RECIPE)
    this = made(source, copy)
    world = shards.load_split(this, "valid")
    for _ in training.pools(this, world, shards.parts(world)[0]):
        training.claim(this, world, "features")
    left = weakref.ref(world)
    del world
    assert left() is None


def test_a_recipe_without_vectors_goes_to_the_end(source, tmp_path):
    """As --causal leaves every recipe."""
    assert run_steps(source, tmp_path / "out", recipe=causal(RECIPE)) == 0
    assert submitted(tmp_path / "out", "test") == []


def test_a_second_run_makes_nothing(source, copy, first):
    before, start = stamps(copy), time.perf_counter()
    assert run_steps(source, copy) == 0
    assert stamps(copy) == before
    assert time.perf_counter() - start < 15  # 3 s when this was written
    same_results(copy, first)


def test_one_thread_gives_the_same_bytes(source, first, tmp_path):
    assert run_alone(tmp_path, source, tmp_path / "out") == 0
    same_results(tmp_path / "out", first)


def test_blocks_do_not_matter(source, copy, first, monkeypatch):
    monkeypatch.setattr(shards, "BLOCK", 100)
    folders = [f"valid/{name}" for name in ("lists", "more_lists", "pool", "train")]
    for folder in folders:  # their keys know the code, and so the real BLOCK
        shutil.rmtree(copy / folder)
    assert run_steps(source, copy, STEPS[2:5]) == 0
    for folder in folders:
        blocks = sorted((copy / folder).glob("part-*.parquet"))
        assert len(blocks) == 3
        whole = pl.read_parquet(first / folder / "part-0000.parquet")
        assert pl.concat(map(pl.read_parquet, blocks)).equals(whole), folder


KILLS = ("test/matrices/near3.parquet", "valid/pool/part-0000.parquet.json",
         "models/logistic/orders/fold_2.ubj")  # fmt: skip


def test_killed_three_times_it_goes_on(source, first, tmp_path):
    """Killed with a file whole but unnamed, or named but without its manifest."""
    out, before = tmp_path / "out", {}
    for at in KILLS:
        assert run_alone(tmp_path, source, out, at) == -signal.SIGKILL
        assert (out / at).with_name(f".part-{Path(at).name}").exists()
        assert before.items() <= stamps(out).items()  # what was whole is not made again
        before = {k: v for k, v in stamps(out).items() if ".part-" not in k and k + ".json" != at}
    assert run_steps(source, out) == 0
    same_results(out, first)


def test_a_step_without_its_inputs_names_the_step_to_run(source, copy, tmp_path, capsys):
    folders = ("valid/matrices", "valid/lists", "valid/pool", "earlier_1/train", "test/scores")
    for step, before, lost in zip(STEPS[:1:-1], STEPS[-2:0:-1], reversed(folders), strict=True):
        shutil.rmtree(copy / lost)
        assert run_steps(source, copy, [step]) == 2
        error = capsys.readouterr().err
        assert lost in error and f"from {before}.py on" in error and error.count("\n") == 1
    for step in STEPS[1:]:
        assert run_steps(source, tmp_path / "new", [step]) == 2
        assert "run 1_preparation.py first" in capsys.readouterr().err


def test_without_test_data_the_valid_queries_are_answered(source, tmp_path):
    shutil.copy(source / "train.jsonl", tmp_path)
    assert run_steps(tmp_path, tmp_path / "out") == 0
    assert submitted(tmp_path / "out", "valid") == []


def test_objectives_without_a_label_keep_the_pools_order(source, tmp_path, capsys):
    for name in ("train.jsonl", "test.jsonl"):
        text = (source / name).read_text().replace('"carts"', '"clicks"')
        (tmp_path / name).write_text(text.replace('"orders"', '"clicks"'))
    assert run_steps(tmp_path, tmp_path / "out") == 0
    assert "carts: too few labels" in capsys.readouterr().out
    assert submitted(tmp_path / "out", "test") == []
    objectives = json.loads((tmp_path / "out" / "cv.json").read_text())["objectives"]
    assert objectives["orders"]["score"] is None and objectives["clicks"]["score"] > 0


def test_a_mangled_line_is_refused_and_leaves_no_events(source, tmp_path, capsys):
    lines = (source / "train.jsonl").read_text().splitlines()
    lines[700] = lines[700][:-9]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    assert run_steps(tmp_path, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "train.jsonl, line 701: malformed JSON" in error and error.count("\n") == 1
    assert not list((tmp_path / "out").rglob("events.parquet"))


def visible(raw: worlds.Sessions) -> dict[int, int]:
    """How many events of each session may be known in valid, by the organisers' rules."""
    start = max(ts for _, events in raw for _, ts, _ in events) - 7 * worlds.DAY
    draw = random.Random(RECIPE.seed)
    return {
        session: draw.randint(1, len(events) - 1)
        if events[0][1] > start
        else sum(ts < start for _, ts, _ in events)
        for session, events in raw
    }


def test_nothing_behind_the_cut_reaches_valid(source, first, tmp_path):
    """Items behind the cut change places with each other: of valid only the labels may notice."""
    raw = worlds.read(source / "train.jsonl")
    known = visible(raw)
    behind = [(s, n) for s, (id, e) in enumerate(raw) for n in range(known[id], len(e))]
    items = [raw[s][1][n][0] for s, n in behind]
    random.Random(0).shuffle(items)
    for (s, n), item in zip(behind, items, strict=True):
        raw[s][1][n] = (item, *raw[s][1][n][1:])
    worlds.write(tmp_path, "train", raw)
    assert run_steps(tmp_path, tmp_path / "out", STEPS[:4]) == 0
    found, wanted = results(tmp_path / "out"), results(first)
    of_valid = {name for name in wanted if name.startswith(("valid/", "earlier_1/", "item_ids"))}
    later = {n for n in of_valid if "/train/" in n or "/scores/" in n}
    assert found.keys() >= of_valid - later
    changed = {name for name in of_valid - later if found[name] != wanted[name]}
    assert changed == {"valid/labels.parquet"}
