"""A planted world of playlists: the words of a title name the community of its songs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from src.core import store
from src.core.run import Run
from src.data.recipe import Recipe
from src.datasets.base import Source
from src.datasets.mpd.dataset import Playlists
from src.datasets.mpd.files import CHALLENGE
from src.datasets.mpd.recipe import RECIPE

COMMUNITIES = ("rainy", "summer", "workout", "sleep", "party", "country", "jazz", "gospel",
               "metal", "road", "study", "christmas")  # fmt: skip
SECOND = ("", "", " songs", " vibes", " mix", " playlist", " 2017", "!!", " 🎵")
SLICE = 1_000  # playlists of a file
HIDDEN = "hidden.json"
SHOWN = (0, 5)  # tracks that a playlist of the challenge shows


@dataclass(frozen=True)
class World:
    """Size and seed of a planted world."""

    playlists: int = 3_000
    challenge: int = 300
    songs: int = 200  # of a community, drawn by Zipf's law
    noise: float = 0.15  # share of the songs of other communities
    nameless: float = 0.1  # share of the playlists whose title says nothing
    seed: int = 1


def community_of(uri: str, songs: int) -> int:
    """Return the community of a planted song."""
    return int(uri.rpartition(":")[2]) // songs


def write_world(world: World, folder: Path) -> None:
    """Write data/mpd.slice.*.json, challenge_set.json, and hidden.json, the tracks left out.

    The slices come last, at once: a folder that has them is whole.
    """
    part = folder / ".part"
    _write_files(world, part)
    for name in (CHALLENGE, HIDDEN, "data"):
        os.replace(part / name, folder / name)
    part.rmdir()


def _write_files(world: World, folder: Path) -> None:
    rng = np.random.default_rng(world.seed)
    playlists = [_playlist(world, rng, pid) for pid in range(world.playlists + world.challenge)]
    known, asked = playlists[: world.playlists], playlists[world.playlists :]
    for first in range(0, len(known), SLICE):
        part = known[first : first + SLICE]
        name = f"mpd.slice.{first}-{first + len(part) - 1}.json"
        _write(folder / "data" / name, part)
    cut = [SHOWN[n % len(SHOWN)] for n in range(len(asked))]
    _write(folder / CHALLENGE, [
        {**playlist, "tracks": playlist["tracks"][:n], "num_samples": n}
        for playlist, n in zip(asked, cut, strict=True)
    ])  # fmt: skip
    _write(folder / HIDDEN, [
        {**playlist, "tracks": playlist["tracks"][n:]}
        for playlist, n in zip(asked, cut, strict=True)
    ])  # fmt: skip


def _playlist(world: World, rng: np.random.Generator, pid: int) -> dict[str, Any]:
    own, n = int(rng.integers(len(COMMUNITIES))), int(rng.integers(25, 60))
    community = np.where(rng.random(n) < world.noise, rng.integers(len(COMMUNITIES), size=n), own)
    weight = 1.0 / np.arange(5, world.songs + 5)
    song = rng.choice(world.songs, size=n, p=weight / weight.sum())
    title = COMMUNITIES[own] + SECOND[int(rng.integers(len(SECOND)))]
    title = "my playlist" if rng.random() < world.nameless else title
    numbers = (community * world.songs + song).tolist()  # a song can come twice
    tracks = [_track(world, number, pos) for pos, number in enumerate(numbers)]
    return {"name": title, "pid": pid, "num_tracks": len(tracks), "tracks": tracks}


def _track(world: World, number: int, pos: int) -> dict[str, Any]:
    word = COMMUNITIES[number // world.songs]
    return {
        "pos": pos, "track_uri": f"spotify:track:{number:06}", "track_name": f"Song {number}",
        "artist_name": f"The {word.title()} {number % 17}", "album_name": f"Album {number % 40}",
    }  # fmt: skip


def _write(path: Path, playlists: list[dict[str, Any]]) -> None:
    store.write_text(path, json.dumps({"playlists": playlists}))


DEMO = replace(RECIPE, name="mpd-demo", min_train_queries=400)


@dataclass(frozen=True)
class PlaylistsDemo(Playlists):
    """The formats of playlists; the files are planted where there are none yet."""

    simulates: ClassVar[bool] = True

    recipe: Recipe = DEMO
    source: Source | None = None
    world: World = World()

    def prepare(self, run: Run) -> None:
        """Plant missing raw files, then prepare them."""
        if not run.dry and not list(run.input.glob("data/*.json")):
            with run.step(f"plant {self.world.playlists:,} playlists"):
                write_world(self.world, run.input)
        super().prepare(run)
