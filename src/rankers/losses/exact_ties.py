"""Probability that tied items stand before all lower ones, in any order, by quadrature."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

NODES = 64  # of the Gauss-Legendre rule
DROP = 27.0  # the integral ends where the integrand is e^-27 of its peak: 2e-12
CERTAIN = 6.0  # of y: 1 - exp(-e^y) is 1
SEARCH_NODES, SEARCHES = 32, 2  # to find these ends


def log_probability(log_weight: Tensor, group: Tensor) -> Tensor:
    """Compute ln P(each group stands before the rest of its list): float64 (groups).

    log_weight: float64 (rows), ln(weight of the item / weight of all below its group). group: of
    each row, from 0, ascending.

    With a_i = weight of item i over that of all below, P = integral over t > 0 of
    e^-t prod(1 - e^(-a_i t)): items arrive at exponential times, and t is the first arrival from
    below. With t = e^x the logarithm of the integrand is concave in x, its peak lies between 0 and
    ln(1 + items), and no factor under- or overflows. Memory: (rows, NODES).
    """
    with torch.no_grad():
        low, high = _ends(log_weight, group)
        nodes, weights = (torch.from_numpy(a).to(log_weight.device) for a in _legendre())
        x = low[:, None] + (high - low)[:, None] * nodes
        log_width = (high - low).log()[:, None] + weights.log()
    return (_log_integrand(log_weight, group, x) + log_width).logsumexp(1)


def _log_integrand(log_weight: Tensor, group: Tensor, x: Tensor) -> Tensor:
    """Return x - e^x + sum ln(1 - exp(-a_i e^x)): (groups, nodes); x: (groups, nodes)."""
    y = (log_weight[:, None] + x[group]).clamp(max=CERTAIN)
    small = y < -20  # then 1 - exp(-e^y) is e^y but for 1e-9 of it
    factor = (-(-y.masked_fill(small, 0.0).exp()).expm1()).log()
    return (x - x.exp()).index_add(0, group, torch.where(small, y, factor))


def _ends(log_weight: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the integrand begins and ends: it has fallen by DROP."""
    count = torch.bincount(group).to(log_weight)
    low, high = (
        torch.full_like(count, -DROP - 1),
        (1 + count + 10 * (1 + count).sqrt() + DROP).log(),
    )
    for _ in range(SEARCHES):
        x = low[:, None] + (high - low)[:, None] * torch.linspace(0, 1, SEARCH_NODES).to(low)
        value = _log_integrand(log_weight, group, x)
        inside = value > value.amax(1, keepdim=True) - DROP
        step = (high - low) / (SEARCH_NODES - 1)
        first = inside.byte().argmax(1)
        last = SEARCH_NODES - 1 - inside.flip(1).byte().argmax(1)
        low, high = low + (first - 1).clamp(min=0) * step, low + (last + 1) * step
    return low, high


@lru_cache(maxsize=1)
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of the rule on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1) / 2, weights / 2
