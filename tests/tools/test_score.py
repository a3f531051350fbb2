"""`make check` and `make score`: what the organisers publish, plain loops, and one-line errors.

pytest tests/tools/test_score.py
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from math import log2
from pathlib import Path

import polars as pl
import pytest
import worlds
from organisers import LABELS, PREDICTED
from worlds import NEWS, OTTO, T0, TYPES

from src.cli import run_cli
from src.data import schemas
from src.datasets import submission_rows
from src.datasets.base import Dataset
from src.metrics.recall import Recall
from src.tools import check, score

Lists = dict[str, dict[int, list[int]]]  # by objective and session


def write_submission(path: Path, lists: Lists) -> Path:
    rows = [
        f"{s}_{o},{' '.join(map(str, item_ids))}" for o in lists for s, item_ids in lists[o].items()
    ]
    path.write_text("\n".join([OTTO.submission_format().header, *rows]) + "\n")
    return path


def write_truth(path: Path, truth: Lists) -> Path:
    """The organisers' form: the next click is a number, the others are lists."""
    lines = []
    for session in sorted({s for of in truth.values() for s in of}):
        labels = {o: truth[o][session] for o in truth if session in truth[o]}
        labels = {o: item_ids[0] if o == TYPES[0] else item_ids for o, item_ids in labels.items()}
        lines.append(json.dumps({"session": session, "labels": labels}))
    path.write_text("\n".join(lines) + "\n")
    return path


def scores(submission: Path, truth: Path) -> dict[str, float]:
    table = scored(submission, OTTO, OTTO.read_ground_truth(truth))
    return dict(table.select("objective", "score").iter_rows())


def scored(file: Path, dataset: Dataset, truth: pl.DataFrame) -> pl.DataFrame:
    return score.score(dataset.judged_items(file, truth), dataset, truth)


def test_the_organisers_worked_example(tmp_path) -> None:
    """Their test_get_scores: at 3 items, session 4 without a prediction, its truths counted."""
    small = replace(OTTO, recipe=replace(OTTO.recipe, metric=Recall(3)))
    file = write_submission(tmp_path / "s.csv", PREDICTED)
    truth = write_truth(tmp_path / "t.jsonl", LABELS)
    table = scored(file, small, small.read_ground_truth(truth))
    found = dict(table.select("objective", "score").iter_rows())
    wanted = {"clicks": 1 / 3, "carts": 3 / 9, "orders": 1 / 5}
    total = 0.1 * 1 / 3 + 0.3 * 3 / 9 + 0.6 * 1 / 5
    assert found == pytest.approx(wanted | {"total": total})


def organisers_score(lists: Lists, truth: Lists, k: int = 20) -> dict[str, float]:
    """Hits over min(k, truths), pooled over sessions: a plain loop."""
    found, total = {}, 0.0
    for objective in OTTO.recipe.objectives:
        hit = chances = 0
        for session, item_ids in truth[objective.name].items():
            hit += len(set(lists[objective.name].get(session, [])[:k]) & set(item_ids))
            chances += min(k, len(set(item_ids)))
        found[objective.name] = hit / chances
        total += objective.weight * hit / chances
    return found | {"total": total}


def a_competition(seed: int) -> tuple[Lists, Lists]:
    """Lists of up to 20 items and truths of up to 30, some sessions without either."""
    rng = random.Random(seed)
    lists: Lists = {name: {} for name in TYPES}
    truth: Lists = {name: {} for name in TYPES}
    for session in rng.sample(range(10**9), 300):
        for name in TYPES:
            if rng.random() < 0.8:
                lists[name][session] = rng.sample(range(40), rng.randint(1, 20))
            if rng.random() < 0.5:
                size = 1 if name == TYPES[0] else rng.randint(1, 30)
                truth[name][session] = rng.sample(range(40), size)
    return lists, truth


@pytest.mark.parametrize("block", [300, 32 << 20])
def test_scores_are_those_of_a_plain_loop(tmp_path, monkeypatch, block) -> None:
    monkeypatch.setattr(submission_rows, "BATCH", block)
    lists, truth = a_competition(block)
    file = write_submission(tmp_path / "s.csv", lists)
    found = scores(file, write_truth(tmp_path / "t.jsonl", truth))
    assert found == pytest.approx(organisers_score(lists, truth))
    assert 0.2 < found["total"] < 0.6


