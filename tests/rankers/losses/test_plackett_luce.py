"""Recovery of the model that rankings were drawn from.

pytest tests/rankers/losses/test_plackett_luce.py
"""

from __future__ import annotations

import numpy as np
import torch
from ragged import offsets_of
from torch import Tensor

from src.rankers.losses.base import Loss
from src.rankers.losses.listmle import ListMLE
from src.rankers.losses.pairs import RankNet

REPEATS, RANKINGS, ITEMS = 30, 200, 6
TRUE = np.linspace(2.5, -2.5, ITEMS)


def estimates(row: Loss, rankings: Tensor) -> np.ndarray:
    """Scores with mean 0 that each repeat fits: (repeats, items).

    rankings: items of lists from best to worst, (repeats, lists, places).
    """
    scores = torch.zeros(REPEATS, ITEMS, dtype=torch.float64, requires_grad=True)
    lists, places = rankings.shape[1:]
    grades = torch.arange(places, 0, -1).repeat(REPEATS * lists)
    offsets = offsets_of([places] * REPEATS * lists)
    optimizer = torch.optim.LBFGS([scores], lr=1, max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value: Tensor = REPEATS * row(
            scores.gather(1, rankings.flatten(1)).flatten(), grades, offsets
        )
        value.backward()
        return value

    optimizer.step(loss)
    return (scores - scores.mean(1, keepdim=True)).detach().numpy()


def test_the_likelihood_and_all_pairs_recover_the_scores_and_adjacent_pairs_do_not() -> None:
    """Rankings are drawn by sorts of scores plus Gumbel noise; 3 standard errors of the mean."""
    rng = np.random.default_rng(0)
    drawn = (-TRUE - rng.gumbel(size=(REPEATS, RANKINGS, ITEMS))).argsort(2)
    rankings = torch.from_numpy(drawn)
    adjacent = rankings.unfold(2, 2, 1).flatten(1, 2)
    found = {
        "likelihood": estimates(ListMLE(), rankings),
        "pairs": estimates(RankNet(), rankings),
        "adjacent": estimates(RankNet(), adjacent),
    }
    off = {name: np.abs(e.mean(0) - TRUE) / (e.std(0) / REPEATS**0.5) for name, e in found.items()}
    assert off["likelihood"].max() < 3 and off["pairs"].max() < 3
    assert off["adjacent"].max() > 10
    error = {name: np.square(e - TRUE).mean() for name, e in found.items()}
    assert error["likelihood"] < error["pairs"] < error["adjacent"]
