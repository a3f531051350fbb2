"""What scores the sampled softmax leads to, in a world of one query without towers.

pytest tests/embeddings/test_two_tower_loss.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import START, sessions_of
from polars import DataFrame

from src.data.schemas import EVENTS
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.two_tower_batches import NegativeSampler, SampledNegatives, Targets
from src.embeddings.two_tower_loss import sampled_softmax

ITEMS, DRAWS, BATCH, STEPS = 60, 20, 256, 1500
EVENT_COUNT = np.round(2000 / (1 + np.arange(ITEMS)) ** 0.7).astype(int)


def draw_from(exponent: float) -> NegativeSampler:
    """A sampler of items with these numbers of events."""
    rows = [(0, item, START, 0) for item, n in enumerate(EVENT_COUNT) for _ in range(n)]
    row = TwoTowerEmbedding("net", batch_negatives=DRAWS, ns_exponent=exponent)
    return NegativeSampler(sessions_of(DataFrame(rows, schema=EVENTS, orient="row")), row)


def of_queries(item: np.ndarray) -> Targets:
    """One target for each query."""
    n = np.arange(item.size)
    return Targets(n, n * 0, n, item, np.full(item.size, 1 / item.size, np.float32))


def learned_scores(sampler: NegativeSampler, corrected: bool) -> np.ndarray:
    """A free score per item, learned from targets that are drawn by p; the mean of late steps."""
    torch.set_num_threads(1)  # two would wait for each other at every step
    rng, score = np.random.default_rng(1), torch.zeros(ITEMS, requires_grad=True)
    p, unit = chance_of_target(), torch.eye(ITEMS)
    adam = torch.optim.Adam([score], lr=0.03)
    late = []
    for step in range(STEPS):
        targets = of_queries(rng.choice(ITEMS, BATCH, p=p))
        items, log_chance = sampler.draw(rng)
        negatives = SampledNegatives(items, log_chance * corrected, ITEMS)
        query = score.expand(BATCH, ITEMS)
        adam.zero_grad()
        sampled_softmax(query, unit, targets, targets.item, negatives).backward()
        adam.step()
        if step > STEPS / 2:
            late.append(score.detach().numpy().copy())
    return np.mean(late, axis=0)


def chance_of_target() -> np.ndarray:
    """What the query wants: not what is popular."""
    weight = np.exp(np.random.default_rng(2).normal(size=ITEMS))
    return weight / weight.sum()


@pytest.mark.parametrize(("corrected", "slope"), [(True, 0.0), (False, -1.0)])
def test_the_correction_takes_the_chance_of_a_draw_out_of_the_score(
    corrected: bool, slope: float
) -> None:
    """Regress (score - ln p) on ln(chance that an item is drawn)."""
    sampler = draw_from(1.0)
    rest = learned_scores(sampler, corrected) - np.log(chance_of_target())
    fitted, _ = np.polyfit(sampler.log_chance, rest, 1)
    assert fitted == pytest.approx(slope, abs=0.12)


def gradient_of_own_target(masked: bool) -> float:
    """How a query with targets 3 and 7 pushes the score of 7, where 3 is to be told apart."""
    score = torch.zeros(1, ITEMS, requires_grad=True)
    two = np.array([3, 7])
    targets = Targets(two * 0, two * 0, two * 0, two, np.array([1, 0], np.float32))
    items = np.array([3, 5, 7])
    negatives = SampledNegatives(items, np.zeros(3, np.float32), ITEMS)
    if not masked:
        targets = replace(targets, query=two[:1] * 0, item=two[:1], weight=targets.weight[:1])
    rows = targets.item
    sampled_softmax(score, torch.eye(ITEMS), targets, rows, negatives).backward()
    gradient = score.grad
    assert gradient is not None and gradient[0, 5] > 0
    return gradient[0, 7].item()


def test_a_known_positive_of_the_query_is_not_pushed_away() -> None:
    assert gradient_of_own_target(masked=True) == 0
    assert gradient_of_own_target(masked=False) > 0.1, "a positive that nobody knows is"
