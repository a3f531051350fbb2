"""The deep interest network (Zhou et al., 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from src.data.sequence_batch import TIME_BUCKETS
from src.rankers.nets.base import InputSizes
from src.rankers.nets.modules.layers import INIT_STD, NetModule

if TYPE_CHECKING:
    from src.rankers.nets.din import DIN

ATTENTION_UNITS = 32


class DINModule(NetModule):
    """Scores candidates by their features and the last events of the session.

    A small net computes the weight of an event from the vectors of the event and the candidate,
    their product and their difference. The weighted sum of the events is the interest. The top
    layers read the interest, the vectors of the candidate and its categories, and the numbers. A
    linear term of the numbers is added to the score.
    """

    def __init__(self, row: DIN, sizes: InputSizes) -> None:
        super().__init__()
        dim = row.dim
        self.item = nn.Embedding(sizes.items, dim, sparse=True)
        self.event_type = nn.Embedding(sizes.event_types, dim)
        self.recency = nn.Embedding(TIME_BUCKETS, dim)
        self.category = nn.ModuleList(nn.Embedding(n, dim) for n in sizes.categories)
        for table in (self.item, self.event_type, self.recency, *self.category):
            nn.init.normal_(table.weight, std=INIT_STD)
        self.attention = nn.Sequential(
            nn.Linear(4 * dim, ATTENTION_UNITS), nn.PReLU(), nn.Linear(ATTENTION_UNITS, 1)
        )
        layers: list[nn.Module] = []
        width = sizes.numbers + (3 + len(sizes.categories)) * dim
        for units in row.hidden:
            layers += [nn.Linear(width, units), nn.PReLU()]
            width = units
        self.top = nn.Sequential(*layers, nn.Linear(width, 1))
        self.linear = nn.Linear(sizes.numbers, 1)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Score the rows of a batch of QueryRows.batch: (rows)."""
        candidate = self.item(batch["item"])
        events = self.item(batch["history"])
        events = events + self.event_type(batch["event_type"]) + self.recency(batch["recency"])
        events = events[batch["query"]]
        beside = candidate[:, None].expand_as(events)
        pair = torch.cat([events, beside, events * beside, events - beside], dim=2)
        weight = self.attention(pair) * batch["mask"][batch["query"], :, None]
        interest = (weight * events).sum(1)
        codes = [table(batch["codes"][:, c]) for c, table in enumerate(self.category)]
        inputs = [batch["numbers"], candidate, interest, candidate * interest, *codes]
        return (self.top(torch.cat(inputs, 1)) + self.linear(batch["numbers"]))[:, 0]
