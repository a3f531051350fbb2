"""Measure lists of items as a whole: how much of the catalogue they show, and how novel it is."""

from __future__ import annotations

import numpy as np

from src.core.arrays import I64


def coverage(listed: I64) -> float:
    """Compute the share of the catalogue that is in any list; listed: times of each item."""
    return float((listed > 0).mean()) if listed.size else 0.0


def novelty(listed: I64, events: I64) -> float:
    """Compute the mean self-information of the listed items, in bits: rare items are novel.

    Vargas and Castells, RecSys 2011: -log2 of the share of an item in all events. An event more for
    each item gives unseen ones a share. 0 without a listed item.

    listed, events: int64 (items), how often each is listed, and was seen.
    """
    share = (events + 1) / (events.sum() + events.size)
    return float(-(listed * np.log2(share)).sum() / max(int(listed.sum()), 1))
