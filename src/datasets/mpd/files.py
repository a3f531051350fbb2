"""Find and read `mpd.slice.*.json` and `challenge_set.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

CHALLENGE = "challenge_set.json"
SLICES = "mpd.slice.*.json"
PLAYLISTS = pl.Schema({"session": pl.Int64, "title": pl.String, "events": pl.Int32})
"""A playlist a row, in the order of the file: its pid, its name ("" without one), its tracks."""
ENTRIES = pl.Schema(
    {"session": pl.Int64, "position": pl.Int32, "item": pl.String, "title": pl.String,
     "artist": pl.String, "album": pl.String}
)  # fmt: skip
"""A track of a playlist a row, in order; item is its URI. Names that are missing are null."""
NAMES = ("track_name", "artist_name", "album_name")


class Slice(NamedTuple):
    """Playlists of a file, and their tracks."""

    playlists: pl.DataFrame
    entries: pl.DataFrame


@dataclass(frozen=True)
class Files:
    """The files of a folder."""

    slices: tuple[Path, ...]
    challenge: Path | None

    @property
    def key(self) -> list[tuple[str, int, int]]:
        """What a change of any file changes: names, sizes, times."""
        files = [*self.slices, *([self.challenge] if self.challenge else [])]
        return [(file.name, (s := file.stat()).st_size, s.st_mtime_ns) for file in files]


def find_files(folder: Path) -> Files:
    """Find slices in a folder or in its `data`, and the challenge set; errors name the cure."""
    slices = sorted([*folder.glob(SLICES), *folder.glob(f"data/{SLICES}")])
    if not slices:
        raise FileNotFoundError(f"{folder} has no data/{SLICES}; name the folder, --input")
    for twice in {file.name for file in slices if [s.name for s in slices].count(file.name) > 1}:
        raise ValueError(f"{folder}: {twice} is there and in data/; keep one")
    challenge = folder / CHALLENGE
    return Files(tuple(slices), challenge if challenge.is_file() else None)


def read_slice(path: Path) -> Slice:
    """Read a file of playlists.

    Raises ValueError, with file, place and cure, for a file that is none.
    """
    content = _parse(path)
    playlists = content.get("playlists") if isinstance(content, dict) else None
    if not isinstance(playlists, list):
        raise ValueError(f'{path}: no list "playlists"; give a file of the Million Playlist format')
    rows: list[tuple[int, str, int]] = []
    entries: list[tuple[Any, ...]] = []
    for number, playlist in enumerate(playlists):
        pid, title, tracks = _fields(path, number, playlist)
        for position, track in enumerate(tracks):
            uri = _text(track.get("track_uri")) if isinstance(track, dict) else None
            if not uri:
                raise ValueError(
                    f"{path}, playlist {pid}, track {position}: no track_uri; drop the track"
                )
            entries.append((pid, position, uri, *(_text(track.get(name)) for name in NAMES)))
        rows.append((pid, title, len(tracks)))
    return Slice(
        pl.DataFrame(rows, PLAYLISTS, orient="row"), pl.DataFrame(entries, ENTRIES, orient="row")
    )


def refuse_repeated(path: Path, pids: Iterable[int], known: dict[int, str]) -> None:
    """Raise ValueError where a pid was there before; add the pids to the known ones."""
    for pid in pids:
        if pid in known:
            raise ValueError(f"{path}: playlist {pid} is in {known[pid]} too; keep one")
        known[pid] = path.name


def _parse(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}, byte {error.start}: not UTF-8; save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}, line {error.lineno}, column {error.colno}: no JSON; download it again"
        ) from None


def _fields(path: Path, number: int, playlist: Any) -> tuple[int, str, list[Any]]:
    """Return pid, name and tracks of a playlist."""
    pid = playlist.get("pid") if isinstance(playlist, dict) else None
    if type(pid) is not int or not 0 <= pid < 2**63:
        raise ValueError(f"{path}, playlist {number} of the file: no whole number pid; give it one")
    tracks = playlist.get("tracks", [])
    if not isinstance(tracks, list):
        raise ValueError(f"{path}, playlist {pid}: tracks are no list; give it one")
    return pid, _text(playlist.get("name")) or "", tracks


def _text(value: Any) -> str | None:
    """Return a text; half an emoji, as a cut title has, becomes a question mark."""
    if not isinstance(value, str) or value.isascii():
        return value if isinstance(value, str) else None
    return value.encode("utf-8", "replace").decode()
