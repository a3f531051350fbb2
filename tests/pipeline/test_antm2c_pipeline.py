"""From single impressions to submission.csv: the seven scripts on a planted log, and the tools.

pytest tests/pipeline/test_antm2c_pipeline.py
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import worlds
from antm2c import ANTM2C, RECIPE, planted, write
from planted import run_in
from tiny import run_steps

from src.blend.cv import probabilities_path
from src.blend.final_blend import final_blends, list_of
from src.core.budget import Budget
from src.data import paths
from src.datasets.antm2c import simulate
from src.datasets.antm2c.recipe import NET, SCENE
from src.datasets.antm2c.world import RATE, SHARE, Config, World
from src.evaluation import slices
from src.evaluation.tables import PREDICTION_BYTES, table_path, write_tables
from src.export.bundle import Bundle
from src.export.write import write_bundle
from src.rankers.lgbm import LightGBMRanker
from src.rankers.losses.pointwise import BCE
from src.rankers.net import NetRanker
from src.rankers.nets.mmoe import MMoE
from src.tools import check, score

pytestmark = pytest.mark.slow

LGBM = LightGBMRanker(
    "lgbm", (("objective", "binary"), ("min_data_in_leaf", 20)), 30, categories=(SCENE,)
)
MMOE = NetRanker("mmoe", MMoE((8,), (4,), dim=4, scene=SCENE), BCE(), **NET | {"epochs": 2})
TINY = replace(RECIPE, rankers=(LGBM, MMOE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files in in/, the output of all scripts in out/."""
    folder = tmp_path_factory.mktemp("ads")
    simulate.write(Config(9000, seed=3), folder / "in")
    assert run_steps(folder / "in", folder / "out", recipe=TINY, dataset=ANTM2C) == 0
    return folder


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.register(monkeypatch, TINY, ANTM2C)


def flags(folder: Path, *more: str) -> list[str]:
    return ["--dataset", "ads", "--output", str(folder / "out"), *more]


def test_what_decides_the_clicks_is_learned(folder: Path) -> None:
    cv = json.loads((folder / "out" / "cv.json").read_text())
    assert cv["metric"] == "pooled_auc" and cv["score"] > 0.7, "the rates of the scenes have .68"


def test_each_good_row_of_the_test_has_a_probability(folder: Path) -> None:
    rows = pl.read_csv(folder / "out" / "submission.csv")
    ids = pl.read_parquet(folder / "out" / "test" / "sessions.parquet")["session"]
    assert rows.columns == ["id", "probability"] and rows["id"].to_list() == ids.sort().to_list()
    labels = pl.read_parquet(folder / "out" / "test" / "labels.parquet")
    assert rows["probability"].is_between(0, 1).all()
    assert abs(rows["probability"].mean() / labels["grade"].mean() - 1) < 0.25  # type: ignore[operator]


