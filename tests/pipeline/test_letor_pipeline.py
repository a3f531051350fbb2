"""From LETOR text to a run file: the seven scripts on planted lists, and the tools on their output.

pytest tests/pipeline/test_letor_pipeline.py
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import worlds
from letor import LETOR, RECIPE, planted, write
from tiny import STEPS, run_steps

from src import cli
from src.rankers.lgbm import LightGBMRanker
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.mlp import MLP
from src.rankers.xgb import XGBoostRanker
from src.tools import ablation, check, score, status

pytestmark = pytest.mark.slow

TREES = (("max_depth", 3), ("learning_rate", 0.2))
TINY = replace(
    RECIPE,
    rankers=(
        XGBoostRanker("xgb", (("objective", "rank:ndcg"), *TREES), 30, eval_metric="ndcg@10"),
        LightGBMRanker("lgbm", (("objective", "lambdarank"), ("min_data_in_leaf", 5)), 30,
                       eval_metric="ndcg@10"),
        NetRanker("mlp", MLP((16,)), Softmax(), epochs=3, batch_size=16),
    ),
)  # fmt: skip
TRAIN, VALI, TEST = planted(60, 1), planted(40, 2), planted(30, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files in in/, the output of all scripts in out/."""
    folder = tmp_path_factory.mktemp("letor")
    write(folder / "in", train_txt=TRAIN, vali_txt=VALI, test_txt=TEST)
    assert run_steps(folder / "in", folder / "out", recipe=TINY, dataset=LETOR) == 0
    return folder


def flags(folder: Path, *more: str) -> list[str]:
    return ["--dataset", "lists", "--output", str(folder / "out"), *more]


def times(folder: Path) -> dict[Path, int]:
    """When each table of the splits was written."""
    return {p: p.stat().st_mtime_ns for p in (folder / "out").glob("*/**/*.parquet")
            if "logs" not in p.parts}  # fmt: skip


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.register(monkeypatch, TINY, LETOR)


def test_what_decides_the_grades_is_learned(folder: Path) -> None:
    cv = json.loads((folder / "out" / "cv.json").read_text())
    assert cv["metric"] == "ndcg@10" and cv["score"] > 0.93, "a random order has .7"
    assert {"xgb_relevance", "lgbm_relevance", "mlp_relevance"} <= set(
        cv["objectives"]["relevance"]["alternatives"]
    )


@pytest.mark.usefixtures("registered")
def test_the_submission_ranks_all_documents_of_the_test_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not (folder / "out" / "submission.csv").exists()
    assert check.body(check.parse(flags(folder, "--input", str(folder / "in")))) == 0
    documents = sum(map(len, TEST.values()))
    assert f"right, {documents} documents of 30 queries" in capsys.readouterr().out
    labels = folder / "out" / "test" / "labels.parquet"
    assert score.body(score.parse(flags(folder, "--labels", str(labels)))) == 0
    shown = re.search(r" total .*? (0\.\d{4}) ", capsys.readouterr().out)
    assert shown and float(shown[1]) > 0.93


def test_models_learn_from_all_documents(folder: Path) -> None:
    for split, queries in (("train_1", TRAIN), ("valid", VALI)):
        table = pl.read_parquet(folder / "out" / split / "train" / "part-0000.parquet")
        assert table.height == sum(map(len, queries.values()))
        assert sorted(table["label:relevance"].unique()) == [0, 1, 2]
    assert table["fold"].min() == 0
    assert not list((folder / "out" / "test").glob("train")), "the labels of test are not read"


def test_sections_without_data_are_left_out(folder: Path) -> None:
    page = (folder / "out" / "report.html").read_text()
    sections = re.findall(r'<section id="(\w+)"', page)
    assert {"score", "browse", "curves", "features", "blends", "steps"} <= set(sections)
    assert not {"baselines", "recall", "retrievers", "epochs", "breakdowns"} & set(sections)
    assert len(re.findall(r"<section.*?</h2><p>.*?</p></section>", page)) == 0
    assert "D2-0-0" in page and "7 of" not in page.partition("<script")[0]


@pytest.mark.usefixtures("registered")
def test_status_and_a_second_run_find_nothing_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = times(folder)
    argv = flags(folder, "--input", str(folder / "in"), "--engine", "cpu")
    run = cli.parse("", Path(status.__file__), argv)
    assert status.body(run) == 0
    lines = capsys.readouterr().out.splitlines()
    counted = [line for line in lines if " stale " in line]
    assert len(counted) > 6 and all(" 0 stale     0 missing" in line for line in counted)
    assert run_steps(folder / "in", folder / "out", recipe=TINY, dataset=LETOR) == 0
    assert before == times(folder)


def test_scripts_without_work_say_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [name for name in STEPS if name[0] in "23"]
    assert run_steps(folder / "in", folder / "out", steps, TINY, LETOR) == 0
    out = capsys.readouterr().out
    assert "nothing to do: the recipe has no matrices" in out
    assert "nothing to do: the raw files give the candidates" in out


@pytest.mark.usefixtures("registered")
def test_ablation(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "ROUNDS", 5)
    argv = flags(folder, "--input", str(folder / "in"), "--engine", "cpu")
    assert cli.main("", ablation.__file__, ablation.body, argv) == 0
    dropped = pl.read_csv(folder / "out" / "logs" / "ablation.csv")["dropped"].to_list()
    # no retriever to drop, and the only group of features is not dropped
    assert dropped == ["nothing", *(f"nothing, seed {n}" for n in range(ablation.SEEDS))]


def test_a_causal_run_is_the_same(folder: Path, tmp_path: Path) -> None:
    """Nothing here looks ahead, so that --causal changes nothing."""
    assert TINY.causal() == TINY
