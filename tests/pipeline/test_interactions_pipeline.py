"""The seven scripts on tiny logs of users who stay in one community of items.

pytest tests/pipeline/test_interactions_pipeline.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import interactions as log
import numpy as np
import polars as pl
import pytest
import worlds
from interactions import DAY, HOUR, T0, csv, write

from src import cli
from src.cli import run_cli
from src.datasets.interactions import cuts, recipe
from src.tools import check, score

pytestmark = pytest.mark.slow

COMMUNITIES, PER_COMMUNITY, USERS = 4, 12, 160
STEPS = sorted(path.stem for path in worlds.ROOT.glob("[1-7]_*.py"))


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows of matrices, few epochs and few trees."""
    embeddings, rankers = recipe._embeddings, recipe._rankers

    def shorter(found):
        return tuple(replace(row, dim=8, epochs=2) for row in embeddings(found))

    def fewer(*chosen):
        return tuple(replace(row, num_boost_round=30) for row in rankers(*chosen))

    monkeypatch.setattr(recipe, "OF_OTTO", ("near3", "buy2buy"))
    monkeypatch.setattr(cuts, "EARLIER_LEVELS", 1)
    monkeypatch.setattr(recipe, "_embeddings", shorter)
    monkeypatch.setattr(recipe, "_rankers", fewer)


def item(community: int, n: int) -> str:
    return f"c{community}/é{n}"


def planted(seed: int = 1) -> Iterator[tuple[str, str, int, str, int]]:
    """User, item, time, type, rating: nine in ten items are of the user's community."""
    draw = np.random.default_rng(seed)
    for user in range(USERS):
        own, ts = user % COMMUNITIES, T0 + int(draw.integers(10 * DAY))
        for _ in range(int(draw.integers(4, 15))):
            community = own if draw.random() < 0.9 else int(draw.integers(COMMUNITIES))
            n = int(draw.integers(PER_COMMUNITY))
            kind = "buy" if draw.random() < 0.3 else "view"
            liking = 2 * (community == own) + (n % 3 == 0)
            yield f"u,{user}", item(community, n), ts, kind, 1 + liking + int(draw.integers(2))
            ts += int(draw.choice([60, HOUR, DAY]))


ROWS = list(planted())
ITEMS = ["item,title,community,created"]
ITEMS += [f"{item(c, n)},Thing {n},{c},{T0}" for c in range(4) for n in range(PER_COMMUNITY)]
ITEMS += [f"new,Unseen,1,{T0 + 9 * DAY}"]
OF_ITEM = {item(c, n): c for c in range(COMMUNITIES) for n in range(PER_COMMUNITY)}


def write_world(folder: Path, columns: str) -> None:
    """Write the log with some of its columns, and tables of items and users."""
    names = ("user", "item", "time", "type", "rating")
    rows = pl.DataFrame(ROWS, names, orient="row").select(columns.split(","))
    write(folder, rows.write_csv())
    write(folder, "\n".join(ITEMS), "items.csv")
    write(folder, csv([(f'"u,{u}"', 20 + u % 4) for u in range(USERS)] + [("nobody", 20)],
                      "user,age"), "users.csv")  # fmt: skip


def run(folder: Path, *flags: str) -> dict[str, object]:
    """Run all steps; return cv.json."""
    argv = ["--dataset", "interactions", "--input", str(folder / "in"), "--output",
            str(folder / "out"), "--engine", "cpu", *flags]  # fmt: skip
    for name in STEPS:
        step = worlds.script(name)
        assert cli.main(step.__doc__, step.__file__, step.body, argv) == 0, name
    found: dict[str, object] = json.loads((folder / "out" / "cv.json").read_text())
    return found


def tool(module, folder: Path, capsys, *flags: str) -> str:
    """Run a tool on the submission; return what it prints."""
    argv = ["--dataset", "interactions", "--file", str(folder / "out" / "submission.csv"), *flags]
    assert run_cli("tool", lambda: module.body(module.parse(argv))) == 0
    out: str = capsys.readouterr().out
    return out


