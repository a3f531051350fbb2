"""Playlists of the Million Playlist format: 500 tracks for a title, for some tracks, or both."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import polars as pl

from src.core.run import Run
from src.data.raw_ids import item_ids
from src.data.recipe import Recipe
from src.data.schemas import FinalLists
from src.data.splits import splits_in
from src.datasets.base import Checked, Dataset, Source
from src.datasets.judged_rows import counted
from src.datasets.mpd import scores, submission
from src.datasets.mpd.files import read_slice
from src.datasets.mpd.recipe import RECIPE
from src.datasets.mpd.split import make_splits

SOURCE = Source(
    page="https://www.aicrowd.com/challenges/spotify-million-playlist-dataset-challenge",
    licence="Spotify's playlists, for research only",
    kaggle="",
    files=(),
)


@dataclass(frozen=True)
class Playlists(Dataset):
    """Slices of playlists, and a challenge set whose playlists are to be continued."""

    recipe: Recipe = RECIPE
    source: Source | None = SOURCE
    output: Path = Path()  # folder of the results

    def configure(self, args: argparse.Namespace) -> Self:
        return replace(self, output=args.output)

    def prepare(self, run: Run) -> None:
        make_splits(run)

    def write_submission(self, run: Run, split: str, lists: FinalLists, path: Path) -> None:
        submission.write_submission(run, split, lists, path)

    def check_submission(self, path: Path, folder: Path) -> Checked:
        """Check an answer against the queries and tracks that step 1 left in the output."""
        shown = {pid: set(uris) for pid, uris in self._shown().items()}
        tracks = set(item_ids(self.output / "items.parquet"))
        right = f"{len(shown):,} lists of {self.recipe.k} tracks, of {len(tracks):,} tracks"
        return Checked(submission.faults(path, self.recipe.k, shown, tracks), right)

    def _shown(self, roles: tuple[str, ...] = ()) -> dict[int, list[str]]:
        """Read pid -> tracks shown, of the queries of some roles, or of those to be answered."""
        splits = [split for split in splits_in(self.output) if split.role in ("valid", "test")]
        splits = [s for s in splits if s.role in roles] if roles else splits[-1:]
        found: dict[int, list[str]] = {}
        ids = item_ids(self.output / "items.parquet")
        for split in splits:
            folder = self.output / split.name
            pids = pl.read_parquet(folder / "sessions.parquet")["session"]
            found |= {pid: [] for pid in pids[split.first_query :]}
            events = pl.scan_parquet(folder / "events.parquet").select("session", "item")
            of_queries = events.filter(pl.col("session") >= split.first_query)
            for session, item in of_queries.collect().rows():
                found[pids[session]].append(ids[item])
        return found

    def listed_items(self, path: Path, truth: pl.DataFrame) -> pl.DataFrame:
        """Count the items of the lists, as Dataset.listed_items says."""
        lists = self.judged_items(path, truth)
        return counted(lists.filter(pl.col("rank") < self.recipe.k))

    def judged_items(self, path: Path, truth: pl.DataFrame) -> pl.DataFrame:
        """List the judged items of an answer, as Dataset.judged_items says."""
        lists = submission.read_lists(path)
        lists = lists.join(truth.select("session").unique(), on="session", how="semi")
        if lists.is_empty():
            raise ValueError(f"{path} has no list for any playlist of the labels; give theirs")
        for pid in lists.filter(pl.struct("session", "rank").is_duplicated())["session"][:1]:
            raise ValueError(f"{path}: playlist {pid} has two lists; keep one")
        judged = lists.join(truth, on=["session", "item"], how="left", maintain_order="left")
        objective = pl.lit(0, pl.Int64).alias("objective")
        return judged.select("session", objective, "item", "grade", "rank")

    def read_ground_truth(self, path: Path) -> pl.DataFrame:
        """Read hidden tracks from a file like a slice, whose playlists have them alone."""
        entries = read_slice(path).entries
        return entries.select(
            "session", "item", objective=pl.lit(0, pl.Int64), grade=pl.lit(1.0, pl.Float32)
        ).unique(["session", "item"], maintain_order=True)

    def own_scores(
        self, lists: pl.DataFrame, truth: pl.DataFrame, labels: Path
    ) -> pl.DataFrame | None:
        """Score lists as the challenge did, by the number of tracks that a query shows."""
        items = pl.read_parquet(self.output / "items.parquet", columns=["item_id", "artist"])
        artist = dict(items.rows())
        if labels.suffix == ".json":
            artist |= dict(read_slice(labels).entries.select("item", "artist").rows())
        shown = {pid: len(tracks) for pid, tracks in self._shown(("valid", "test")).items()}
        hidden = truth.select("session", "item")
        found = scores.challenge_scores(lists.select("session", "item", "rank"), hidden, artist)
        return scores.by_category(found, shown)
