"""The flags of a log: what is held out, what counts as right, and how lists are scored."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, nan

from src.datasets.interactions.columns import parse_columns
from src.datasets.interactions.holdout import HELP, TIME, Holdout
from src.datasets.interactions.types import type_name
from src.metrics.base import Metric
from src.metrics.named import metric_named

MAX_K = 150  # items of a list: as many as a pool has
ALL, UNSEEN, HELD_OUT = "all", "unseen", "held-out"
DEFAULTS = {
    "columns": "", "split": "time", "test": ALL, "candidates": ALL, "metric": "recall@20",
    "relevant": "", "grades": "", "weights": "",
}  # fmt: skip
HELPS = {
    "columns": "columns of the log, like user=uid,item=iid,time=ts,type=kind,rating=stars; by "
    "number from 1 in files without header; time=day+offset for two columns (by usual names)",
    "split": f"{HELP} (time)",
    "test": "all: a list for every user, or for every session of the last window; held-out: test "
    "is hidden by the rule of --split, and valid in what is left (all)",
    "candidates": "all items; unseen, those that the user has not had; held-out, only the user's "
    "hidden items, to put them in order (all)",
    "metric": "recall@20, ndcg@10, mrr@5, map@10, ... (recall@20)",
    "relevant": "lowest rating of a positive; without it, every row is one",
    "grades": "rating: the rating is the grade of a positive; without it, the grade is 1",
    "weights": "weights of event types in the total, like clicks=0.1,orders=0.6; a type that is "
    "not named is not predicted (all equal)",
}


def add_flags(parser: argparse.ArgumentParser, names: Iterable[str] = tuple(DEFAULTS)) -> None:
    """Add the flags of these names; without a value they are None."""
    choices = {"test": (ALL, HELD_OUT), "candidates": (ALL, UNSEEN, HELD_OUT),
               "grades": ("rating",)}  # fmt: skip
    for name in names:
        parser.add_argument(f"--{name}", help=HELPS[name], choices=choices.get(name))


def given_flags(args: argparse.Namespace, names: Iterable[str]) -> dict[str, str]:
    """Return those of the flags of these names that have a value."""
    flags = {name: getattr(args, name, None) for name in names}
    return {name: value for name, value in flags.items() if value is not None}


@dataclass(frozen=True)
class Flags:
    """The parsed flags."""

    columns: str
    holdout: Holdout
    test_held_out: bool
    candidates: str  # ALL, UNSEEN or HELD_OUT
    metric: Metric
    relevant: float | None
    grades: bool
    weights: tuple[tuple[str, float], ...]  # by event type; none: equal

    @classmethod
    def parse(cls, texts: dict[str, str]) -> Flags:
        """Parse all flags; raise ValueError, with the cure, for a wrong one."""
        parse_columns(texts["columns"])
        return cls(
            columns=texts["columns"],
            holdout=Holdout.parse(texts["split"]),
            test_held_out=texts["test"] == HELD_OUT,
            candidates=texts["candidates"],
            metric=_metric(texts["metric"]),
            relevant=_number("relevant", texts["relevant"]) if texts["relevant"] else None,
            grades=texts["grades"] != "",
            weights=_weights(texts["weights"]),
        )

    @property
    def by_time(self) -> bool:
        """Whether the last window of the log is held out."""
        return self.holdout.rule == TIME

    @property
    def reads_ratings(self) -> bool:
        """Whether a rating decides what a positive is."""
        return self.grades or self.relevant is not None


def _metric(text: str) -> Metric:
    """Read a metric of lists of at most MAX_K items."""
    metric = metric_named(text)
    if metric.k > MAX_K:
        raise ValueError(
            f"--metric {text}: lists of {metric.k} items, here they have {MAX_K} at most; give a "
            "metric of the first items, like ndcg@10"
        )
    return metric


def _number(flag: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise ValueError(f"--{flag} {text}: not a finite number; give one")
    return number


def _weights(text: str) -> tuple[tuple[str, float], ...]:
    """Parse `clicks=0.1,orders=0.6`."""
    weights: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        name = type_name(name)
        if not equals or name in weights:
            raise ValueError(
                f"--weights {text}: {part!r} is not type=weight; write clicks=0.1,orders=0.6"
            )
        weights[name] = _number("weights", number)
    if any(weight <= 0 for weight in weights.values()):
        raise ValueError(f"--weights {text}: weights are above 0; leave out what is not predicted")
    return tuple(weights.items())
