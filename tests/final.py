"""Final lists for tests, from tables of items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from src.core.arrays import offsets_of_sizes
from src.data.schemas import FinalList


def final_list(sessions: Sequence[int], items: Sequence[Sequence[int]]) -> FinalList:
    """Lists of dense sessions; a list ends at its first -1, and its scores fall from 0."""
    lists = [[item for item in row if item >= 0] for row in items]
    item = np.array([item for row in lists for item in row], np.int32)
    score = np.array([-n for row in lists for n in range(len(row))], np.float32)
    offsets = offsets_of_sizes(np.array([len(row) for row in lists]))
    return FinalList(np.array(sessions, np.int32), offsets, item, score)
