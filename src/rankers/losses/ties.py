"""Costs of the stages of a Plackett-Luce ranking whose grades tie.

A function takes lists that are sorted by grade, highest first, and their groups of equal grades. It
returns a cost per item, (lists, longest): the cost of a group is the sum over its items. The lowest
group has nothing below it, so it says nothing: its costs, except those of `shuffled`, and those of
pads are not to be used.
"""

from __future__ import annotations

import torch
from torch import Tensor

from src.rankers.losses.exact_ties import log_probability
from src.rankers.losses.lists import Groups, Lists


def shuffled(lists: Lists, groups: Groups) -> Tensor:
    """Take the order as it stands: ln(sum of e^s from here on) - s. The last item costs 0."""
    return _suffix(lists) - lists.scores


def unique(lists: Lists, groups: Groups) -> Tensor:
    """Compare each item with itself and lower grades alone: no term between equal grades."""
    return lists.scores.logaddexp(_below(lists, groups)) - lists.scores


def breslow(lists: Lists, groups: Groups) -> Tensor:
    """Compare each item with its whole group and all below (Breslow, 1974)."""
    return _suffix(lists).gather(1, groups.start) - lists.scores


def efron(lists: Lists, groups: Groups) -> Tensor:
    """As Breslow, but the r-th item, from 0, finds r/d of its d equals gone (Efron, 1977)."""
    position = torch.arange(lists.longest, device=groups.start.device)
    gone = (position - groups.start) / groups.size
    left = _within(lists, groups) + (-gone).log1p().to(lists.scores.dtype)
    return left.logaddexp(_below(lists, groups)) - lists.scores


def exact(lists: Lists, groups: Groups) -> Tensor:
    """Compute -ln P(the whole group, in any order, before all below): exact for ties."""
    counted = (groups.end < lists.size[:, None]) & lists.mask
    log_weight = (lists.scores - _below(lists, groups))[counted]
    first = torch.arange(lists.longest, device=counted.device) == groups.start
    group = first[counted].cumsum(0) - 1
    log_p = log_probability(log_weight.double(), group)
    cost = -log_p[group] / groups.size[counted]
    return torch.zeros_like(lists.scores).masked_scatter(counted, cost.to(lists.scores.dtype))


def _suffix(lists: Lists) -> Tensor:
    """Return ln(sum of e^s) over each item and all behind it."""
    return lists.scores.flip(1).logcumsumexp(1).flip(1)


def _below(lists: Lists, groups: Groups) -> Tensor:
    """Return ln(sum of e^s) over all items of lower grades; a pad's score if there are none."""
    floor = lists.scores.new_full((lists.count, 1), lists.floor)
    return torch.cat([_suffix(lists), floor], 1).gather(1, groups.end)


def _within(lists: Lists, groups: Groups) -> Tensor:
    """Return ln(sum of e^s) over the group of each item."""
    scores, start = lists.scores, groups.start
    highest = torch.full_like(scores, lists.floor)
    highest = highest.scatter_reduce(1, start, scores.detach(), "amax").gather(1, start)
    total = torch.zeros_like(scores).scatter_add(1, start, (scores - highest).exp())
    return total.gather(1, start).log() + highest