def test_two_types_unseen_items_and_all_users(tmp_path: Path, capsys) -> None:
    write_world(tmp_path, "user,item,time,type")
    flags = ("--split", "last:2", "--candidates", "unseen", "--metric", "recall@5",
             "--weights", "view=0.25,buy=0.75")  # fmt: skip
    cv = run(tmp_path, *flags)
    scores = {name: entry["score"] for name, entry in cv["objectives"].items()}
    assert set(scores) == {"view", "buy"}
    assert cv["score"] == pytest.approx(0.25 * scores["view"] + 0.75 * scores["buy"])
    baselines = pl.read_csv(tmp_path / "out" / "logs" / "vs_baselines.csv")
    popular = baselines.filter(baseline="popular, all time")["total"][0]
    assert cv["score"] > popular + 0.15, "the community is known"
    table = pl.read_csv(tmp_path / "out" / "submission.csv")
    assert table.columns == ["user", "objective", *(f"item_{n}" for n in range(1, 6))]
    assert set(table["user"]) == {f"u,{u}" for u in range(USERS)} | {"nobody"}
    assert table.height == 2 * (USERS + 1) and not table.null_count().pipe(sum_of)
    seen = {(user, i) for user, i, *_ in ROWS}
    listed = [(user, i) for user, _, *items in table.rows() for i in items]
    assert not seen & set(listed)
    known = {i for _, i in listed}
    assert known <= {*OF_ITEM, "new"}
    own = [OF_ITEM[i] == int(user[2:]) % 4 for user, i in listed if i in OF_ITEM and "," in user]
    assert np.mean(own) > 0.6
    capsys.readouterr()
    assert "right, 322 lists for 161 queries" in tool(check, tmp_path, capsys, "--input", "in")


def sum_of(frame: pl.DataFrame) -> int:
    return sum(frame.row(0))


def test_an_item_of_the_table_alone_is_a_candidate(tmp_path: Path) -> None:
    write_world(tmp_path, "user,item,time")
    run(tmp_path, "--split", "last:1", "--metric", "mrr@5")
    new = log.ids(tmp_path / "out", "test")[1].index("new")
    pool = pl.read_parquet(tmp_path / "out" / "test" / "pool" / "part-0000.parquet")
    assert pool.filter(item=new).height > USERS / 4


def test_a_single_type_is_the_total_and_a_held_out_test_is_scored(tmp_path: Path, capsys) -> None:
    write_world(tmp_path, "user,item,time")
    cv = run(tmp_path, "--split", "random:0.25", "--test", "held-out", "--metric", "ndcg@10",
             "--candidates", "unseen")  # fmt: skip
    (objective,) = cv["objectives"].values()
    assert cv["score"] == objective["score"] > 0.3
    table = pl.read_csv(tmp_path / "out" / "submission.csv")
    assert table.columns == ["user", *(f"item_{n}" for n in range(1, 11))]
    capsys.readouterr()
    labels = str(tmp_path / "out" / "test" / "labels.parquet")
    out = tool(score, tmp_path, capsys, "--labels", labels)
    truth, lists = log.labels(tmp_path / "out", "test"), {u: r for u, *r in table.rows()}
    gains = 1 / np.log2(np.arange(2, 12))
    wanted = np.mean([
        sum(g for g, i in zip(gains, lists[user], strict=True) if i in of_user)
        / gains[: len(of_user)].sum() for user, of_user in truth.items()
    ])  # fmt: skip
    assert f"{wanted:.4f}" in out and wanted > 0.3


def test_held_out_items_are_put_in_the_order_of_their_ratings(tmp_path: Path) -> None:
    write_world(tmp_path, "user,item,time,rating")
    cv = run(tmp_path, "--split", "last:0.5", "--candidates", "held-out", "--grades", "rating",
             "--metric", "ndcg@3")  # fmt: skip
    draw, at_random = np.random.default_rng(2), []
    labels = log.labels(tmp_path / "out")
    for of_user in labels.values():
        gains = 2.0 ** np.array([*of_user.values()]) - 1
        discount = 1 / np.log2(2 + np.arange(min(3, gains.size)))
        best = np.sort(gains)[::-1][: discount.size] @ discount
        at_random += [draw.permutation(gains)[: discount.size] @ discount / best for _ in range(9)]
    assert cv["score"] > np.mean(at_random) + 0.05
    table = pl.read_csv(tmp_path / "out" / "submission.csv")
    assert set(table["user"]) == set(labels)
    for user, *items in table.rows():
        listed = [i for i in items if i is not None]
        assert set(listed) <= set(labels[user]) and len(listed) == min(3, len(labels[user]))
