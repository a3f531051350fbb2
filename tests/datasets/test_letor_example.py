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


def example(folder: Path) -> Path:
    """Files without qids; some queries have no positive, and many documents have equal scores."""
    for name, queries, seed in (("train", 40, 1), ("test", 30, 2)):
        lists: list[list[Doc]] = list(planted(queries, seed).values())
        lists += [[(0, values, "") for _, values, _ in docs] for docs in lists[:9]]
        lists += [[(2 - grade, values, "") for grade, values, _ in docs] for docs in lists[:9]]
        write(folder, **{f"rank_{name}": "".join(text(None, docs) for docs in lists)})
        sizes = "".join(f"{len(docs)}\n" for docs in lists)
        (folder / f"rank.{name}.query").write_text(sizes)
    return folder


def test_matrices_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    matrix = read(example(tmp_path) / "rank.test", "test", 7)
    docs = [doc for query in planted(30, 2).values() for doc in query]
    assert matrix.X.shape[1] == 7 and matrix.grade[: len(docs)].tolist() == [d[0] for d in docs]
    wanted = np.array([[0, doc[1][1], doc[1][2]] for doc in docs], np.float32)
    np.testing.assert_array_equal(matrix.X[: len(docs), :3], wanted)
    sizes = [len(query) for query in planted(30, 2).values()]
    assert np.bincount(matrix.query)[:30].tolist() == sizes


def test_our_metric_is_that_of_lightgbm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = example(tmp_path)
    train, test = read(folder / "rank.train", "train"), read(folder / "rank.test", "test")
    monkeypatch.setattr(letor_example, "ROUNDS", 2)  # few leaves: equal scores
    theirs, score = lightgbm_ndcg(train, test)
    assert np.unique(score).size < score.size / 4
    assert our_ndcg(test, score) == pytest.approx(theirs, abs=1e-12)
    assert 0.5 < theirs[2] < 1


def test_other_data_are_not_the_documented_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--input", str(example(tmp_path))]) == 1
    assert "documented" in capsys.readouterr().out
