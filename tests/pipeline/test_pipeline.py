"""The seven scripts on a tiny simulated shop, with a recipe of few rows.

pytest tests/pipeline/test_pipeline.py
"""

from __future__ import annotations

import json
import random
import re
import shutil
from dataclasses import replace
from itertools import product

import polars as pl
import pytest
import worlds
from results import results, submitted
from tiny import RECIPE, SHOP, STEPS, run_steps
from worlds import TYPES

from src.features.table import FeatureTable

pytestmark = pytest.mark.slow


def test_the_submission_answers_every_test_query(source, first):
    splits = json.loads((first / "splits.json").read_text())
    assert [split["name"] for split in splits] == ["valid", "test", "train_1"]
    assert [split["role"] for split in splits] == ["valid", "test", "train"]
    assert submitted(first, "test") == [] and submitted(first, "valid") != []
    assert (first / "submission.csv").read_text().count("\n") == 1 + 3 * SHOP.test_sessions


def test_every_fold_has_its_logs(first):
    names = FeatureTable(RECIPE).names
    for row in RECIPE.rankers:
        targets = dict.fromkeys(row.target(name) for name in TYPES)
        for target, n in product(targets, range(4)):
            folder = first / "logs" / row.name / target / f"fold_{n}"
            assert (first / "models" / row.name / target / f"fold_{n}.ubj").exists()
            curve = pl.read_csv(folder / "curve.csv")
            losses = ["logloss"] if row.loss == "binary:logistic" else []
            stop = row.eval_metric.replace("@", "_")  # comes last
            metrics = [*(m for m in ("auc", *losses) if m != stop), stop]
            wanted = [f"{part}_{metric}" for part in ("train", "valid") for metric in metrics]
            assert curve.columns == ["round", *wanted]
            assert 1 <= curve.height <= 20 and set(curve["round"]) <= {4, 9, 14, 19}
            used = pl.read_csv(folder / "importance.csv")["feature"].to_list()
            assert set(used) <= set(names) and 10 < len(used) <= (row.max_features or len(names))
            assert row.max_features or len(used) == len(names)
            params = json.loads((folder / "params.json").read_text())
            assert params.items() >= dict(row.params).items()
            assert json.loads((folder / "fold.json").read_text())["valid_positives"] > 0
    scores = pl.read_csv(first / "logs" / "rankers.csv")
    assert scores.columns == ["ranker", "objective", "oof", *(f"fold_{n}" for n in range(4))]
    assert scores.height == len(RECIPE.rankers) * len(TYPES)
    assert 0 <= scores["fold_0"].min() <= scores["fold_0"].max() <= 1


def test_a_recipe_without_vectors_goes_to_the_end(source, tmp_path):
    """As --causal leaves a recipe without windows."""
    recipe = replace(RECIPE, by_window=False).causal()
    assert not recipe.matrices and not recipe.embeddings
    assert run_steps(source, tmp_path / "out", recipe=recipe) == 0
    assert submitted(tmp_path / "out", "test") == []


def test_as_deployed_goes_to_the_end_from_histories(source, tmp_path, capsys):
    out, recipe = tmp_path / "out", RECIPE.causal()
    assert run_steps(source, out, recipe=recipe) == 0
    assert submitted(out, "test") == []
    assert "score of the run as deployed 0." in capsys.readouterr().out
    for split in ("valid", "test", "train_1"):
        history, queries = (pl.read_parquet(out / folder / "events.parquet")
                            for folder in (f"{split}_history", split))  # fmt: skip
        sessions = pl.read_parquet(out / split / "sessions.parquet")
        asked = queries.filter(pl.col("session") >= sessions["query"].arg_max())
        assert 0 < history.height < queries.height and history["ts"].max() < asked["ts"].min()
        name = "matrices/near3.parquet"
        assert (out / split / name).read_bytes() == (out / f"{split}_history" / name).read_bytes()
    assert run_steps(source, out, recipe=recipe) == 0
    assert "built 0" in (said := capsys.readouterr().out)
    assert not re.search(r"built [1-9]", said), "a second run finds all files"


def test_a_step_without_its_inputs_names_the_step_to_run(source, copy, tmp_path, capsys):
    folders = ("valid/matrices", "valid/candidates", "valid/pool", "train_1/train", "test/scores")
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
    rows = pl.read_csv(tmp_path / "out" / "submission.csv")
    n_items = pl.read_parquet(tmp_path / "out" / "items.parquet").height
    for name, entry in json.loads((tmp_path / "out" / "cv.json").read_text())["objectives"].items():
        lists = rows.filter(pl.col("session_type").str.ends_with(name))["labels"].str.split(" ")
        listed = lists.explode(empty_as_null=False).n_unique()  # some lists are filled up
        assert abs(entry["catalogue"]["coverage@20"] - listed / n_items) < 0.05
        assert 5 < entry["catalogue"]["novelty@20"] < 20


def test_a_log_of_one_type_has_its_objective_alone(source, tmp_path):
    for name in ("train.jsonl", "test.jsonl"):
        text = (source / name).read_text().replace('"carts"', '"clicks"')
        (tmp_path / name).write_text(text.replace('"orders"', '"clicks"'))
    assert run_steps(tmp_path, tmp_path / "out") == 0
    cv = json.loads((tmp_path / "out" / "cv.json").read_text())
    (clicks,) = cv["objectives"].values()
    assert cv["score"] == clicks["score"] > 0


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
    of_valid = {name for name in wanted if name.startswith(("valid/", "train_1/", "items"))}
    later = {n for n in of_valid if "/train/" in n or "/scores/" in n}
    assert found.keys() >= of_valid - later
    changed = {name for name in of_valid - later if found[name] != wanted[name]}
    assert changed == {"valid/labels.parquet"}
