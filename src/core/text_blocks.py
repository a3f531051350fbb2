"""Read text files, plain, gzip or zstandard, in blocks of whole lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import zstandard
from tqdm import tqdm

BLOCK = 64 << 20  # bytes of a block, about
READ = 1 << 20  # bytes of a read
MAX_BLOCKS_PER_LINE = 4  # a longer line is refused: the file has no line ends


class Block(NamedTuple):
    """Whole lines of a plain file."""

    source: Path
    first: int  # byte
    end: int

    def read(self) -> bytes:
        with open(self.source, "rb") as file:
            file.seek(self.first)
            return file.read(self.end - self.first)

    def count_lines(self) -> int:
        return self.read().count(b"\n")


def _decompress_zstd(file: IO[bytes]) -> Iterator[bytes]:
    """Yield decompressed bytes; raise EOFError if the file is cut off, as zstandard does not."""
    frame = None
    while data := file.read(READ):
        while data:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(data)
            data, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame:
        raise EOFError("the end is missing")


def _read(path: Path) -> Iterator[bytes]:
    """Yield the decompressed bytes of a file; show a bar where that takes long."""
    size, bar = path.stat().st_size, {"desc": path.name, "leave": False, "disable": None}
    with open(path, "rb") as raw, tqdm.wrapattr(raw, "read", size, delay=2, **bar) as file:
        if path.suffix == ".zst":
            yield from _decompress_zstd(file)
            return
        plain = gzip.open(file) if path.suffix == ".gz" else file  # noqa: SIM115 - a view of `file`
        while data := plain.read(READ):
            yield data


def block_ends(path: Path, size: int = BLOCK) -> list[int]:
    """Return the bytes at which the blocks of a plain file end, those of `blocks`; read little."""
    ends, start, length = [], 0, path.stat().st_size
    with open(path, "rb") as file:
        for chunk in range(0, length, READ):
            if min(chunk + READ, length) - start < size:
                continue
            file.seek(chunk)
            if cut := file.read(READ).rfind(b"\n") + 1:
                start = chunk + cut
                ends.append(start)
    return ends if start == length else [*ends, length]


def blocks(path: Path, size: int = BLOCK) -> Iterator[tuple[int, bytes]]:
    """Yield (number of the first line, whole lines of about `size` bytes) of a text file.

    Raises ValueError with the file, and the cure, where it is damaged or has no line ends.
    """
    line, unread, total = 1, [b""], 0
    try:
        for data in _read(path):
            unread.append(data)
            total += len(data)
            if total < size or (cut := data.rfind(b"\n") + 1) == 0:
                if total > MAX_BLOCKS_PER_LINE * size:
                    raise ValueError(f"{path}, line {line}: endless; write a session or row a line")
                continue
            unread[-1] = data[:cut]
            block = b"".join(unread)
            yield line, block
            line += block.count(b"\n")
            unread, total = [data[cut:]], len(data) - cut
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise ValueError(f"{path}: damaged or cut off ({error}); download it again") from None
    if block := b"".join(unread):
        yield line, block
