"""Tuned fields of retrievers: the training split decides, and nothing else.

pytest tests/candidates/test_tune.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import tiny
import worlds
from worlds import DAY, T0

from src import cli
from src.candidates.alternatives import Alternatives
from src.candidates.base import Baseline
from src.candidates.history import HistoryRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.session_knn import SessionKnnRetriever
from src.core.store import as_json
from src.data.recipe import Recipe
from src.data.splits import Split
from src.datasets.split_maker import with_training_splits
from src.tools import status

FIRST, LAST = 2.0, 0.1
"""Decays with which the first item of a history is heaviest, and the last one."""
RECIPE = replace(
    worlds.TINY,
    matrices=(),
    embeddings=(),
    retrievers=(
        HistoryRetriever("own", Seeds(decay=LAST), top=1),
        PopularRetriever("popular", window_s=None),
        SessionKnnRetriever("knn"),
    ),
    baselines=(Baseline("popular", ("popular",)),),
    features=(),
    rankers=(),
    alternatives=(Alternatives("own", "seeds.decay", (FIRST, LAST, 0.2)),),
    split_days=3,
    min_train_queries=100,
)
STEPS = tiny.STEPS[:3]


def world(again: Callable[[int, int], int], days: int = 28, daily: bool = False) -> worlds.Sessions:
    """Sessions of three clicks over some weeks: two items, then one of them again.

    again: which of the two, by the day of the session and its number on this day. daily: all
    sessions of a day have the same two items.
    """
    sessions = []
    for number in range(days * 20):
        day, start = number % days, T0 + (number % days) * DAY + number * 1000
        first = 2 * (day if daily else number % 40)
        pair = (first, first + 1)
        items = (*pair, pair[again(day, number // days)])
        events = [(item, start + 60_000 * n, "clicks") for n, item in enumerate(items)]
        sessions.append((number, events))
    return sessions


def run(tmp_path: Path, sessions: worlds.Sessions, recipe: Recipe = RECIPE) -> dict[str, Any]:
    """The values that step 3 found."""
    worlds.write(tmp_path / "in", "train", sessions)
    assert tiny.run_steps(tmp_path / "in", tmp_path / "out", STEPS, recipe) == 0
    values: dict[str, Any] = json.loads((tmp_path / "out" / "tuned.json").read_text())
    return values


def hits(tmp_path: Path) -> float:
    """The share of labels of `valid` that the row `own` lists."""
    folder = tmp_path / "out" / "valid"
    lists = pl.read_parquet(folder / "candidates" / "own" / "*.parquet")
    labels = pl.read_parquet(folder / "labels.parquet")
    return labels.join(lists, on=["session", "item"], how="semi").height / labels.height


def test_the_better_value_makes_the_lists(tmp_path: Path) -> None:
    assert run(tmp_path, world(lambda day, n: 0)) == {"own.seeds.decay": FIRST}
    assert hits(tmp_path) > 0.4, "half of the queries are cut after the first click"
    table = pl.read_csv(tmp_path / "out" / "logs" / "candidates" / "tuning.csv")
    assert table["value"].to_list() == [LAST, FIRST, 0.2], "that of the row comes first"
    assert table["best"].to_list() == [False, True, False]
    assert table["gain"][0] == 0 and table["gain"][2] == 0 and table["low"][1] > 0
    assert table["total"][1] == pytest.approx(table["total"][0] + table["gain"][1], abs=1e-5)


def test_a_tie_keeps_the_row(tmp_path: Path) -> None:
    """0.2 lists the same items as 0.1."""
    assert run(tmp_path, world(lambda day, n: 1)) == {}
    assert hits(tmp_path) > 0.4


def test_a_gain_within_noise_keeps_the_row(tmp_path: Path) -> None:
    """13 of 20 sessions of a day repeat their first item."""
    assert run(tmp_path, world(lambda day, n: int(n > 12))) == {}
    table = pl.read_csv(tmp_path / "out" / "logs" / "candidates" / "tuning.csv")
    assert table["gain"][1] > 0 > table["low"][1]


def test_a_split_that_only_tunes_has_the_matrices_it_needs(tmp_path: Path) -> None:
    recipe = replace(
        RECIPE,
        matrices=worlds.TINY.matrices[:2],
        retrievers=(
            *RECIPE.retrievers,
            ItemToItemRetriever("near", "near_3w", Seeds(decay=FIRST)),
        ),
        alternatives=(Alternatives("near", "power", (1.0, 0.0)),),
        min_train_queries=0,
    )
    run(tmp_path, world(lambda day, n: 0), recipe)
    made = {path.stem for path in (tmp_path / "out" / "train_1" / "matrices").glob("*.parquet")}
    assert made == {"near_3w"}


@pytest.mark.parametrize("min_train_queries", [100, 0])
def test_valid_has_no_say(tmp_path: Path, min_train_queries: int) -> None:
    """Habits turn with the window that `valid` hides."""
    recipe = replace(RECIPE, min_train_queries=min_train_queries)
    values = run(tmp_path, world(lambda day, n: int(day >= 25)), recipe)
    assert values == {"own.seeds.decay": FIRST} and hits(tmp_path) < 0.1
    splits = {split["name"]: split["role"] for split in worlds.splits(tmp_path / "out")}
    assert splits["train_1"] == ("train" if min_train_queries else "tuning")
    made = (tmp_path / "out" / "train_1" / "candidates").exists()
    assert made == bool(min_train_queries), "a split that only tunes gets no candidates"


def test_later_steps_know_the_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, world(lambda day, n: 0))
    flags = ["--dataset", RECIPE.name, "--output", str(tmp_path / "out"), "--engine", "cpu"]
    for recipe, decay in ((RECIPE, FIRST), (replace(RECIPE, alternatives=()), LAST)):
        worlds.register(monkeypatch, recipe)
        own = cli.parse("", Path("7_blend.py"), flags).recipe.retrievers[0]
        assert isinstance(own, HistoryRetriever) and own.seeds.decay == decay


def test_values_are_found_again_where_something_changes(tmp_path: Path) -> None:
    """A value of an earlier run has no part in it."""
    assert run(tmp_path, world(lambda day, n: 0)) == {"own.seeds.decay": FIRST}
    other = replace(RECIPE, alternatives=(Alternatives("knn", "idf", (False, True)),))
    assert "own.seeds.decay" not in run(tmp_path, world(lambda day, n: 0), other)
    assert hits(tmp_path) == 0
    assert run(tmp_path, world(lambda day, n: 1)) == {}


@pytest.mark.parametrize("min_train_queries", [100, 0])
def test_as_deployed(tmp_path: Path, min_train_queries: int) -> None:
    """Trials see no later event either: a look ahead finds the items of the day, but is none."""
    rows = (RECIPE.retrievers[0], PopularRetriever("popular", window_s=86400))
    fields = (*RECIPE.alternatives, Alternatives("popular", "lookahead_s", (0, 86400)))
    recipe = replace(
        RECIPE, retrievers=rows, alternatives=fields, by_window=True,
        min_train_queries=min_train_queries,
    )  # fmt: skip
    sessions = world(lambda day, n: 0, daily=True)
    assert run(tmp_path, sessions, recipe)["popular.lookahead_s"] == 86400
    with pytest.MonkeyPatch.context() as patch:
        worlds.register(patch, recipe)
        for name in STEPS:
            step = worlds.script(name)
            argv = ["--dataset", recipe.name, "--input", str(tmp_path / "in"), "--output",
                    str(tmp_path / "out"), "--engine", "cpu", "--causal"]  # fmt: skip
            assert cli.main(step.__doc__, step.__file__, step.body, argv) == 0
    assert json.loads((tmp_path / "out" / "tuned.json").read_text()) == {"own.seeds.decay": FIRST}


NOTHING_TO_LEARN = {
    "one event a session": [(n, [(n % 9, T0 + n * DAY // 20, "clicks")]) for n in range(600)],
    "no item twice": [
        (n, [(3 * n + i, T0 + n * DAY // 20 + i * 1000, "clicks") for i in range(3)])
        for n in range(600)
    ],
    "one day": [
        (n, [(n % 30, T0 + n * 60_000 + i * 1000, "clicks") for i in range(2)]) for n in range(900)
    ],
}


@pytest.mark.parametrize("case", NOTHING_TO_LEARN)
def test_logs_that_teach_nothing(tmp_path: Path, case: str, capsys: Any) -> None:
    worlds.write(tmp_path / "in", "train", NOTHING_TO_LEARN[case])
    if code := tiny.run_steps(tmp_path / "in", tmp_path / "out", STEPS, RECIPE):
        assert code == 2 and case != "no item twice", capsys.readouterr().err
        return  # step 1 refuses a log without queries
    assert json.loads((tmp_path / "out" / "tuned.json").read_text()) == {}


@pytest.mark.parametrize(("windows", "made"), [(1, 1), (0, 0), (-1, 0)])
def test_a_log_without_another_window_has_no_tuning_split(windows: int, made: int) -> None:
    recipe = replace(RECIPE, min_train_queries=0)
    run: Any = SimpleNamespace(recipe=recipe, dataset=SimpleNamespace(recipe=recipe))
    splits = with_training_splits(
        run, [], lambda n: Split(f"train_{n}", "train", "", 9, 3), windows
    )
    assert [split.role for split in splits] == ["tuning"] * made


def test_values_of_any_form() -> None:
    """They are read from JSON, where a tuple is a list."""
    weights = Alternatives("own", "seeds.type_weight", ((0.0, 1.0, 1.0),))
    seeds = Alternatives("own", "seeds", (Seeds("visit"), Seeds("day", decay=1.0)))
    recipe = replace(RECIPE, alternatives=(weights, seeds))
    for field in recipe.alternatives:
        read = json.loads(as_json({field.name: field.values[-1]}))
        assert field.value_of(recipe.tuned(read).retrievers[0]) == field.values[-1]


def test_tables_of_all_values_are_made() -> None:
    near = ItemToItemRetriever("near", "recent", Seeds())
    field = Alternatives("near", "matrix", ("near_3w",))
    rows = {"matrices": worlds.TINY.matrices[:3], "alternatives": (field,)}
    recipe = replace(RECIPE, retrievers=(near,), baselines=(), **rows)
    assert recipe.tuned_tables == {"recent", "near_3w"}
    with pytest.raises(ValueError, match="step 3 cannot tune a row that reads w2v"):
        field = replace(field, values=("w2v",))
        replace(recipe, embeddings=worlds.TINY.embeddings[:1], alternatives=(field,))


def test_a_dry_run_before_step_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make status` plans the lists, though nothing is tuned yet."""
    worlds.write(tmp_path / "in", "train", world(lambda day, n: 0))
    assert tiny.run_steps(tmp_path / "in", tmp_path / "out", STEPS[:2], RECIPE) == 0
    worlds.register(monkeypatch, RECIPE)
    flags = ["--dataset", RECIPE.name, "--input", str(tmp_path / "in"), "--output",
             str(tmp_path / "out"), "--engine", "cpu"]  # fmt: skip
    steps = status.plan(cli.parse("", Path(status.__file__), flags))
    lists = steps[2]
    assert not lists.missing and "valid/candidates/own/part-0000.parquet" in lists.reasons


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (Alternatives("nobody", "top", (1,)), "no retriever named nobody"),
        (Alternatives("own", "sharpness", (1,)), "the row has no field sharpness"),
        (Alternatives("own", "top", (1, 0)), "top is at least 1"),
        (Alternatives("near_w2v", "power", (1.0, 0.0)), "step 3 cannot tune a row that reads"),
    ],
)
def test_alternatives_that_do_not_fit(field: Alternatives, message: str) -> None:
    near = ItemToItemRetriever("near_w2v", "w2v", Seeds())
    rows = (*RECIPE.retrievers, near)
    with pytest.raises(ValueError, match=message):
        replace(
            RECIPE, embeddings=worlds.TINY.embeddings[:1], retrievers=rows, alternatives=(field,)
        )
