"""From impressions to predictions.txt: the seven scripts on planted lists, and the tools.

pytest tests/pipeline/test_ebnerd_pipeline.py
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import worlds
from ebnerd import EBNERD, RECIPE, planted, row, write
from planted import run_in
from tiny import run_steps

from src.blend.final_blend import final_blends, list_of
from src.data import paths
from src.datasets.ebnerd.recipe import AHEAD
from src.export.write import write_bundle
from src.rankers.lgbm import LightGBMRanker
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.din import DIN
from src.tools import check, score

pytestmark = pytest.mark.slow

RANKER = LightGBMRanker(
    "lgbm", (("objective", "lambdarank"), ("min_data_in_leaf", 5)), 20, eval_metric="ndcg@10",
    objectives=("click",),
)  # fmt: skip
RATE = LightGBMRanker(
    "rate", (("objective", "binary"), ("min_data_in_leaf", 5)), 20, objectives=("read", "scroll")
)
NET = NetRanker(
    "din", DIN(dim=4, max_len=3), Softmax(), max_items=50, min_count=1, epochs=1,
    objectives=("click",),
)  # fmt: skip
TINY = replace(RECIPE, rankers=(RANKER, NET, RATE))
TEST = planted(60, 2, week=1)
OUTCOMES = ("article_ids_clicked", "next_read_time", "next_scroll_percentage")
HIDDEN = [{k: v for k, v in r.items() if k not in OUTCOMES} for r in TEST]
ODD = [
    row(8 * 86_400, [9_000_100, 9_000_090, 9_000_100], None, impression_id=0),
    row(8 * 86_400, [], None, impression_id=0),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files in in/, the output of all scripts in out/, clicks of the test week in labels/."""
    folder = tmp_path_factory.mktemp("papers")
    test = pl.DataFrame([*HIDDEN, *ODD], infer_schema_length=None)
    write(folder / "in", train=planted(300, 1), test=test)
    write(folder / "labels", test=pl.DataFrame(TEST))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.calibrators.base.SCENE_ROWS", 12)  # so that some scenes have a map
        assert run_steps(folder / "in", folder / "out", recipe=TINY, dataset=EBNERD) == 0
    return folder


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.register(monkeypatch, TINY, EBNERD)


def flags(folder: Path, *more: str) -> list[str]:
    return ["--dataset", "papers", "--output", str(folder / "out"), *more]


def test_what_decides_the_clicks_is_learned(folder: Path) -> None:
    cv = json.loads((folder / "out" / "cv.json").read_text())
    assert cv["metric"] == "auc" and cv["score"] > 0.8, "a random order has .5"


def test_predictions_rank_every_place_in_the_order_of_the_file(folder: Path) -> None:
    lines = (folder / "out" / "predictions.txt").read_text().splitlines()
    assert len(lines) == len(TEST) + 2
    for line, made in zip(lines, [*HIDDEN, *ODD], strict=True):
        told = re.fullmatch(r"(\d+) \[([\d,]*)\]", line)
        assert told and int(told[1]) == made["impression_id"]
        ranks = [int(n) for n in told[2].split(",") if n]
        assert sorted(ranks) == list(range(1, len(made["article_ids_inview"]) + 1))
    assert lines[-2].endswith(",3]") and lines[-1] == "0 []", "the second place comes last"