def test_the_first_20_items_count_and_no_truth_twice(tmp_path) -> None:
    lists = {"clicks": {}, "carts": {1: list(range(100, 125))}, "orders": {}}
    file = write_submission(tmp_path / "s.csv", lists)
    labels = '{"session": 1, "labels": {"carts": [119, 120, 119], "clicks": null, "orders": []}}'
    (tmp_path / "t.jsonl").write_text(labels)
    table = scored(file, OTTO, OTTO.read_ground_truth(tmp_path / "t.jsonl"))
    assert table.row(1)[2:5] == (1, 2, 1), "119 is the 20th, 120 comes after it"


def test_labels_of_step_1(tmp_path) -> None:
    """The same truth as dense tables."""
    lists, truth = a_competition(3)
    file = write_submission(tmp_path / "s.csv", lists)
    wanted = scores(file, write_truth(tmp_path / "t.jsonl", truth))
    sessions = sorted({s for of in truth.values() for s in of}, reverse=True)
    rows = [
        (sessions.index(s), n, 39 - item, 1.0)
        for n, name in enumerate(TYPES)
        for s, item_ids in truth[name].items()
        for item in item_ids
    ]
    (tmp_path / "valid").mkdir()
    labels = pl.DataFrame(rows, schemas.LABELS, orient="row")
    labels.write_parquet(tmp_path / "valid" / "labels.parquet")
    table = pl.DataFrame({"session": sessions, "query": True}).cast(schemas.SESSIONS)
    table.write_parquet(tmp_path / "valid" / "sessions.parquet")
    item_ids = pl.DataFrame({"item_id": range(39, -1, -1)})
    item_ids.write_parquet(tmp_path / "items.parquet")
    found = scored(file, OTTO, score.read_labels(tmp_path / "valid" / "labels.parquet"))
    assert dict(found.select("objective", "score").iter_rows()) == pytest.approx(wanted)
    labels.drop("grade").write_parquet(tmp_path / "valid" / "labels.parquet")
    with pytest.raises(ValueError, match=r"valid/labels.parquet has .*; run step 1 again"):
        score.read_labels(tmp_path / "valid" / "labels.parquet")


def test_other_metrics_of_the_same_lists(tmp_path) -> None:
    """Session 1 has grades 2, 0, 1 by rank; 2 is judged without a positive; 3 has no row."""
    header = NEWS.submission_format().header
    (tmp_path / "s.csv").write_text(f"{header}\n1,10,11,12,13,14\n2,10,11,12,13,14\n")
    rows = [(1, 0, 10, 2), (1, 0, 11, 0), (1, 0, 12, 1), (2, 0, 10, 0), (3, 0, 10, 1)]
    truth = pl.DataFrame(rows, submission_rows.TRUTH, orient="row")
    table = score.also(NEWS.judged_items(tmp_path / "s.csv", truth), NEWS, truth)
    found = dict(table.select("metric", table.columns[1]).iter_rows())
    assert found == pytest.approx({
        "ndcg@5": (3 + 1 / 2) / (3 + 1 / log2(3)) / 3,
        "map@5": (1 + 2 / 3) / 2 / 3,
        "mrr@5": 1 / 3,
        "precision@5": 2 / 5 / 3,
        "hit@5": 1 / 3,
        "err@5:max_grade=2": (3 / 4 + 1 / 4 * 1 / 4 / 3) / 3,
    })  # fmt: skip
    assert table.columns[2:] == ["value"], "no total of one objective"
    assert "2^grade - 1" in table["value"][0]


def test_news_are_scored_by_place(tmp_path) -> None:
    """Mean over the users of 1 / place, 0 beyond the fifth and for a user without a row."""
    header = NEWS.submission_format().header
    (tmp_path / "s.csv").write_text(f"{header}\n1,10,11,12,13,14\n2,10,11,12,13,14\n")
    truth = "user_id,click_article_id,click_timestamp\n1,10,5\n2,12,5\n3,10,5\n"
    (tmp_path / "t.csv").write_text(truth)
    table = scored(tmp_path / "s.csv", NEWS, NEWS.read_ground_truth(tmp_path / "t.csv"))
    assert table["score"][-1] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert 0 <= table["low"][-1] < table["score"][-1] < table["high"][-1] <= 1


