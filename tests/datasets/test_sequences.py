"""Sequences of P5 and TIGER: what each split shows and hides, the answer, and wrong files.

pytest tests/datasets/test_sequences.py
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import interactions as log
import numpy as np
import polars as pl
import pytest
import worlds
from refusal import assert_refused

from src import cli
from src.candidates.pool import Pool
from src.candidates.popular import PopularRetriever
from src.core import store
from src.data import paths
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.datasets.interactions.types import ONLY
from src.datasets.sequences import dataset
from src.datasets.sequences.recipe import NET
from src.embeddings.base import Embedding
from src.embeddings.two_tower import TwoTowerEmbedding
from src.features.base import QueryBatch
from src.features.item_statistics import ItemStatisticsFeature

HISTORIES = {
    f"U{user:02}": [f"i{(7 * user + 3 * n) % 23:02}" for n in range(3 + user % 6)]
    for user in range(40)
}
SHORT = {"one": ["i01"], "two": ["i02", "i03"]}
TEXTS = "".join(f"i{n:02} thing {n % 4} of é\n" for n in range(24)) + "i24\n"


def lines(histories: dict[str, list[str]]) -> str:
    return "".join(" ".join([user, *items]) + "\n" for user, items in histories.items())


WORLD = {**HISTORIES, **SHORT}
GOOD = lines(WORLD)


def prepare(folder: Path, *flags: str, given: str = "in") -> int:
    step = worlds.script("1_preparation")
    argv = ["--dataset", "sequences", "--input", str(folder / given)]
    argv += ["--output", str(folder / "out"), "--engine", "cpu", *flags]
    return cli.main(step.__doc__, step.__file__, step.body, argv)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequences")
    log.write(folder, "user_id items\n" + GOOD.replace("\n", "\r\n"), "user_sequence.txt")
    log.write(folder, TEXTS, "item_textual_id.txt")
    assert prepare(folder) == 0
    return folder / "out"


def visible(out: Path, split: str) -> dict[str, list[str]]:
    return {user: [item for item, _ in events] for user, events in log.events(out, split).items()}


def test_the_last_item_is_the_test_and_the_one_before_it_is_valid(out: Path) -> None:
    for split, hidden in (("test", 1), ("valid", 2)):
        asked = {u: h for u, h in WORLD.items() if len(h) > hidden}
        assert set(log.queries(out, split)) == set(asked)
        found = visible(out, split)
        assert {u: found[u] for u in asked} == {u: h[:-hidden] for u, h in asked.items()}
        answers = {user: set(labels) for user, labels in log.labels(out, split).items()}
        new = [u for u, h in asked.items() if h[-hidden] not in h[:-hidden]]
        assert answers == {u: {asked[u][-hidden]} for u in new}


def test_items_have_their_texts_and_are_not_numbered_in_the_order_of_their_ids(out: Path) -> None:
    items = pl.read_parquet(out / "items.parquet")
    ids, texts = items["item_id"], dict(items.select("item_id", "title").rows())
    assert not ids.is_sorted() and sorted(ids) == [f"i{n:02}" for n in range(25)]
    assert texts["i05"] == "thing 1 of é" and texts["i24"] is None


def test_a_folder_with_one_data_set_below_and_a_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "in" / "Beauty").mkdir(parents=True)
    log.write(tmp_path, GOOD, "Beauty/user_sequence.txt")
    assert prepare(tmp_path) == 0
    assert "title" not in pl.read_parquet(tmp_path / "out" / "items.parquet").columns
    assert prepare(tmp_path, given="in/Beauty/user_sequence.txt") == 0


def counted_pairs(histories: dict[str, list[str]]) -> Counter[tuple[str, str]]:
    pairs = (pair for items in histories.values() for pair in pairwise(items))
    return Counter(pair for pair in pairs if pair[0] != pair[1])


@pytest.mark.parametrize("hidden", [1, 2])
def test_nothing_of_test_counts_the_items_of_valid_without_refit(
    out: Path, tmp_path: Path, hidden: int
) -> None:
    shutil.copytree(out.parent, tmp_path, dirs_exist_ok=True)
    flags = ["--refit"] if hidden == 1 else []
    assert prepare(tmp_path, *flags) == 0
    step, out = worlds.script("2_matrices"), tmp_path / "out"
    argv = ["--dataset", "sequences", "--output", str(out), "--engine", "cpu"]
    assert cli.main(step.__doc__, step.__file__, step.body, argv) == 0
    items = pl.read_parquet(out / "items.parquet")["item_id"]
    rows = pl.read_parquet(out / "test" / "matrices" / "next.parquet").rows()
    shown = {user: history[: max(len(history) - hidden, 1)] for user, history in WORLD.items()}
    assert {(items[x], items[y]): n for x, y, n in rows} == counted_pairs(shown)
    run = cli.parse("", Path("3_candidates.py"), argv)
    counted = out / ("test" if hidden == 1 else "valid") / "events.parquet"
    for row in (PopularRetriever("popular", window_s=None), ItemStatisticsFeature()):
        assert counted in row.inputs(run, "test"), "another --refit makes its files stale"
    data, count = SplitData(run, "test"), Counter(chain(*shown.values()))
    listed, score = PopularRetriever("popular", window_s=None).lists(data, data.first_query, 40)
    for item, value in zip(listed[0], score[0] / score[0].max(), strict=True):
        assert value == pytest.approx(count[items[int(item)]] / max(count.values()))
    nothing = Pool.without_lists(data.first_query, np.zeros(1, np.int64), np.empty(0, np.int32))
    group = ItemStatisticsFeature()
    table = group.statistics(QueryBatch(run.recipe, data, nothing))
    events = table[:, group.names(run.recipe).index(f"item_events_{ONLY}_all")]
    assert dict(zip(items, events, strict=True)) == {item: count[item] for item in items}


def test_without_refit_the_net_of_valid_encodes_the_queries_of_test(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--dataset", "sequences", "--output", str(out), "--engine", "cpu"]
    run, row = cli.parse("", Path("4_embeddings.py"), argv), replace(NET, dim=8, epochs=2)
    assert [row.build(run, "test")["built"] for _ in range(2)] == [5, 0]
    same = (paths.item_vectors, paths.query_encoder, paths.neighbours)
    for path in same:
        files = [path(run, split, row.name).read_bytes() for split in ("valid", "test")]
        assert files[0] == files[1]
    asked = Sessions.load(run, "test")
    queries = np.load(paths.query_vectors(run, "test", row.name))[0]
    encode = row.query_encoder(run, "valid")
    for query, session in enumerate(range(asked.first_query, asked.n_sessions)):
        (vector,) = encode(asked, session, session + 1)[0]
        np.testing.assert_array_equal(queries[query], vector)
    assert len(queries) == len(log.queries(out, "test")) > len(log.queries(out, "valid"))
    with monkeypatch.context() as patch:
        patch.setattr(TwoTowerEmbedding, "take", Embedding.take)
        with pytest.raises(ValueError, match="test needs vectors of its own queries"):
            replace(row, name="other").build(run, "test")
    key = json.loads(store.manifest_path(paths.query_vectors(run, "test", row.name)).read_text())
    of_valid = [path(run, "valid", row.name) for path in (paths.query_encoder, paths.item_vectors)]
    wanted = {str(f.relative_to(out)) for f in [*of_valid, paths.events(run, "test")]}
    assert wanted == set(key["key"]["inputs"])


def test_rankers_have_a_split_to_learn_from_however_many_queries_valid_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one fold they learn nothing from valid."""
    log.write(tmp_path, GOOD, "user_sequence.txt")
    made = dataset.recipe_of
    monkeypatch.setattr(dataset, "recipe_of", lambda f: replace(made(f), min_train_queries=30))
    for flags, names in ((), ["valid", "test", "train_1"]), (("--refit",), ["valid", "test"]):
        assert prepare(tmp_path, *flags) == 0
        splits = json.loads((tmp_path / "out" / "splits.json").read_text())
        assert [split["name"] for split in splits] == names


