"""Hide the history of a user or an item, so that a net learns to do without it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from src.data.coldness import FEW
from src.rankers.nets.base import InputSizes
from src.rankers.nets.content_gate import History


class HiddenHistory(nn.Module):
    """Makes some rows of a batch like those of a new user or item.

    It draws by a generator of its own: see Dropout.
    """

    absent: Tensor

    def __init__(self, history: History, share: float, sizes: InputSizes) -> None:
        super().__init__()
        if history.count not in sizes.names:
            raise ValueError(f"no number column is named {history.count}, a count of a history")
        self.history, self.share = history, share
        self.count = sizes.names.index(history.count)
        self.numbers, self.categories = sizes.named((history.count, *history.columns))
        self.nothing = sizes.absent[self.count]  # the scaled count of a row without history
        values = torch.tensor([sizes.absent[column] for column in self.numbers])
        self.register_buffer("absent", values, persistent=False)
        self.mean, self.deviation = sizes.means[self.count], sizes.deviations[self.count]
        self.names = sizes.names, sizes.category_names
        self.generator = torch.Generator()
        self.generator.manual_seed(int(torch.randint(2**62, ())))

    def check_apart(self, numbers: list[int], categories: list[int]) -> None:
        """Raise ValueError where content is hidden with the history."""
        of_number, of_category = self.names
        both = [of_number[n] for n in numbers if n in self.numbers]
        both += [of_category[c] for c in categories if c in self.categories]
        if both:
            raise ValueError(
                f"{both[0]} is content, and of the history of {self.history.count}; "
                "a history has prefixes that no content has"
            )

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a batch of QueryRows.batch in which some rows have no history.

        Their numbers are those of a row without history, drawn from the batch; `absent` where the
        batch has none. Their ids have code 0.
        """
        numbers, codes, item = batch["numbers"].clone(), batch["codes"].clone(), batch["item"]
        draws = torch.rand(2, len(numbers), generator=self.generator).to(numbers.device)
        rows = (draws[0] < self.shares(numbers)).nonzero()
        new = self.new(numbers).nonzero()[:, 0]
        values = self.absent.expand(len(rows), -1)
        if len(new):
            like = new[(draws[1, rows[:, 0]] * len(new)).long()]
            values = numbers[like][:, self.numbers]
        numbers[rows, self.numbers] = values
        codes[rows, self.categories] = 0
        if self.history.items:
            item = item.index_fill(0, rows[:, 0], 0)
        return {**batch, "numbers": numbers, "codes": codes, "item": item}

    def new(self, numbers: Tensor) -> Tensor:
        """Return which rows have no history: bool (rows)."""
        return numbers[:, self.count] == self.nothing

    def shares(self, numbers: Tensor) -> Tensor:
        """Compute how likely it is that each row's history is hidden: (rows)."""
        logarithm = numbers[:, self.count] * self.deviation + self.mean
        count = logarithm.expm1().masked_fill(self.new(numbers), 0.0)
        return self.share * (FEW / (1 + count)).clamp(max=1)