GOOD = '{"session": 1, "labels": {"clicks": 5}}'
BAD_TRUTH = {
    "no JSON": ("{", "line 2: malformed JSON"),
    "events": ('{"session": 7, "events": []}', 'line 2: no {"session": ..., "labels": {...}}'),
    "a list": ("[]", "line 2: no {"),
    "unknown objective": ('{"session": 7, "labels": {"click": 5}}', "unknown objective 'click'"),
    "no session": ('{"labels": {"clicks": 5}}', "the session: None; give whole numbers"),
    "item a string": ('{"session": 7, "labels": {"clicks": "5"}}', "clicks: 5; give whole"),
    "item true": ('{"session": 7, "labels": {"clicks": true}}', "clicks: True; give whole"),
    "item negative": ('{"session": 7, "labels": {"carts": [1, -1]}}', "carts: -1; give whole"),
    "item too big": (f'{{"session": 7, "labels": {{"carts": [{2**63}]}}}}', "from 0 to 2^63 - 1"),
    "key twice": ('{"session": 7, "session": 8, "labels": {}}', "a key appears twice"),
    "not UTF-8": ('{"session": 7, "labels": {"\xff": 5}}', "line 2: not UTF-8"),
    "session twice": (GOOD, "session 1 appears twice"),
}


@pytest.mark.parametrize("fault", BAD_TRUTH)
def test_a_fault_of_the_truth_names_its_line(tmp_path, fault) -> None:
    text, told = BAD_TRUTH[fault]
    path = tmp_path / "t.jsonl"
    path.write_text(f"{GOOD}\n{text}\n", encoding="latin-1")
    with pytest.raises(ValueError) as error:
        OTTO.read_ground_truth(path)
    assert str(error.value).startswith(f"{path}") and told in str(error.value)


def run(tool, capsys, **flags: object) -> tuple[int, str]:
    """Exit code and all that was said."""
    argv = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
    code = run_cli("tool", lambda: tool.body(tool.parse(argv)))
    said = capsys.readouterr()
    return code, said.out + said.err


def test_check_as_a_command(tmp_path, capsys) -> None:
    train = [(1, [(5, T0, TYPES[0]), (6, T0 + 9, TYPES[0])]), (2, [(7, T0, TYPES[1])])]
    worlds.write(tmp_path, "train", train)
    worlds.write(tmp_path, "test", [(3, [(8, T0 + 99, TYPES[0])])])
    file = write_submission(tmp_path / "s.csv", {name: {3: [5, 6, 8]} for name in TYPES})
    flags = {"dataset": "otto", "input": tmp_path, "file": file}
    code, said = run(check, capsys, **flags)
    assert code == 0 and "right, 3 rows for 1 queries, of 4 items" in said
    file.write_text(file.read_text().replace("5 6 8", "5 9") + "2_carts,7\n")
    code, said = run(check, capsys, **flags)
    assert code == 2 and "s.csv, line 2: unknown item in 5 9; write raw ids" in said
    assert "s.csv, line 5: session 2 is no query; drop the row" in said
    (tmp_path / "train.jsonl").unlink()
    code, said = run(check, capsys, **flags)
    assert code == 2 and "unknown item" not in said and "line 5" in said
    for missing in ("test.jsonl", "s.csv"):
        (tmp_path / missing).unlink()
        code, said = run(check, capsys, **flags)
        assert code == 2 and missing in said and said.count("\n") == 1


def test_score_as_a_command(tmp_path, capsys) -> None:
    lists, truth = a_competition(1)
    file = write_submission(tmp_path / "s.csv", lists)
    flags = {"dataset": "otto", "file": file, "labels": write_truth(tmp_path / "t.jsonl", truth)}
    code, said = run(score, capsys, **flags)
    total = organisers_score(lists, truth)["total"]
    assert code == 0 and f"{total:.4f}" in said and "recall@20" in said
    assert "all hits over all min(20, positives)" in said and "ndcg@10" in said
    items = [item for o in lists for s in lists[o].keys() & truth[o].keys()
             for item in lists[o][s][:20]]  # fmt: skip
    assert f"{len(set(items)):,} different items in {len(items):,} places" in said
    assert "coverage" not in said, "the organisers' file does not tell the catalogue"
    text = file.read_text()
    for spoilt, told in [
        (text + "x\n", "is not <session>_<objective>,<items>; write it so (make check lists"),
        (text + text.splitlines()[1] + "\n", "a row that was there before; keep one"),
        (text.partition("\n")[0] + "\n1_carts,5\n", "no row for any query of the labels"),
        ("", "line 1: the header is ''"),
    ]:
        file.write_text(spoilt)
        code, said = run(score, capsys, **flags)
        assert code == 2 and told in said and said.count("\n") == 1
