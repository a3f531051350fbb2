"""Students of bench/students.py on planted lists: what they draw, what they learn, survivor bias.

pytest tests/prerankers/test_students.py
"""

from __future__ import annotations

import numpy as np
import pytest

from bench.prerankers import RANDOM, with_random_items
from bench.students import (
    SEGMENTS,
    Distillation,
    Labels,
    Lists,
    PairRecipe,
    borders,
    head_tail,
    net_scores,
    one_of_each,
    positive_not_shown,
    segment_pairs,
    tree_scores,
)
from src.candidates.pool import Pool
from src.candidates.pool_kernel import ABSENT
from src.prerankers.agreement import hit_rate, ranks

POOL, MORE, LISTS = 80, 20, 120
RNG = np.random.default_rng


def planted(seed: int, survivors: bool) -> Lists:
    """Lists of items with three features: a and b make the teacher's score, c is noise.

    Items with b = 1 are good, but an earlier pre-ranker drops them: the pools of its survivors have
    none. Random items of the catalogue have b = 1 as often as not.
    """
    rng, n = RNG(seed), LISTS * (POOL + MORE)
    in_pool = np.tile(np.arange(POOL + MORE) < POOL, LISTS)
    b, c = (rng.random(n) < 0.5) * 1.0, rng.normal(size=n)
    if survivors:
        b[in_pool] = 0
    a = rng.normal(size=n) - 2 * b
    teacher = (a + 4 * b).astype(np.float32)
    gain = (teacher > 2).astype(np.float32) * in_pool
    offsets = np.arange(LISTS + 1) * (POOL + MORE)
    return Lists(np.column_stack([a, b, c]).astype(np.float32), offsets, teacher, gain, in_pool)


def hit(score: np.ndarray, lists: Lists) -> float:
    """Mean Hit@(10 -> 20) over lists."""
    found = []
    for query in range(lists.n):
        rows = lists.rows(query)
        order, teacher = ranks(score[rows], rows), ranks(lists.teacher[rows], rows)
        found.append(hit_rate(teacher, order, 10, 20))
    return float(np.mean(found))


@pytest.mark.parametrize("geometric", [False, True])
def test_good_items_that_an_earlier_cut_drops_come_back_with_random_items_only(
    geometric: bool,
) -> None:
    """Survivor bias: the whole catalogue is ranked, after learning from survivors."""
    train, whole = planted(0, survivors=True), planted(1, survivors=False)
    without = net_scores(Distillation(geometric), train, whole.X, 0, hidden=0)
    recovered = net_scores(Distillation(geometric, random=True), train, whole.X, 0, hidden=0)
    assert hit(without, whole) < 0.3
    assert hit(recovered, whole) > 0.7


def test_trees_recover_them_too() -> None:
    train, whole = planted(0, survivors=True), planted(1, survivors=False)
    assert hit(tree_scores(Distillation(None), train, whole.X, 0), whole) < 0.3
    recovered = tree_scores(Distillation(None, random=True), train, whole.X, 0)
    assert hit(recovered, whole) > 0.9


@pytest.mark.parametrize(
    "objective",
    [Labels(), Distillation(None), Distillation(False), Distillation(True),
     PairRecipe(head_tail), PairRecipe(segment_pairs), PairRecipe(positive_not_shown)],
    ids=lambda row: str(row).partition(" at ")[0],
)  # fmt: skip
def test_every_recipe_learns_the_order(
    objective: Labels | Distillation | PairRecipe,
) -> None:
    train, test = planted(2, survivors=False), planted(3, survivors=False)
    assert hit(net_scores(objective, train, test.X, 0), test) > 0.9


def test_segments_cover_all_ranks_and_are_narrow_at_the_head() -> None:
    for n in (1, 5, 16, 150, 400):
        for geometric in (False, True):
            edges = borders(n, min(SEGMENTS, n), geometric)
            assert edges[0] == 0 and edges[-1] == n and (np.diff(edges) > 0).all()
            drawn = one_of_each(np.arange(n), geometric, RNG(0))
            assert ((drawn >= edges[:-1]) & (drawn < edges[1:])).all()
    assert np.diff(borders(150, SEGMENTS, True))[0] == 1
    assert np.ptp(np.diff(borders(160, SEGMENTS, False))) == 0


def test_pairs_have_the_better_one_first() -> None:
    lists = planted(4, survivors=False)
    for pairs in (head_tail, segment_pairs, positive_not_shown):
        better, worse = pairs(lists, 7, RNG(1))
        assert better.size == worse.size > 0
        assert (lists.teacher[better] > lists.teacher[worse]).all()
    better, worse = positive_not_shown(lists, 7, RNG(1))
    assert (lists.gain[better] > 0).all() and (lists.gain[worse] == 0).all()


def test_targets_of_logits_sum_to_one() -> None:
    lists = planted(5, survivors=False)
    rows, target = Distillation(True, random=True).rows(lists, 0, RNG(0))
    assert target.sum() == pytest.approx(1) and (~lists.in_pool[rows]).sum() == 4
    logs = np.log(target) - lists.teacher[rows]
    assert np.ptp(logs) == pytest.approx(0, abs=1e-5)


def test_lists_without_a_positive_or_a_candidate_teach_nothing() -> None:
    lists = planted(6, survivors=False)
    lists.gain[:] = 0
    assert Labels().rows(lists, 0, RNG(0))[0].size == 0
    assert positive_not_shown(lists, 0, RNG(0))[0].size == 0


def test_random_items_stand_behind_the_pool() -> None:
    item = np.arange(5, dtype=np.int32)
    pool = Pool(3, np.array([0, 2, 2, 5]), item, np.ones(5, np.float32),
                np.zeros((5, 2), np.uint16), np.ones((5, 2), np.float32))  # fmt: skip
    wide = with_random_items(pool, 50, 0)
    assert np.diff(wide.offsets).tolist() == [2 + RANDOM, 0, 3 + RANDOM]
    assert wide.item[:2].tolist() == [0, 1] and wide.item[2 + RANDOM :][:3].tolist() == [2, 3, 4]
    assert (wide.ranks[2 : 2 + RANDOM] == ABSENT).all() and (wide.scores[-RANDOM:] == 0).all()
