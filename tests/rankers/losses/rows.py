"""A row of every kind of loss, and of every way to compute one."""

from __future__ import annotations

from src.rankers.losses.base import Loss
from src.rankers.losses.listnet import ListNet
from src.rankers.losses.pointwise import BCE, SquaredError
from src.rankers.losses.softmax import Softmax

# fmt: off
POINTWISE: list[Loss] = [BCE(), BCE(threshold=2.0), SquaredError()]
LISTWISE: list[Loss] = [
    ListNet(), ListNet(temperature=0.3, grade_temperature=2.0),
    Softmax(), Softmax(gain="exp"), Softmax(over="lists"),
]
ROWS = [*POINTWISE, *LISTWISE]
# fmt: on
