"""Read text files, packed or not, in blocks of whole lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard
from tqdm import tqdm

BLOCK = 64 << 20


def _unzstd(file: IO[bytes]) -> Iterator[bytes]:
    """Decompressed pieces; zstandard's own reader takes a cut file for a whole one."""
    frame = None
    while piece := file.read(1 << 20):
        while piece:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(piece)
            piece, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame:
        raise EOFError("the end is missing")


def _pieces(path: Path) -> Iterator[bytes]:
    """The file's bytes, with a bar over those read where that takes long."""
    size, how = path.stat().st_size, {"desc": path.name, "leave": False, "disable": None}
    with open(path, "rb") as raw, tqdm.wrapattr(raw, "read", size, delay=2, **how) as file:
        if path.suffix == ".zst":
            yield from _unzstd(file)
            return
        plain = gzip.open(file) if path.suffix == ".gz" else file  # noqa: SIM115 - a view of `file`
        while piece := plain.read(1 << 20):
            yield piece


def blocks(path: Path, size: int = BLOCK) -> Iterator[tuple[int, bytes]]:
    """The file as (number of the first line, whole lines of about `size` bytes)."""
    line, held, total = 1, [b""], 0
    try:
        for piece in _pieces(path):
            held.append(piece)
            total += len(piece)
            if total < size or (cut := piece.rfind(b"\n") + 1) == 0:
                if total > 4 * size:
                    raise ValueError(f"{path}, line {line}: endless; write a session or row a line")
                continue
            held[-1] = piece[:cut]
            block = b"".join(held)
            yield line, block
            line += block.count(b"\n")
            held, total = [piece[cut:]], len(piece) - cut
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise ValueError(f"{path}: damaged or cut off ({error}); download it again") from None
    if block := b"".join(held):
        yield line, block