def test_check_and_score(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert check.body(check.parse(flags(folder, "--input", str(folder / "in")))) == 0
    rows = pl.read_csv(folder / "out" / "submission.csv")
    assert f"right, probabilities of {rows.height:,} rows" in capsys.readouterr().out
    labels = folder / "out" / "test" / "labels.parquet"
    assert score.body(score.parse(flags(folder, "--labels", str(labels)))) == 0
    shown = re.search(r" total .*? (0\.\d{4}) ", capsys.readouterr().out)
    assert shown and float(shown[1]) > 0.7
    lines = (folder / "out" / "submission.csv").read_text().splitlines()
    lines[1], lines[2], lines[3] = "0,0.5", lines[3], lines[3].split(",")[0] + ",1.5"
    wrong = tmp_path / "submission.csv"
    wrong.write_text("\n".join(lines[:-1]))
    argv = flags(folder, "--input", str(folder / "in"), "--file", str(wrong))
    assert check.body(check.parse(argv)) == 2
    out = capsys.readouterr().out
    assert "line 2: row 0 is not of the test; drop the line" in out
    assert "line 4: row " in out and "was there before; keep one" in out
    assert f"3 of {rows.height:,} rows are missing; add them" in out
    truth = score.read_labels(labels)
    for line, number in ((lines[2], 3), ("5,nan", 2), ("5,-1", 2)):
        wrong.write_text("\n".join([lines[0], lines[2] if number == 3 else line, line]))
        with pytest.raises(ValueError, match=f"csv, line {number}: not a new id"):
            ANTM2C.judged_items(wrong, truth)


def test_raw_rows_in_a_fresh_process_have_the_probabilities_of_the_run(
    folder: Path, tmp_path: Path
) -> None:
    """From the raw rows of the test, without their labels, and the bundle alone: bit for bit."""
    run = run_in(folder / "out", TINY, "7_blend.py")
    write_bundle(replace(run, dataset=replace(ANTM2C, recipe=TINY)))
    bundle = (folder / "out" / "export").rename(tmp_path / "bundle")
    listed = list_of(run, "test", final_blends(run)["click"], None)
    assert listed.probability is not None and np.unique(listed.probability).size > 500
    ids = set(pl.read_parquet(paths.sessions(run, "test"))["session"])
    rows = [r | {"label": ""} for n, r in enumerate(raw_rows(folder / "in")) if n in ids]
    raw, to = write(tmp_path / "raw.csv", rows), tmp_path / "p.csv"
    command = [sys.executable, "-m", "src.tools.predict", "--dataset", "antm2c"]
    command += ["--bundle", str(bundle), "--raw", str(raw), "--to", str(to)]
    subprocess.run(command, cwd=worlds.ROOT, check=True)
    found = pl.read_csv(to)
    assert found.columns == ["row", "user_id", "item_id", "click"]
    assert found["item_id"].to_list() == [int(r["item_id"]) for r in rows]
    assert found["click"].to_list() == listed.probability.tolist()
    loaded = Bundle.load(bundle)
    for n in (0, len(rows) // 2):
        lists = ANTM2C.read_raw(write(tmp_path / "raw.csv", rows[n : n + 1]), bundle / "logs")
        alone = loaded.raw_probabilities(lists)["click"]
        assert alone == pytest.approx(listed.probability[n : n + 1], abs=1e-6)


def test_tables_need_no_more_than_the_budget(folder: Path) -> None:
    """Both the columns of the slices and the probabilities are claimed before they are read."""
    run = run_in(folder / "out", TINY, "7_blend.py")
    table_path(run, "scenes").unlink()
    with pytest.raises(ValueError, match=r"valid slices: needs .* are allowed; free some"):
        write_tables(replace(run, budget=Budget(1 << 10, run.output)))
    rows = pl.scan_parquet(probabilities_path(run)).select(pl.len()).collect().item()
    least = PREDICTION_BYTES * rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "claim_batches", lambda *_: None)
        with pytest.raises(ValueError, match=r"tables: needs .* are allowed; free some"):
            write_tables(replace(run, budget=Budget(int(least), run.output)))
    assert write_tables(run) == [False, True, False]


def raw_rows(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of all files of a folder, in the order of their numbers."""
    for path in sorted(folder.glob("*.csv")):
        with open(path, newline="") as file:
            yield from csv.DictReader(file)


def test_the_clicks_of_the_test_change_nothing(folder: Path, tmp_path: Path) -> None:
    """The same files with other labels after the cut: the same table, byte by byte."""
    (tmp_path / "in").mkdir()
    changed = 0
    for path in (folder / "in").glob("*.csv"):
        text = path.read_text()
        late = r"^(\d+,\d+,2023(?:-08-0[6-9]|/8/[6-9]|-08-10|/8/10) [\d:]+,)[01],"
        text, n = re.subn(late, r"\g<1>1,", text, flags=re.MULTILINE)
        (tmp_path / "in" / path.name).write_text(text)
        changed += n
    assert changed > 1000
    steps = ("1_preparation", "4_embeddings", "5_features")
    assert run_steps(tmp_path / "in", tmp_path / "out", steps, recipe=TINY, dataset=ANTM2C) == 0
    for name in ("valid/train", "train_1/train"):
        for file in (folder / "out" / name).glob("*.parquet"):
            assert pl.read_parquet(file).equals(
                pl.read_parquet(tmp_path / "out" / name / file.name)
            )


def test_the_truth_of_a_planted_log_is_known() -> None:
    """Rows in the order of time, by the shares and the click rates of the scenes; same bytes."""
    world = World(Config(40_000, seed=2))
    parts = list(simulate.draw(world))
    rows = simulate.Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    assert (np.diff(rows.ts) >= 0).all() and rows.user.size == 40_000
    scene = world.scene[rows.item]
    for n, (share, rate) in enumerate(zip(SHARE, RATE, strict=True)):
        assert (scene == n).mean() == pytest.approx(share, abs=0.02)
        assert rows.click[scene == n].mean() == pytest.approx(rate, abs=0.05)
    assert rows.probability[rows.click].mean() > rows.probability[~rows.click].mean() + 0.15
    again = next(simulate.draw(World(Config(40_000, seed=2))))
    assert np.array_equal(again.click, parts[0].click)


def test_a_log_without_a_click_is_served(tmp_path: Path) -> None:
    """There is nothing to learn; the probability is the smoothed rate of valid."""
    rows = [made | {"label": "0"} for made in planted(300, 1)]
    write(tmp_path / "in" / "a.csv", rows)
    assert run_steps(tmp_path / "in", tmp_path / "out", recipe=TINY, dataset=ANTM2C) == 0
    table = pl.read_csv(tmp_path / "out" / "submission.csv")
    assert table.height > 20 and (table["probability"] < 0.05).all()
