"""Rows that are trained to rank the candidates (step 6)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class XGBoostRanker:
    """One XGBoost model per objective and fold, or per fold if `shared`: one for all objectives.

    The objective among the params is one of XGBoost's, or "softmax": over the candidates of a query
    as a whole (src/rankers/xgb.py).

    A shared one learns grades: 1 for what came true for the first objective, 2 for the second, ...,
    0 for what never did. Of several grades the highest counts, so the objectives ascend in weight.
    """

    name: str
    params: tuple[tuple[str, float | int | str], ...]
    rounds: int = 1000
    patience: int = 50  # early stopping: rounds without a better metric on the held-out fold
    metric: str = "auc"  # of early stopping, as XGBoost names it; AUC is logged in any case
    columns: int | None = None  # only those that a short model gains most by; None: all features
    shared: bool = False


@dataclass(frozen=True)
class DINRanker:
    """A deep interest network (Zhou et al., 2018), per objective and fold; src/rankers/din.py has the net.

    The candidate's vector weighs the items of the history one by one; what comes of it stands
    beside the features. It learns to tell what came true from the query's other candidates.
    """

    name: str
    categories: tuple[str, ...] = ()  # features that are read as names, not as numbers
    size: int = 16  # of an item's vector, and a category's
    last: int = 10  # events of the session that are read
    among: int = 100_000  # only the most frequent items have a vector of their own
    seen: int = 5  # and only if the training rows have them so often; the others share one
    hidden: tuple[int, ...] = (128, 64)
    batch: int = 256  # queries
    epochs: int = 4  # at most; the rate falls to 0 over them
    patience: int = 1  # epochs without a better metric on the held-out fold; the best one is kept
    rate: float = 0.002  # of Adam
    columns: int | None = None  # only those that a short model gains most by; None: all features


Ranker = XGBoostRanker | DINRanker

ALL = "all"


def taught(row: Ranker, objective: str) -> str:
    """What a model of the row learns from: one objective, or ALL of them."""
    return ALL if isinstance(row, XGBoostRanker) and row.shared else objective


def member(row: Ranker, objective: str) -> str:
    """Of a blend for an objective: the row's column in the files of scores."""
    return f"{row.name}_{taught(row, objective)}"