def test_check_and_score(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert check.body(check.parse(flags(folder, "--input", str(folder / "in")))) == 0
    assert "right, ranks of 62 impressions" in capsys.readouterr().out
    labels = folder / "labels" / "test" / "behaviors.parquet"
    assert score.body(score.parse(flags(folder, "--labels", str(labels)))) == 0
    shown = re.search(r" total .*? (0\.\d{4}) ", capsys.readouterr().out)
    assert shown and float(shown[1]) > 0.8
    text = (folder / "out" / "predictions.txt").read_text().splitlines()
    text[3], text[5] = text[3].replace("[", "[9"), text[6]
    wrong = tmp_path / "predictions.txt"
    wrong.write_text("\n".join(text[:-1]))
    argv = flags(folder, "--input", str(folder / "in"), "--file", str(wrong))
    assert check.body(check.parse(argv)) != 0
    out = capsys.readouterr().out
    assert "line 4: give each rank from 1 to" in out
    assert "line 6: impression" in out and "keep the order" in out
    assert "61 lines for 62 impressions; add the others" in out


def test_the_score_of_a_known_order(folder: Path, tmp_path: Path) -> None:
    """Ranks that put the clicked article first have AUC 1; the reverse has 0."""
    labels = folder / "labels" / "test" / "behaviors.parquet"
    truth = EBNERD.read_ground_truth(labels)
    for best in (True, False):
        lines = []
        for r in TEST:
            view = r["article_ids_inview"]
            order = sorted(view, key=lambda a: (a not in r["article_ids_clicked"]) == best)
            ranks = ",".join(str(order.index(a) + 1) for a in view)
            lines.append(f"{r['impression_id']} [{ranks}]")
        path = tmp_path / f"{best}.txt"
        path.write_text("\n".join(lines) + "\n")
        table = score.score(EBNERD.judged_items(path, truth), EBNERD, truth)
        assert table["score"].to_list() == [float(best)] * 2
        assert table["queries"][0] == len(TEST)


def test_ranks_that_are_none_have_no_score(folder: Path, tmp_path: Path) -> None:
    truth = EBNERD.read_ground_truth(folder / "labels" / "test" / "behaviors.parquet")
    right = [
        f"{r['impression_id']} [{','.join(map(str, range(1, len(r['article_ids_inview']) + 1)))}]"
        for r in TEST
    ]
    path = tmp_path / "predictions.txt"
    for lines, line in ((right[:-1], len(right)), ([f"{TEST[0]['impression_id']} [1,1,1]"], 1)):
        path.write_text("\n".join([*lines, *right[len(lines) :][1:]]) + "\n")
        with pytest.raises(ValueError, match=f"txt, line {line}: give each rank from 1 to"):
            EBNERD.judged_items(path, truth)


def test_raw_impressions_in_a_fresh_process_have_the_probabilities_of_the_run(
    folder: Path, tmp_path: Path
) -> None:
    """From the raw test file and the bundle alone, bit for bit, for all three objectives."""
    run = run_in(folder / "out", TINY, "7_blend.py")
    write_bundle(replace(run, dataset=replace(EBNERD, recipe=TINY)))
    bundle, to = folder / "out" / "export", tmp_path / "p.csv"
    bundle = bundle.rename(tmp_path / "bundle")
    raw = folder / "in" / "test" / "behaviors.parquet"
    command = [sys.executable, "-m", "src.tools.predict", "--dataset", "ebnerd"]
    command += ["--bundle", str(bundle), "--raw", str(raw), "--to", str(to)]
    subprocess.run(command, cwd=worlds.ROOT, check=True)
    found = pl.read_csv(to).sort("row", "article")
    items = pl.read_parquet(paths.items(run))["item_id"]
    assert found.columns == ["row", "impression_id", "article", "click", "read", "scroll"]
    for name, final in final_blends(run).items():
        listed = list_of(run, "test", final, None)
        assert name != "click" or (final.calibration and final.calibration.scenes)
        rows = np.repeat(listed.session, np.diff(listed.offsets))
        table = pl.DataFrame({"row": rows, "article": items[listed.item], "p": listed.probability})
        wanted = table.sort("row", "article")
        assert found.select("row", "article").rows() == wanted.select("row", "article").rows()
        assert found[name].to_list() == wanted["p"].to_list() and wanted["p"].n_unique() > 20


def test_a_new_article_is_refused_and_a_new_reader_is_not(folder: Path, tmp_path: Path) -> None:
    ids = folder / "out" / "raw"
    write(tmp_path, test=[row(0, TEST[0]["article_ids_inview"], None, user_id=99)])
    lists = EBNERD.read_raw(tmp_path / "test" / "behaviors.parquet", ids)
    assert lists.impressions["user"].to_list() == [-1] and lists.item.min() >= 0
    assert (np.diff(lists.item) > 0).all(), "in the order of the run, as sums of nets depend on it"
    write(tmp_path, test=[row(0, [5], None)])
    with pytest.raises(ValueError, match="row 0: article 5 is new; run all steps and make export"):
        EBNERD.read_raw(tmp_path / "test" / "behaviors.parquet", ids)


def test_look_ahead_is_a_flag(folder: Path) -> None:
    names = set(pl.read_parquet_schema(folder / "out" / "valid" / "train" / "part-0000.parquet"))
    assert "shown_item_count_1h" in names and not [n for n in names if n.startswith("ahead_")]
    args = check.parse(flags(folder, "--input", "in", "--look-ahead"))
    args.output = folder
    assert EBNERD.configure(args).recipe.features == (*EBNERD.recipe.features, *AHEAD)
