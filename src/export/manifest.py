"""The manifest of a bundle: what it is made of, and checks of its files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORMAT = 1
MANIFEST = "manifest.json"
AGAIN = "run make export again"


@dataclass(frozen=True)
class ModelFile:
    """A model: of a ranker, a target and a fold."""

    ranker: str
    target: str
    fold: int
    file: str
    features: list[str]  # that it reads


@dataclass(frozen=True)
class Manifest:
    """Content of manifest.json. Paths are relative to the folder of the bundle."""

    dataset: str
    recipe: Any  # of recipe_data.as_data
    features: list[str]  # names of all feature columns, in the order of the recipe
    data_hash: str  # of the keys that the files of step 1 were made from
    code_hash: str  # of the classes of all rows
    cv: Any  # cv.json: metric, scores with intervals, folds, and the blend of each objective
    models: list[ModelFile]
    files: dict[str, str]  # path -> SHA-256
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Write manifest.json; the last file of a bundle."""
        text = json.dumps(asdict(self), indent=1, allow_nan=False)
        (folder / MANIFEST).write_text(text)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check manifest.json; ValueError or FileNotFoundError says what is wrong."""
        path = folder / MANIFEST
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: {folder} is no whole bundle; {AGAIN}")
        try:
            data = json.loads(path.read_text())
            if (found := data.pop("format")) != FORMAT:
                raise ValueError(f"{path} has format {found}, this code reads {FORMAT}; {AGAIN}")
            data["models"] = [ModelFile(**entry) for entry in data["models"]]
            return cls(**data)
        except (TypeError, KeyError, AttributeError, json.JSONDecodeError):
            raise ValueError(f"{path} is no manifest of a bundle; {AGAIN}") from None

    def check_files(self, folder: Path) -> None:
        """Raise FileNotFoundError or ValueError for a file that is missing or has other bytes."""
        for name, digest in self.files.items():
            path = folder / name
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing; copy the whole bundle, or {AGAIN}")
            if sha256(path) != digest:
                raise ValueError(
                    f"{path} has other bytes than {MANIFEST} says: it is cut short or of another "
                    f"run; copy the bundle again, or {AGAIN}"
                )


def sha256(path: Path) -> str:
    """Hash the bytes of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
