"""The tool of semantic ids, and its measures against counts by hand.

pytest tests/tools/test_semantic_ids.py
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from planted import BARE, run_in, small_split

from src.core import store
from src.data import paths
from src.data.sessions import Sessions
from src.embeddings.base import save
from src.embeddings.generator import GeneratorEmbedding
from src.generation.ids import Ids, Quantiser, semantic_ids
from src.generation.measures import cluster_scores, entropy, level_table, shared_prefixes
from src.tools import semantic_ids as tool

CODES = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [-1, -1]], np.int32)
IDS = Ids(CODES, (2, 2))
ROW = GeneratorEmbedding("tiger", sizes=(2,))
HISTORIES = [[(0, 1, 0), (1, 2, 0), (2, 3, 0)], [(2, 3, 0), (2, 4, 0), (4, 5, 0)], [], [(3, 6, 0)]]


def sessions_of(lists: list[list[tuple[int, int, int]]]) -> Sessions:
    item = np.array([event[0] for one in lists for event in one], np.int32)
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    return Sessions(offsets, item, item * 0, item.astype(np.int8) * 0, 5, 0)


def test_shared_prefixes_are_those_of_consecutive_events() -> None:
    """0-1 shares a code, 1-2 does not; 2-2 is one item, 2-4 has no id, 2-3 are two sessions."""
    found, chance = shared_prefixes(IDS, sessions_of(HISTORIES), 1)
    assert found == 1 / 2
    count = [1, 1, 3, 1]  # events of items 0 to 3: pairs 0-1 and 2-3, both ways
    assert chance == pytest.approx(2 * (1 * 1 + 3 * 1) / (6**2 - sum(n * n for n in count)))


def test_the_table_of_levels() -> None:
    vectors = np.array([[0, 1], [0, -1], [4, 1], [4, -1], [9, 9]], np.float32)
    first, last = level_table(IDS, vectors, sessions_of(HISTORIES), nested=False).to_dicts()
    assert first["left"] == pytest.approx(4 / (4 + 16)), "the second axis is left"
    assert (first["used"], first["entropy"], first["of"]) == (2, 1.0, 1.0)
    assert (first["different"], last["different"], last["left"]) == (0.5, 1.0, None)
    assert last["next"] == last["chance"] == 0


@pytest.mark.parametrize("nested", [False, True])
def test_finer_codes_leave_less(nested: bool) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(200, 4)).astype(np.float32)
    ids = semantic_ids(vectors, np.arange(200), Quantiser((8, 8, 8), nested), seed=1)
    table = level_table(ids, vectors, sessions_of(HISTORIES), nested)
    left = table["left"].to_list()[:-1]
    assert 1 > left[0] > left[1] > left[2] >= 0
    exact = 1 - sum(
        np.square(vectors[of].mean(axis=0) - vectors.mean(axis=0)).sum() * of.sum()
        for code in range(8)
        if (of := ids.codes[:, 0] == code).any()
    ) / np.square(vectors - vectors.mean(axis=0)).sum()  # fmt: skip
    assert left[0] == pytest.approx(exact, rel=1e-4)


def test_entropy() -> None:
    assert entropy(np.array([0.25] * 4 + [0.0])) == 2 and entropy(np.array([1.0])) == 0


def test_scores_of_clusters_see_planted_ones() -> None:
    rng = np.random.default_rng(1)
    centres = np.repeat(np.eye(3, 5, dtype=np.float32) * 9, 20, axis=0)
    vectors = centres + rng.normal(size=centres.shape).astype(np.float32)
    good = Ids(np.column_stack([np.arange(60) // 20, np.arange(60) % 20]).astype(np.int32), (3, 20))
    bad = Ids(np.column_stack([np.arange(60) % 3, np.arange(60) // 3]).astype(np.int32), (3, 20))
    of_good, of_bad = cluster_scores(good, vectors, 1), cluster_scores(bad, vectors, 1)
    assert of_good["silhouette"] > 0.6 > 0 > of_bad["silhouette"]
    assert of_good["Davies-Bouldin"] < of_bad["Davies-Bouldin"]
    assert cluster_scores(Ids(good.codes * 0, (1, 1)), vectors, 1) == {}, "one cluster"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    recipe = replace(BARE, embeddings=(ROW,))
    run = small_split(tmp_path, HISTORIES, 2, recipe=recipe).run
    file = paths.semantic_ids(run, "valid", "tiger")
    store.build(file, {}, partial(save, CODES))
    vectors = np.eye(5, 3, dtype=np.float32)
    store.build(paths.item_vectors(run, "valid", "tiger"), {}, partial(save, vectors))
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "wanted", "absent"),
    [
        ([], ["4 items share", "silhouette", "last"], ["no such"]),
        (["--codes", "1"], ["2 items have ids that begin with 1", "1 0", "1 1"], ["0 1"]),
        (["--codes", "7"], ["0 items have"], []),
        (["--item", "2"], ["1 0"], []),
    ],
)
def test_what_is_asked_for_is_shown(
    folder: Path, capsys: pytest.CaptureFixture[str], flags: list, wanted: list, absent: list
) -> None:
    args, others = tool.parse(["--embedding", "tiger", *flags])
    assert not others
    assert tool.body(args, run_in(folder, replace(BARE, embeddings=(ROW,)))) == 0
    shown = capsys.readouterr().out
    assert all(text in shown for text in wanted) and not any(text in shown for text in absent)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--embedding", "other"], r"the recipe has \['tiger'\]"),
        (["--embedding", "tiger", "--item", "77"], "--item 77: no such item"),
    ],
)
def test_what_is_not_there_is_said(folder: Path, flags: list, message: str) -> None:
    args, _ = tool.parse(flags)
    with pytest.raises(ValueError, match=message):
        tool.body(args, run_in(folder, replace(BARE, embeddings=(ROW,))))
