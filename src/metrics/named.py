"""Make metrics from the text of a flag, and list those that are printed beside a metric."""

from __future__ import annotations

from dataclasses import fields
from math import ceil
from typing import get_args, get_type_hints

from src.metrics.auc import AUC
from src.metrics.average_precision import MAP
from src.metrics.base import WHOLE_LIST, MeanMetric, Metric
from src.metrics.err import ERR
from src.metrics.hit_rate import HitRate
from src.metrics.mrr import MRR
from src.metrics.ndcg import LARGEST, NDCG
from src.metrics.pooled import PooledAUC
from src.metrics.precision import Precision
from src.metrics.recall import Recall

METRICS: dict[str, type[Metric]] = {
    kind.name: kind for kind in (Recall, NDCG, MRR, MAP, Precision, HitRate, ERR, AUC, PooledAUC)
}


def metric_named(text: str) -> Metric:
    """Read `name@k`, or `name` for the whole list, and switches: `ndcg@10:gain=linear`.

    Raises ValueError for an unknown name, switch or value; `str` of the metric is the text again.
    """
    head, *switches = text.strip().lower().split(":")
    name, at, k = head.partition("@")
    if name not in METRICS or (at and not k.isdecimal()):
        names = ", ".join(METRICS)
        raise ValueError(f"no metric {text!r}; give {names}, with @k for the first k: ndcg@10")
    kind = METRICS[name]
    return kind(int(k) if at else WHOLE_LIST, **dict(_switch(kind, text, s) for s in switches))


def _switch(kind: type[Metric], text: str, switch: str) -> tuple[str, str | int]:
    """Read one `name=value`."""
    name, _, value = switch.partition("=")
    known = {f.name: get_type_hints(kind)[f.name] for f in fields(kind) if f.name != "k"}
    values = get_args(known.get(name, int))
    if name in known and (value in values or (not values and value.isdecimal())):
        return name, value if values else int(value)
    forms = (f"{n}={'|'.join(get_args(t)) or 'number'}" for n, t in known.items())
    raise ValueError(f"metric {text!r}: no switch {switch!r}; give {', '.join(forms)}")


def companions(k: int, largest: float) -> list[MeanMetric]:
    """List the metrics that are shown beside the one of a recipe, for lists of k items.

    largest: the highest grade. Where it is above what an exponential gain takes, NDCG is linear and
    ERR is left out.
    """
    linear = largest > LARGEST
    ndcgs = [NDCG(min(k, cut), gain="linear" if linear else "exponential") for cut in (5, 10)]
    metrics: list[MeanMetric] = [
        *ndcgs, MAP(min(k, WHOLE_LIST)), MRR(min(k, 10)), Precision(min(k, 5)), HitRate(min(k, 10)),
    ]  # fmt: skip
    if not linear:
        metrics.append(ERR(min(k, 10), max_grade=max(1, ceil(largest))))
    return list(dict.fromkeys(metrics))
