"""Rows that step 2 counts: item-item matrices, of events or of pairs of sessions."""

from __future__ import annotations

from dataclasses import dataclass

from src.data.units import Weights


@dataclass(frozen=True)
class CovisitationMatrix:
    """One item-item co-occurrence matrix: which pairs of a session's events vote, and how much.

    An event pair (x, y) of one session votes for neighbour y of item x when x is not y and every
    condition below holds. Its vote is the product of all weights; a vote of 0 is no vote. Events
    are first filtered (`types`, `last_days`), then trimmed (`tail`); positions, session lengths
    and item counts are those of the events that are left.
    """

    name: str
    types: tuple[int, ...] | None = None  # event types kept; None: all
    last_days: float | None = None  # only events of the last days of the split's own history
    tail: int | None = None  # only the last events of each session
    first_only: bool = False  # x is the first event of its session
    direction: str = "both"  # "forward": y comes after x, by position
    within: int | None = None  # |ts_y - ts_x| < within seconds
    steps: int | None = None  # at most so many positions apart
    source_weight: Weights = (1.0, 1.0, 1.0)  # by the type of x
    target_weight: Weights = (1.0, 1.0, 1.0)  # by the type of y
    recency: float = (
        0.0  # times 1 + recency * (age of x from the oldest, 0, to the newest event, 1)
    )
    half_life: float | None = None  # times 0.5 ** (seconds apart / half_life)
    step_decay: float = 1.0  # times step_decay ** (positions apart - 1)
    once: bool = True  # only the heaviest vote of a session for (x, y) counts; else all do
    session_norm: bool = False  # times 1 / ln(1 + session length): ItemCF's penalty for activity
    item_norm: float = 0.0  # in the end, divided by (count of x * count of y) ** item_norm
    top_n: int = 40  # neighbours kept: by weight, ties by item id

    def __post_init__(self) -> None:
        if self.direction not in ("both", "forward"):
            raise ValueError(f"matrix {self.name}: direction is 'both' or 'forward'")
        weights = self.source_weight + self.target_weight
        if min(weights) < 0 or not 0 < self.step_decay <= 1 or self.top_n < 1:
            raise ValueError(
                f"matrix {self.name}: weights are at least 0, top_n at least 1, "
                "step_decay in (0, 1]"
            )
        bounds = (self.steps, self.within, self.half_life, self.tail, self.types)
        if bounds == (None,) * 5 and not self.first_only:
            raise ValueError(
                f"matrix {self.name}: every pair of a long session would vote; "
                "set tail, within, steps or half_life"
            )


@dataclass(frozen=True)
class SwingMatrix:
    """What pairs of sessions with an item share beside it: Swing (Yang et al., 2020).

    A pair that has x and y votes 1 / (alpha + items it shares) for both to be neighbours, divided
    by the root of the product of the sessions' numbers of items: few common items say more.
    """

    name: str
    alpha: float = 1.0
    sessions: int = 100  # the latest ones of each item that are paired
    items: int = 100  # the latest different ones of each session that are looked at
    top_n: int = 40  # neighbours kept: by weight, ties by item id

    def __post_init__(self) -> None:
        if min(self.sessions, self.items, self.top_n) < 1 or self.alpha <= 0:
            raise ValueError(f"matrix {self.name}: alpha above 0, all counts at least 1")
