"""Items of a submission, judged or not: how many there are, and which are hits.

pytest tests/tools/test_score_items.py
"""

from __future__ import annotations

import json
from math import log2
from pathlib import Path

import polars as pl
import pytest
from worlds import OTTO

from src.data.splits import Split
from src.datasets import submission_rows
from src.metrics.recall import Recall
from src.tools import score


def test_all_items_of_the_lists_are_counted(tmp_path) -> None:
    """Lists 5 6 and 6 7 of queries of the labels, 7 is in none; another query does not count."""
    split = tmp_path / "valid"
    split.mkdir()
    pl.DataFrame({"item_id": [5, 6, 7, 8]}).write_parquet(tmp_path / "items.parquet")
    pl.DataFrame({"item": [0, 0, 1, 3]}).write_parquet(split / "events.parquet")
    file = tmp_path / "s.csv"
    rows = ["1_clicks,5 6", "2_clicks,6 7", "3_clicks,8"]
    file.write_text("\n".join([OTTO.submission_format().header, *rows]) + "\n")
    truth = pl.DataFrame([(1, 0, 9, 1), (2, 0, 6, 1)], submission_rows.TRUTH, orient="row")
    counts = OTTO.listed_items(file, truth)
    assert dict(counts.iter_rows()) == {5: 1, 6: 2, 7: 1}
    told = "3 different items in 4 places of the judged lists"
    assert score.variety(counts, None) == told
    bits = -(log2(3 / 8) + 2 * log2(2 / 8) + log2(1 / 8)) / 4
    assert score.variety(counts, split) == f"{told}: coverage 75.00%, novelty {bits:.1f} bits"


def test_text_ids_that_the_truth_lacks_are_no_hits() -> None:
    """The only positive is m; a list without it scores 0, whatever stands before it by name."""
    truth = pl.DataFrame({"session": ["u"], "objective": [0], "item": ["m"], "grade": [1.0]})
    for items, hit in [(["a", "b", "y"], 0.0), (["a", "m"], 1.0)]:
        listed = pl.DataFrame({"session": "u", "objective": 0, "item": items, "grade": 1.0,
                               "rank": range(len(items))})  # fmt: skip
        truth_numbers, numbers = score.numbered(truth, listed)
        assert numbers["item"].n_unique() == len(items)
        assert score.score_one(numbers, truth_numbers, 0, Recall(20)).score() == hit


def test_lists_of_test_are_no_answer_to_labels_of_valid(tmp_path: Path) -> None:
    """`test` sees what `valid` hides."""
    splits = [vars(Split(name, name, "", 9, 3)) for name in ("valid", "test")]
    own = tmp_path / "submission.csv"
    for name in ("valid", "test"):
        (tmp_path / "splits.json").write_text(json.dumps(splits))
        labels = tmp_path / name / "labels.parquet"
        score.require_own_split(tmp_path / "other.csv", labels, own.name)
        if name == "test":
            score.require_own_split(own, labels, own.name)
            continue
        with pytest.raises(ValueError, match=r"answers test, which sees what valid hides"):
            score.require_own_split(own, labels, own.name)
        (tmp_path / "splits.json").write_text(json.dumps(splits[:1]))
        score.require_own_split(own, labels, own.name)