WRONG: dict[str, tuple[dict[str, str | bytes], tuple[str, ...]]] = {
    "no file": ({"log.csv": "user,item\n"}, ("has no user_sequence.txt",)),
    "several data sets": ({"Toys/user_sequence.txt": GOOD, "Beauty/user_sequence.txt": GOOD},
                          ("2 data sets, Beauty, Toys", "--input")),
    "an empty file": ({"user_sequence.txt": ""}, ("no line has a user and items",)),
    "commas": ({"user_sequence.txt": "u1,i1,i2\nu2,i3,i4\n"}, ("no line has a user and items",)),
    "a user twice": ({"user_sequence.txt": GOOD + "\nU03 i09\n"},
                     ("line 44: user 'U03' has line 4 too",)),
    "a text twice": ({"user_sequence.txt": GOOD, "item_textual_id.txt": "i01 a\ni02 b\ni01 c\n"},
                     ("item_textual_id.txt, line 3: item 'i01' has line 1 too",)),
    "not UTF-8": ({"user_sequence.txt": GOOD.encode() + b"u\xff i01 i02\n"},
                  ("line 43: not UTF-8",)),
    "short sequences": ({"user_sequence.txt": "a i1\nb i2\n"}, ("nobody has events",)),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_files(tmp_path: Path, capsys, fault: str) -> None:
    files, parts = WRONG[fault]
    for name, content in files.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        log.write(tmp_path, content, name)
    assert_refused(prepare(tmp_path), tmp_path, capsys.readouterr().err, *parts)
