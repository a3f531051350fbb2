"""Read `user_sequence.txt`, a user and its items in order a line, and `item_textual_id.txt`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

SEQUENCES, TEXTS = "user_sequence.txt", "item_textual_id.txt"
HEADERS = ("user", "user_id", "userid", "users", "reviewerid")
"""First words of a line that names columns."""
STEP_S = 60  # seconds from an item to the next: a made-up time
SHOWN = 40  # characters of a wrong text in a message


@dataclass(frozen=True)
class Files:
    """The files of one data set."""

    sequences: Path
    texts: Path | None  # beside it

    @property
    def key(self) -> list[tuple[str, int, int]]:
        """What a change of any file changes: names, sizes, times."""
        files = [self.sequences, *([self.texts] if self.texts else [])]
        return [(file.name, (s := file.stat()).st_size, s.st_mtime_ns) for file in files]


def find_files(given: Path) -> Files:
    """Find the files of a folder, or the one that is given and the texts beside it.

    Raises FileNotFoundError or ValueError, with the cure, where there are none or several.
    """
    if given.is_file():
        return _with_texts(given)
    if not given.is_dir():
        raise FileNotFoundError(f"{given} not found; name the folder of {SEQUENCES}, --input")
    if (given / SEQUENCES).is_file():
        return _with_texts(given / SEQUENCES)
    below = sorted(given.glob(f"*/{SEQUENCES}"))
    if not below:
        raise FileNotFoundError(f"{given} has no {SEQUENCES}; name its folder, --input")
    if len(below) > 1:
        raise ValueError(
            f"{given} has {len(below)} data sets, {', '.join(p.parent.name for p in below)[:200]}; "
            f"name one, --input {below[0].parent}"
        )
    return _with_texts(below[0])


def _with_texts(sequences: Path) -> Files:
    texts = sequences.with_name(TEXTS)
    return Files(sequences, texts if texts.is_file() else None)


def read_log(path: Path) -> pl.DataFrame:
    """Read a file of sequences as a log: user and item, texts; time, STEP_S times the position.

    Lines without an item are left out, a header is too. Raises ValueError, with file, line and
    cure, where a user has two lines, or where no line has an item.
    """
    lines: dict[str, int] = {}
    sequences: list[list[str]] = []
    for number, line in _lines(path):
        user, *items = line.split()
        if number == 1 and user.partition(":")[0].lower() in HEADERS:
            continue
        if user in lines:
            raise ValueError(
                f"{path}, line {number}: user {user[:SHOWN]!r} has line {lines[user]} too; "
                "join both lines"
            )
        lines[user] = number
        sequences.append(items)
    if not any(sequences):
        raise ValueError(
            f"{path}: no line has a user and items; write them as `user item item`, with spaces"
        )
    schema = {"user": pl.String(), "item": pl.List(pl.String())}
    log = pl.DataFrame({"user": list(lines), "item": sequences}, schema)
    log = log.with_columns(time=pl.int_ranges(pl.col("item").list.len()))
    log = log.filter(pl.col("time").list.len() > 0).explode("item", "time", empty_as_null=False)
    return log.with_columns(pl.col("time") * STEP_S)


def read_texts(path: Path) -> pl.DataFrame:
    """Read the texts of items: columns item and title, null for an item without a text.

    Raises ValueError, with file, line and cure, where an item has two lines.
    """
    lines: dict[str, int] = {}
    texts: list[str | None] = []
    for number, line in _lines(path):
        item, *rest = line.split(maxsplit=1)
        if item in lines:
            raise ValueError(
                f"{path}, line {number}: item {item[:SHOWN]!r} has line {lines[item]} too; keep one"
            )
        lines[item] = number
        texts.append(rest[0].strip() if rest else None)
    schema = {"item": pl.String, "title": pl.String}
    return pl.DataFrame({"item": list(lines), "title": texts}, schema=schema)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbers and texts of the lines that are not blank."""
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{path}, line {number}: not UTF-8; save it as UTF-8") from None
        if text.strip():
            yield number, text
