"""Playlists: what each split shows and hides, answers and their scores, wrong files.

pytest tests/datasets/test_playlists.py
"""

from __future__ import annotations

import json
from collections import Counter
from math import log2
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import interactions as log
import numpy as np
import polars as pl
import pytest
import worlds
from refusal import assert_refused

from src import cli
from src.datasets import DATASETS
from src.datasets.mpd import submission
from src.datasets.mpd.demo import World, write_world
from src.datasets.mpd.scores import challenge_scores
from src.datasets.mpd.split import _Splits, fitting

WORLD = World(playlists=130, challenge=14, songs=30, seed=3)


def prepare(folder: Path, *flags: str) -> int:
    step = worlds.script("1_preparation")
    argv = ["--dataset", "mpd", "--input", str(folder / "in"), "--output", str(folder / "out")]
    return cli.main(step.__doc__, step.__file__, step.body, [*argv, "--engine", "cpu", *flags])


def playlists(folder: Path, *names: str) -> dict[int, dict[str, Any]]:
    files = [path for name in names for path in (folder / "in").glob(name)]
    return {p["pid"]: p for file in files for p in json.loads(file.read_text())["playlists"]}


def tracks(playlist: dict[str, Any]) -> list[str]:
    return [track["track_uri"] for track in playlist["tracks"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("playlists")
    write_world(WORLD, folder / "in")
    assert prepare(folder) == 0
    return folder


def test_splits_hide_playlists_as_the_challenge_does(folder: Path) -> None:
    out, known = folder / "out", playlists(folder, "data/*.json")
    splits = [split["name"] for split in worlds.splits(out)]
    assert splits == ["valid", "test", "train_1", "train_2", "train_3", "train_4"]
    hidden: set[int] = set()
    for split in (name for name in splits if name != "test"):
        asked, shown, labels = (f(out, split) for f in (log.queries, log.events, log.labels))
        assert len(asked) == 13 and hidden.isdisjoint(asked)
        hidden |= set(asked)
        assert Counter(len(shown[pid]) for pid in asked) in ({0: 7, 5: 6}, {0: 6, 5: 7})
        for pid, playlist in known.items():
            seen = [item for item, _ in shown[pid]]
            if pid in asked:
                assert seen == tracks(playlist)[: len(seen)]
                assert set(labels[pid]) == set(tracks(playlist)) - set(seen)
            else:
                assert seen == tracks(playlist)


def test_a_short_turn_shows_as_many_tracks_as_the_others() -> None:
    """The last turn has fewer playlists; it must not have the short queries alone."""
    run = SimpleNamespace(recipe=SimpleNamespace(seed=1), input="in")
    splits = _Splits(run, None)  # type: ignore[arg-type]
    long = pl.DataFrame({"session": range(24), "line": range(24), "events": [30] * 24})
    short = pl.DataFrame({"session": range(24, 100), "line": range(24, 100), "events": [3] * 76})
    vars(splits)["kept"], vars(splits)["shown"] = pl.concat([long, short]), np.array([0, 5])
    turns = [splits.plan(turn).filter("query") for turn in range(4)]
    assert [plan.height for plan in turns] == [10, 10, 4, 0]
    assert [Counter(plan["keep"]) for plan in turns[:3]] == [{0: 5, 5: 5}] * 2 + [{0: 2, 5: 2}]
    vars(splits)["shown"] = np.array([5, 25])
    vars(splits)["kept"] = pl.concat(
        [long.with_columns(events=21 + pl.col("line") % 2 * 20), short]
    )
    plan = splits.plan(0).filter("query")
    assert {(line % 2, keep) for line, keep in plan.select("line", "keep").rows()} <= {
        (0, 5), (1, 5), (1, 25)
    }  # fmt: skip
    assert 25 in plan["keep"]


def test_test_asks_for_the_challenge_and_queries_have_their_titles(folder: Path) -> None:
    out, known = folder / "out", playlists(folder, "data/*.json")
    asked = playlists(folder, "challenge_set.json")
    assert set(log.queries(out, "test")) == set(asked)
    shown = log.events(out, "test")
    for pid, playlist in (known | asked).items():
        assert [item for item, _ in shown[pid]] == tracks(playlist)
    table = pl.read_parquet(out / "test" / "sessions.parquet").select("session", "text")
    assert dict(table.rows()) == {p["pid"]: p["name"] for p in (known | asked).values()}
    assert not (out / "test" / "labels.parquet").exists()


def one(pid: int = 1, uris: str = "abc", **more: Any) -> dict[str, Any]:
    return {"pid": pid, "name": "", "tracks": [{"track_uri": uri} for uri in uris], **more}


def write(folder: Path, *parts: Any, challenge: Any = None) -> None:
    (folder / "in" / "data").mkdir(parents=True)
    for n, part in enumerate(parts):
        content = part if isinstance(part, bytes) else json.dumps(part).encode()
        log.write(folder, content, f"data/mpd.slice.{n}-{n}.json")
    if challenge is not None:
        log.write(folder, json.dumps(challenge), "challenge_set.json")


def test_odd_playlists_are_served(tmp_path: Path) -> None:
    """Without names, without tracks, of one track, with doubled ones; seeds that nobody knows."""
    long = [one(pid, [f"t{(pid + n) % 40}" for n in range(30)], name="😀") for pid in range(9)]
    odd = [{"pid": 20, "name": None}, one(21, "a"), one(22, "aab", name="x" * 10_000)]
    odd += [{"pid": 23, "tracks": [{"track_uri": "b", "track_name": None, "artist_name": 5}]}]
    asked = [one(30, ["new"], name=""), {"pid": 31, "name": "😀", "tracks": []}]
    write(tmp_path, {"playlists": long}, {"playlists": odd}, challenge={"playlists": asked})
    assert prepare(tmp_path) == 0
    shown = log.events(tmp_path / "out", "test")
    assert [item for item, _ in shown[22]] == ["a", "a", "b"] and not shown[20]
    assert [item for item, _ in shown[30]] == ["new"] and not shown[31]
    (only,) = log.queries(tmp_path / "out", "valid")
    assert only in range(9)


WRONG: dict[str, tuple[tuple[Any, ...], Any, tuple[str, ...]]] = {
    "no slice": ((), None, ("has no data/mpd.slice.*.json",)),
    "no JSON": ((b'{"playlists": [\n{]}',), None, ("line 2, column 2: no JSON",)),
    "not UTF-8": ((b'{"playlists": [{"pid": 1, "name": "\xff"}]}',), None, ("not UTF-8",)),
    "another JSON": (([1, 2],), None, ('no list "playlists"',)),
    "no pid": (({"playlists": [one(), {"tracks": []}]},), None, ("playlist 1 of the file",)),
    "tracks as text": (({"playlists": [one(tracks="abc")]},), None, ("tracks are no list",)),
    "no URI": (({"playlists": [one(tracks=[{"track_name": "x"}])]},), None,
               ("playlist 1, track 0: no track_uri",)),
    "a playlist twice": (({"playlists": [one()]}, {"playlists": [one()]}), None,
                         ("playlist 1 is in mpd.slice.0-0.json too",)),
    "a playlist of the challenge": (({"playlists": [one()]},), {"playlists": [one()]},
                                    ("challenge_set.json: playlist 1 is in",)),
    "no tracks": (({"playlists": [one(uris="")]},), None, ("no playlist has a track",)),
    "short playlists": (({"playlists": [one()]},), None, ("no playlist has 20 tracks",)),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_files(tmp_path: Path, capsys, fault: str) -> None:
    parts, challenge, texts = WRONG[fault]
    write(tmp_path, *parts, challenge=challenge)
    assert_refused(prepare(tmp_path), tmp_path, capsys.readouterr().err, *texts)


def test_the_scores_of_the_challenge_by_hand() -> None:
    """Three hidden tracks by two artists; the first three tracks count for the R-precision."""
    artist = {"a": "A", "b": "A", "c": "B", "x": "C", "y": "B", "z": "A", "u": None}
    hidden = pl.DataFrame({"session": [1, 1, 1, 2, 3], "item": ["a", "b", "c", "u", "a"]})
    lists = {1: ["x", "a", "y", "z", *"efghijk", "c"], 2: ["x", "z"]}
    rows = [(pid, item, rank) for pid, items in lists.items() for rank, item in enumerate(items)]
    found = challenge_scores(pl.DataFrame(rows, ["session", "item", "rank"], orient="row"),
                             hidden, artist)  # fmt: skip
    ideal = 1 + 1 / log2(3) + 1 / log2(4)
    wanted = [(1 + 0.25 * 1) / 3, (1 / log2(3) + 1 / log2(13)) / ideal, 0.0]
    np.testing.assert_allclose(found.row(0)[1:], wanted)
    assert found.rows()[1:] == [(2, 0.0, 0.0, 51.0), (3, 0.0, 0.0, 51.0)]
    short = pl.DataFrame({"session": [1], "item": ["a"], "rank": [0]})
    assert challenge_scores(short, hidden, artist)["ndcg"][0] == pytest.approx(1 / ideal)


def test_faults_of_an_answer(tmp_path: Path) -> None:
    shown, known = {1: {"a"}, 2: set(), 3: set[str]()}, set("abcdef")
    path = tmp_path / "answer.csv"
    good = ["# by us", "team_info, us, me@example.org", "", "1, b, c", "3,c,d", "2, e, f"]
    path.write_text("\n".join(good))
    assert submission.faults(path, 2, shown, known) == []
    wrong = ["team_info,us,me", "1,a,b", "1,b,c", "2,b", "2,b,b", "9,a,b", "2,b,q"]
    path.write_text("\n".join(wrong))
    found = "\n".join(submission.faults(path, 2, shown, known))
    for text in ("line 2: playlist 1 has a track that it shows", "line 3: playlist 1 was there",
                 "line 4: playlist 2 has 1 tracks; give 2", "line 5: playlist 2 was there",
                 "line 6: playlist 9 is no playlist", "no list for playlist 3"):  # fmt: skip
        assert text in found
    path.write_text("1,b,c\n")
    assert "no team_info" in submission.faults(path, 2, shown, known)[0]


def test_items_of_an_answer_are_counted_up_to_the_metric(tmp_path: Path) -> None:
    """A list of 501 tracks counts 500; a playlist has one list."""
    uris = [f"t{n}" for n in range(501)]
    rows = {"session": [1, 2], "objective": 0, "item": ["t3", "other"], "grade": 1.0}
    truth, file = pl.DataFrame(rows), tmp_path / "answer.csv"
    lines = ["team_info,a,b,c", f"1,{','.join(uris)}", "2,t0,t7"]
    file.write_text("\n".join(lines))
    counts = dict(DATASETS["mpd"].listed_items(file, truth).iter_rows())
    assert counts == {uri: 1 + (uri in ("t0", "t7")) for uri in uris[:500]}
    file.write_text("\n".join([*lines, "1,t5"]))
    with pytest.raises(ValueError, match="playlist 1 has two lists; keep one"):
        DATASETS["mpd"].judged_items(file, truth)


def test_a_query_shows_less_than_its_playlist_has() -> None:
    """A challenge that shows 100 tracks needs no playlists of 101 for its other queries."""
    rng = np.random.default_rng(4)
    events, shown = rng.integers(20, 130, 400), np.array([0, 1, 5, 10, 25, 100])
    drawn = shown[rng.permutation(np.arange(400) * shown.size // 400)]
    keep = fitting(drawn, events, shown)
    assert (keep < events).all()
    able = int((events > 100).sum())
    wanted = np.bincount(np.searchsorted(shown, drawn))
    found = np.bincount(np.searchsorted(shown, keep))
    assert wanted[-1] == 66 and found[-1] == min(able, 66)
    long = np.full(400, 200)
    assert fitting(drawn, long, shown).tolist() == drawn.tolist(), "all fit as they were drawn"
    few = fitting(np.array([100, 5]), np.array([30, 21]), shown)
    assert few.tolist() == [25, 5]


def test_half_an_emoji_in_a_title(tmp_path: Path) -> None:
    write_world(WORLD, tmp_path / "in")
    file = next((tmp_path / "in").glob("data/*.json"))
    content = json.loads(file.read_text())
    content["playlists"][0]["name"] = "half \ud83d"
    content["playlists"][0]["tracks"][0]["artist_name"] = "\udc00"
    file.write_text(json.dumps(content))
    assert prepare(tmp_path) == 0
