"""The comparison with LightGBM's example: our reader and metric on files of the same form.

pytest tests/datasets/test_letor_example.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from letor import Doc, planted, text, write

from bench import letor_example
from bench.letor_example import lightgbm_ndcg, main, our_ndcg, read
from src.cli import parse
from src.core.run import Run


def lists_of(queries: int, seed: int) -> list[list[Doc]]:
    """Lists of unnamed documents; some have no positive, some have it the other way round."""
    lists = [[(g, v, "") for g, v, _ in docs] for docs in planted(queries, seed).values()]
    few = lists[:9]
    lists = lists + [[(0, values, "") for _, values, _ in docs] for docs in few]
    return lists + [[(2 - grade, values, "") for grade, values, _ in docs] for docs in few]


TRAIN, TEST = lists_of(40, 1), lists_of(30, 2)


def flags(folder: Path) -> list[str]:
    """Flags of a run on files without qids."""
    for name, lists in (("train", TRAIN), ("test", TEST)):
        write(folder / "in", **{f"rank_{name}": "".join(text(None, docs) for docs in lists)})
        sizes = "".join(f"{len(docs)}\n" for docs in lists)
        (folder / "in" / f"rank.{name}.query").write_text(sizes)
    return ["--dataset", "letor", "--input", str(folder / "in"), "--output", str(folder / "out")]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with the tables of step 1."""
    run = parse("", Path("1_preparation.py"), [*flags(tmp_path), "--engine", "cpu"])
    run.dataset.prepare(run)
    return run


def test_matrices_are_in_the_order_of_the_file(run: Run) -> None:
    matrix = read(run, "test")
    docs = [doc for query in TEST for doc in query]
    assert matrix.grade.tolist() == [grade for grade, _, _ in docs]
    wanted = np.array([[values[1], values[2]] for _, values, _ in docs], np.float32)
    np.testing.assert_array_equal(matrix.X[:, :2], wanted)
    assert np.bincount(matrix.query).tolist() == [len(query) for query in TEST]


def test_our_metric_is_that_of_lightgbm(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letor_example, "ROUNDS", 2)  # few leaves: equal scores
    test = read(run, "test")
    theirs, score = lightgbm_ndcg(read(run, "valid"), test)
    assert np.unique(score).size < score.size / 4
    assert our_ndcg(test, score) == pytest.approx(theirs, abs=1e-12)
    assert 0.5 < theirs[2] < 1


def test_other_data_are_not_the_documented_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags(tmp_path)) == 1
    assert "documented" in capsys.readouterr().out
