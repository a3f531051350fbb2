"""Turn the files of playlists into parquet parts: a log of all playlists, one of the challenge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from src.core.run import Run
from src.datasets.mpd.files import ENTRIES, Files, read_slice, refuse_repeated
from src.datasets.session_log import SESSION_ROWS, SessionLog

STEP_MS = 60_000  # from a track to the next: a made-up time
PART_ROWS = pl.Schema(
    {"line": pl.Int32, "session": pl.Int64, "position": pl.Int32, "item": pl.Int32,
     "ts": pl.Int64, "type": pl.Int8}
)  # fmt: skip
"""A track of a part; line: number of the playlist; session: its pid."""


@dataclass(frozen=True)
class PlaylistLog(SessionLog):
    """Parts of a log (PART_ROWS); its table has SESSION_ROWS, and a column title."""

    def with_items(self, rows: pl.DataFrame, item_ids: pl.Series) -> pl.DataFrame:
        """Return the rows: their items are dense."""
        return rows


@dataclass(frozen=True)
class Logs:
    """The playlists of the slices, those of the challenge, and all tracks."""

    playlists: PlaylistLog
    challenge: PlaylistLog | None
    tracks: Path  # item_id (URI, sorted), title, artist, album; null where unknown

    @property
    def files(self) -> list[Path]:
        logs = [log for log in (self.playlists, self.challenge) if log]
        return [self.tracks, *(log.table for log in logs)]


def read_logs(run: Run, files: Files) -> Logs:
    """Bring output/raw/{playlists,challenge,tracks}*.parquet up to date."""
    raw = run.output / "raw"
    playlists = PlaylistLog(run.input, raw / "playlists.parquet")
    challenge = PlaylistLog(run.input, raw / "challenge.parquet") if files.challenge else None
    logs = Logs(playlists, challenge, raw / "tracks.parquet")
    parts = [playlists.part(n) for n in range(len(files.slices))]
    parts += [challenge.part(0)] if challenge else []

    def make(temporary: dict[Path, Path]) -> None:
        size = sum(file.stat().st_size for file in files.slices)
        largest = max(file.stat().st_size for file in files.slices)
        run.budget.claim("read playlists", 8 * largest + size / 4, size / 4)
        with TemporaryDirectory(dir=run.output, prefix=".part-log-") as folder:
            _Writer(run, files, logs, Path(folder)).write(temporary)

    run.build_many(dict.fromkeys([*logs.files, *parts], files.key), make, [])
    return logs


@dataclass(frozen=True)
class _Writer:
    """Writes the files of the logs."""

    run: Run
    files: Files
    logs: Logs
    folder: Path  # of files that are removed in the end

    def write(self, temporary: dict[Path, Path]) -> None:
        """Read each file once; then write its tracks with dense items."""
        known: dict[int, str] = {}
        tables, line = [], 0
        tracks = pl.DataFrame(schema=ENTRIES).select("item", "title", "artist", "album")
        paths = [*self.files.slices, *([self.files.challenge] if self.files.challenge else [])]
        for number, path in enumerate(self.run.progress(paths, "playlists")):
            playlists, entries = read_slice(path)
            refuse_repeated(path, playlists["session"], known)
            first = 0 if path == self.files.challenge else line
            lines = playlists.with_columns(
                line=pl.int_range(pl.len()) + first,
                first=pl.when(pl.col("events") > 0).then(0),
                last=pl.when(pl.col("events") > 0).then((pl.col("events") - 1) * STEP_MS),
                part=pl.lit(0 if path == self.files.challenge else number),
            )
            numbers = lines.select(SESSION_ROWS.names()).cast(SESSION_ROWS)
            tables.append(numbers.with_columns(lines["title"]))
            line += playlists.height
            of_line = tables[-1].select("session", "line")
            entries = entries.join(of_line, on="session", maintain_order="left")
            entries.write_parquet(self.folder / f"{number}.parquet")
            new = entries.select("item", "title", "artist", "album")
            tracks = pl.concat([tracks, new]).unique("item", keep="first", maintain_order=True)
        if not sum(table["events"].sum() for table in tables[: len(self.files.slices)]):
            raise ValueError(f"{self.run.input}: no playlist has a track; give slices with tracks")
        self._write_tables(tables, tracks.sort("item"), temporary)

    def _write_tables(
        self, tables: list[pl.DataFrame], tracks: pl.DataFrame, temporary: dict[Path, Path]
    ) -> None:
        """Write those of the files that have a temporary path."""
        n, (playlists, challenge) = (
            len(self.files.slices),
            (self.logs.playlists, self.logs.challenge),
        )
        known = tracks.select(pl.col("item").alias("item_id"), "title", "artist", "album")
        made = {self.logs.tracks: known, playlists.table: pl.concat(tables[:n])}
        targets = [playlists.part(number) for number in range(n)]
        if challenge:
            made[challenge.table] = tables[n]
            targets.append(challenge.part(0))
        for path in made.keys() & temporary.keys():
            made[path].write_parquet(temporary[path])
        numbers = tracks.select("item", number=pl.int_range(pl.len(), dtype=pl.Int32))
        for number, target in enumerate(targets):
            if target in temporary:
                rows = pl.read_parquet(self.folder / f"{number}.parquet")
                rows = rows.join(numbers, on="item", maintain_order="left").with_columns(
                    item="number", ts=pl.col("position").cast(pl.Int64) * STEP_MS, type=pl.lit(0)
                )
                rows.select(PART_ROWS.names()).cast(PART_ROWS).write_parquet(temporary[target])
