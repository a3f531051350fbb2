"""Generate items by beam search over the trie, and compute how likely given items are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from src.core.arrays import F32, I32, I64
from src.data.schemas import TopLists
from src.generation.beam_kernel import best_children
from src.generation.ids import Ids
from src.generation.net import GeneratorNet, Shape
from src.generation.trie import Trie


@dataclass(frozen=True)
class Generation:
    """A net with the ids that it generates.

    `items` of its methods: int64 (queries, longest), the histories, oldest event first, -1 behind
    the end; a history may be empty. `text`: float32 (queries, shape.text), vectors of their texts,
    if the net reads any.
    """

    net: GeneratorNet
    ids: Ids
    trie: Trie

    @classmethod
    def load(cls, codes: Path, net: Path, device: str) -> Generation:
        """Load the ids, and the net from the file that `write` wrote."""
        stored = torch.load(net, map_location=device, weights_only=True)
        shape = Shape(**stored["shape"])
        loaded = GeneratorNet(shape).to(device)
        loaded.load_state_dict(stored["weights"])
        ids = Ids(np.load(codes, allow_pickle=False), shape.sizes)
        return cls(loaded.eval(), ids, Trie.of(ids))

    def write(self, path: Path) -> None:
        """Write the net's shape and weights."""
        torch.save({"shape": asdict(self.net.shape), "weights": self.net.state_dict()}, path)

    @torch.no_grad()
    def lists(self, items: I64, width: int, text: F32 | None = None) -> TopLists:
        """Generate the `width` likeliest items of each query; scores are log likelihoods.

        The search keeps `width` prefixes of each length. It is exact where a depth has no more.
        Ties go by item.
        """
        if not self.trie.item.size:
            shape = len(items), width
            return np.full(shape, -1, np.int32), np.zeros(shape, np.float32)
        state = self.states(items, text)
        node = np.zeros((len(items), 1), np.int32)
        likelihood = np.zeros(node.shape, np.float32)
        prefix = np.zeros((len(items), 1, 0), np.int64)
        for depth, level in enumerate(self.trie.levels):
            owner, beam = np.nonzero((node >= 0) & self.trie.branches(depth, node))
            table = np.zeros((*node.shape, self.trie.sizes[depth]), np.float32)
            table[owner, beam] = self.log_probabilities(
                state, owner, prefix[owner, beam], node[owner, beam]
            )
            node, likelihood, came_from = best_children(*level, node, likelihood, table, width)
            rows = np.arange(len(items))[:, None]
            code = level.code[np.maximum(node, 0)].astype(np.int64)
            prefix = np.concatenate([prefix[rows, np.maximum(came_from, 0)], code[..., None]], -1)
        found = node >= 0
        item = np.where(found, self.trie.item[np.maximum(node, 0)], np.int32(-1))
        order = np.lexsort((item, -likelihood))
        score = np.where(found, likelihood, np.float32(0.0))
        return np.take_along_axis(item, order, 1), np.take_along_axis(score, order, 1)

    @torch.no_grad()
    def log_likelihood(
        self, items: I64, offsets: I64, candidates: I32, text: F32 | None = None
    ) -> F32:
        """Compute the log likelihood of the candidates of each query: float32 (candidates).

        offsets: CSR of the candidates by query. An item without an id gets NaN.
        """
        state = self.states(items, text)
        owner = np.repeat(np.arange(len(items)), np.diff(offsets))
        found = np.full(candidates.size, np.nan, np.float32)
        known = self.ids.codes[candidates, 0] >= 0
        found[known] = self.sum_of_levels(state, owner[known], candidates[known]).cpu().numpy()
        return found

    @torch.no_grad()
    def item_vectors(self) -> F32:
        """Return the vectors of all items, the sums of those of their codes: float32 (items, dim).

        They are 0 for items without an id.
        """
        vectors = np.zeros((len(self.ids.codes), self.net.shape.dim), np.float32)
        items = self.ids.items
        vectors[items] = self.net.items(self.tensor(self.codes(items))).cpu().numpy()
        return vectors

    def codes(self, items: I64) -> I64:
        """Return what the net reads of items: int64 (*items.shape, levels + 1).

        Their codes, then their numbers as leaves of the trie; -1 where there is no item or no id.
        """
        table, known = self.read, items >= 0
        return np.where(known[..., None], table[np.where(known, items, 0)], -1)

    @cached_property
    def read(self) -> I64:
        """Codes and number of every item: int64 (items, levels + 1)."""
        return np.column_stack([self.ids.codes, self.trie.node[:, -1]]).astype(np.int64)

    def states(self, items: I64, text: F32 | None = None) -> Tensor:
        """Encode histories: (queries, dim), the last state of each."""
        length = self.tensor((items >= 0).sum(axis=1))
        read = None if text is None else self.tensor(text)
        states = self.net.encode(self.tensor(self.codes(items)), read)
        return states[torch.arange(len(items), device=states.device), length]

    def sum_of_levels(self, state: Tensor, owner: I64, item: I32 | I64) -> Tensor:
        """Sum the log probabilities of the codes of items: (n).

        owner: int64 (n), row of `state`, (states, dim), of each item. A prefix that several items
        of a state share is decoded once, and one that goes on in one way only is not.
        """
        total = state.new_zeros(item.size)
        codes, node = self.ids.codes[item].astype(np.int64), self.trie.node[item].astype(np.int64)
        for depth in range(len(self.trie.levels)):
            some = np.flatnonzero(self.trie.branches(depth, node[:, depth]))
            key = owner[some] * len(self.trie.item) + node[some, depth]
            _, first, row = np.unique(key, return_index=True, return_inverse=True)
            one = some[first]
            table = self._decode(state, owner[one], codes[one, :depth], node[one, depth])
            found = table[self.tensor(row), self.tensor(codes[some, depth])]
            total = total.index_add(0, self.tensor(some), found)
        return total

    def log_probabilities(self, state: Tensor, owner: I64, prefix: I64, node: I32) -> F32:
        """Return the log probabilities of the next code after prefixes: float32 (n, codes)."""
        return np.asarray(self._decode(state, owner, prefix, node).cpu().numpy(), np.float32)

    def _decode(self, state: Tensor, owner: I64, prefix: I64, node: I32 | I64) -> Tensor:
        allowed = self.tensor(self.trie.allowed(prefix.shape[1], node))
        return self.net.log_probabilities(state, self.tensor(owner), self.tensor(prefix), allowed)

    def tensor(self, array: np.ndarray) -> Tensor:
        """Copy an array to the device of the net."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.net.start.device)
