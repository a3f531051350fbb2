"""The comparison of students on planted splits: who sees what, and the bounds of its columns.

pytest tests/prerankers/test_bench_prerankers.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted import run_in
from pools_world import CANDIDATES, CHEAP, KEEP, WHOLE, steps, write_world

from bench.prerankers import RANDOM, Data, line
from bench.students import Distillation, Lists, tree_scores
from src.core.arrays import F32


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder: Path = write_world(tmp_path_factory.mktemp("planted"))
    run = run_in(folder, WHOLE)
    steps(run)
    return Data(run, CHEAP, 10**6)


def test_lists_are_pools_with_random_items_behind(data: Data) -> None:
    sizes = np.diff(data.lists.offsets)
    assert (
        set(sizes) <= {0, KEEP - 2 + RANDOM, CANDIDATES + RANDOM} and data.fold.size == sizes.size
    )
    assert (~data.lists.in_pool).sum() == RANDOM * (sizes > 0).sum()
    assert (data.lists.gain[~data.lists.in_pool] == 0).all() and data.lists.gain.max() <= 0.4


def test_no_student_learns_from_a_list_that_it_scores(data: Data) -> None:
    seen: list[tuple[int, int]] = []

    def student(train: Lists, X: F32, seed: int) -> F32:
        seen.append((len(train.X), len(X)))
        assert not {row.tobytes() for row in train.X} >= {row.tobytes() for row in X}
        return np.zeros(len(X), np.float32)

    data.out_of_fold(student, 0)
    assert [sum(pair) for pair in seen] == [len(data.lists.X)] * data.recipe.folds


def test_the_teacher_loses_nothing_and_a_random_order_its_share(data: Data) -> None:
    _, _, recall, hit, ndcg, tau, score, delta, interval = line(
        data, CANDIDATES, ("", ""), [data.lists.teacher]
    )
    assert (hit, ndcg, tau, delta) == ("1.000", "1.000", "1.000", "+0.0000")
    assert recall == "1.000 1.000" and float(score) > 0 and interval == "[0.0000, 0.0000]"
    random = data.agreement(data.random_order(0), KEEP)
    assert random[0] == pytest.approx(KEEP / CANDIDATES, abs=0.1), "more in small pools"
    assert abs(random[2]) < 0.05


def test_a_student_of_the_order_agrees_more_than_the_pool(data: Data) -> None:
    order = data.out_of_fold(lambda *args: tree_scores(Distillation(None), *args), 0)
    assert (np.array(data.agreement(order, KEEP)) > data.agreement(data.pool_order(), KEEP)).all()
