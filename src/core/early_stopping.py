"""What all that learns epoch by epoch agrees on: its log, when to stop, which epoch to keep."""

from __future__ import annotations

from src.embeddings.rows import FactorizationEmbedding, TwoTowerEmbedding

HELD_OUT = 4096
"""Positions or pairs, at most, that are not learned from; at most a twentieth of the sessions."""

Log = list[dict[str, float]]
"""A line per epoch: `epoch` (from 0), `loss`, `recall@20` on what is held out, ..."""


def finished(log: Log, row: TwoTowerEmbedding | FactorizationEmbedding) -> bool:
    """All epochs are over, or the last `patience` ones did not help."""
    recalls = [line["recall@20"] for line in log]
    if not log or len(log) == row.epochs:
        return bool(log)
    return len(log) - 1 - recalls.index(max(recalls)) >= row.patience


def best(log: Log) -> dict[str, float]:
    """The line of the epoch that is kept: the last one with the highest recall."""
    return max(reversed(log), key=lambda line: line["recall@20"], default={})
