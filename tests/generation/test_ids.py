"""Semantic ids and their trie: planted groups, collisions, balance, nothing unknown.

pytest tests/generation/test_ids.py
"""

from __future__ import annotations

import numpy as np
import pytest

from src.generation.ids import Ids, Quantiser, random_ids, semantic_ids
from src.generation.trie import Trie

ITEMS = 40
LISTED = np.arange(ITEMS - 1)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Ten items around each of four centres."""
    rng = np.random.default_rng(1)
    around = np.repeat(np.eye(4, 6, dtype=np.float32) * 5, 10, axis=0)
    return around + rng.normal(size=(ITEMS, 6)).astype(np.float32) * 0.1


@pytest.mark.parametrize("nested", [False, True])
def test_ids_are_unique_and_similar_items_share_a_prefix(vectors: np.ndarray, nested: bool) -> None:
    ids = semantic_ids(vectors, LISTED, Quantiser((4, 3), nested), seed=3)
    codes = ids.codes[:-1]
    assert len(np.unique(codes, axis=0)) == ITEMS - 1
    assert (ids.codes[-1] == -1).all() and ids.items.tolist() == LISTED.tolist()
    groups = [set(codes[first : first + 10, 0]) for first in (0, 10, 20, 30)]
    assert all(len(group) == 1 for group in groups) and len(set.union(*groups)) == 4
    assert (codes < ids.sizes).all() and codes.min() == 0


def test_a_nested_level_splits_every_group(vectors: np.ndarray) -> None:
    """The nearest neighbour of most items shares both codes; a shared codebook cannot do that."""
    nested = semantic_ids(vectors, LISTED, Quantiser((4, 5), nested=True), seed=3).codes[:-1]
    assert {len(set(nested[nested[:, 0] == code, 1])) for code in range(4)} == {5}


@pytest.mark.parametrize("sizes", [(4, 3), ()])
def test_the_most_frequent_item_of_equal_codes_is_0(sizes: tuple[int, ...]) -> None:
    codes = semantic_ids(
        np.ones((9, 2), np.float32), np.array([7, 2, 5]), Quantiser(sizes), 3
    ).codes
    assert codes[[7, 2, 5], -1].tolist() == [0, 1, 2]


@pytest.mark.parametrize("balance", [1.0, 1.5])
def test_no_code_has_more_items_than_balance_allows(balance: float) -> None:
    rng = np.random.default_rng(2)
    crowded = rng.normal(size=(90, 3)).astype(np.float32)
    crowded[:60] *= 0.01  # most of them in one place
    free, balanced = (
        semantic_ids(crowded, np.arange(90), Quantiser((6,), balance=b), seed=3).codes[:, 0]
        for b in (np.inf, balance)
    )
    assert np.bincount(free).max() > np.ceil(15 * balance) >= np.bincount(balanced).max()
    assert np.bincount(balanced).sum() == 90


def test_a_catalogue_smaller_than_a_codebook_is_served(vectors: np.ndarray) -> None:
    ids = semantic_ids(vectors, np.array([4, 30]), Quantiser((256, 256), balance=1.0), seed=3)
    assert ids.codes[4, 0] != ids.codes[30, 0] and ids.sizes == (256, 256, 1)
    none = semantic_ids(vectors, np.array([], np.int64), Quantiser((4, 3)), seed=3)
    assert (none.codes == -1).all() and Trie.of(none).item.size == 0


def test_random_ids_are_unique_and_depend_on_the_seed() -> None:
    first, same, other = (random_ids(ITEMS, LISTED, (2, 2), seed).codes for seed in (1, 1, 2))
    assert len(np.unique(first[LISTED], axis=0)) == LISTED.size
    assert (first == same).all() and (first != other).any()


@pytest.fixture(scope="module")
def ids(vectors: np.ndarray) -> Ids:
    return semantic_ids(vectors, LISTED, Quantiser((4, 3)), seed=3)


def test_a_trie_yields_the_items_and_no_other(ids: Ids) -> None:
    trie, paths = Trie.of(ids), [((), 0)]
    for depth in range(len(trie.levels)):
        mask = trie.allowed(depth, np.array([node for _, node in paths]))
        children = [trie.levels[depth].first[node] for _, node in paths]
        paths = [((*codes, code), int(children[row] + place))
                 for row, (codes, _) in enumerate(paths)
                 for place, code in enumerate(np.flatnonzero(mask[row]).tolist())]  # fmt: skip
    found = {codes: int(trie.item[leaf]) for codes, leaf in paths}
    assert found == {tuple(ids.codes[item].tolist()): item for item in LISTED}


def test_the_nodes_of_an_item_lead_to_it(ids: Ids) -> None:
    trie = Trie.of(ids)
    assert trie.item[trie.node[LISTED, -1]].tolist() == LISTED.tolist()
    assert (trie.node[-1] == -1).all() and not trie.node[LISTED, 0].any()
    for depth, level in enumerate(trie.levels):
        parent, child = trie.node[LISTED, depth], trie.node[LISTED, depth + 1]
        assert (level.first[parent] <= child).all() and (child < level.first[parent + 1]).all()
        assert level.code[child].tolist() == ids.codes[LISTED, depth].tolist()


def test_items_that_share_an_id_are_refused(ids: Ids) -> None:
    with pytest.raises(ValueError, match="39 items share"):
        Trie.of(Ids(ids.codes * 0, ids.sizes))
