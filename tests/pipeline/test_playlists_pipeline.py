"""From planted playlists to an answer: the seven scripts, and the tools on their output.

pytest tests/pipeline/test_playlists_pipeline.py
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import worlds
from tiny import run_steps

from src.datasets.mpd import submission
from src.datasets.mpd.dataset import Playlists
from src.datasets.mpd.demo import COMMUNITIES, World, community_of, write_world
from src.datasets.mpd.recipe import RECIPE
from src.metrics.ndcg import NDCG
from src.rankers.xgb import XGBoostRanker
from src.tools import check, score

pytestmark = pytest.mark.slow

WORLD = World(playlists=240, challenge=40, songs=40, seed=4)
TREES = (("objective", "binary:logistic"), ("max_depth", 3), ("learning_rate", 0.2))
TINY = replace(
    RECIPE, name="songs", metric=NDCG(50), pool_size=150, min_train_queries=0,
    rankers=(XGBoostRanker("logistic", TREES, 20),),
)  # fmt: skip


UNKNOWN = [{"track_uri": uri} for uri in ("nobody:1", "nobody:1", "nobody:2")]
ODD = [{"pid": 900_000 + n, "name": name, "tracks": tracks} for n, (name, tracks) in enumerate(
    [("", []), ("😀", []), ("?!", []), ("x" * 10_000, []), (None, UNKNOWN)]
)]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files in in/, the output of all scripts in out/."""
    folder = tmp_path_factory.mktemp("songs")
    write_world(WORLD, folder / "in")
    file = folder / "in" / "challenge_set.json"
    challenge = json.loads(file.read_text())
    file.write_text(json.dumps({"playlists": [*challenge["playlists"], *ODD]}))
    assert run_steps(folder / "in", folder / "out", recipe=TINY, dataset=Playlists()) == 0
    return folder


def test_titles_and_tracks_beat_popularity(folder: Path) -> None:
    cv = json.loads((folder / "out" / "cv.json").read_text())
    baselines = (folder / "out" / "logs" / "pool" / "baselines.csv").read_text().splitlines()
    popular = next(float(line.split(",")[1]) for line in baselines if line.startswith("popular"))
    assert cv["score"] > 2 * popular


def test_a_title_alone_decides_the_community(folder: Path) -> None:
    playlists = json.loads((folder / "in" / "challenge_set.json").read_text())["playlists"]
    lists = submission.read_lists(folder / "out" / "submission.csv")
    shares = []
    for playlist in playlists:
        words = playlist["name"].split() if not playlist["tracks"] else []
        if words and words[0].strip("!") in COMMUNITIES:
            own = COMMUNITIES.index(words[0].strip("!"))
            songs = lists.filter(session=playlist["pid"])["item"][:10]
            shares.append(sum(community_of(uri, WORLD.songs) == own for uri in songs) / 10)
    assert len(shares) > 10 and min(shares) >= 0.8


def test_what_says_nothing_gets_the_frequent_songs(folder: Path) -> None:
    """No letters, ten kilobytes of one letter, seeds that nobody has."""
    lists = submission.read_lists(folder / "out" / "submission.csv")
    found = [lists.filter(session=odd["pid"])["item"].to_list() for odd in ODD]
    assert all(len(set(items)) == 50 for items in found)
    assert not {track["track_uri"] for track in UNKNOWN}.intersection(*found)
    counts: Counter[str] = Counter()
    for file in (folder / "in" / "data").iterdir():
        for playlist in json.loads(file.read_text())["playlists"]:
            counts.update({track["track_uri"] for track in playlist["tracks"]})
    frequent = {uri for uri, _ in counts.most_common(100)}
    by_chance = 50 * 100 / (len(COMMUNITIES) * WORLD.songs)
    assert min(len(frequent.intersection(items)) for items in found) > 2 * by_chance


def test_the_answer_is_right_and_is_scored(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    worlds.register(monkeypatch, TINY, Playlists())
    flags = ["--dataset", "songs", "--output", str(folder / "out")]
    assert check.body(check.parse([*flags, "--input", str(folder / "in")])) == 0
    for labels in (folder / "in" / "hidden.json", folder / "out" / "valid" / "labels.parquet"):
        capsys.readouterr()
        args = score.parse([*flags, "--labels", str(labels)])
        if labels.suffix == ".json":
            assert score.body(args) == 0
            printed = capsys.readouterr().out
            assert "r_precision" in printed and "clicks" in printed
        else:
            with pytest.raises(ValueError, match="answers test, which sees what valid hides"):
                score.body(args)
            shutil.copyfile(folder / "out" / "submission.csv", tmp_path / "mine.csv")
            args.file = tmp_path / "mine.csv"
            with pytest.raises(ValueError, match="no list for any playlist of the labels"):
                score.body(args)
