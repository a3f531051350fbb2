"""Small LETOR files, planted so that they can be learned, and step 1 run on them in-process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds

from src import cli
from src.datasets import DATASETS

LETOR = DATASETS["letor"]
RECIPE = replace(LETOR.recipe, name="lists")

Doc = tuple[int, dict[int, object], str]  # grade, values, name; "": without


def text(qid: object, docs: list[Doc]) -> str:
    """Lines of one query; no qid where it is None."""
    lines = []
    for grade, values, name in docs:
        head = [str(grade), *([] if qid is None else [f"qid:{qid}"])]
        pairs = [f"{index}:{value}" for index, value in values.items()]
        lines.append(" ".join([*head, *pairs, *([f"#docid = {name} inc = 1"] if name else [])]))
    return "".join(f"{line}\n" for line in lines)


def planted(queries: int, seed: int, hidden: bool = False) -> dict[int, list[Doc]]:
    """Queries of 4 to 9 documents; grade 2 where values 1 and 2 are high, 1 where one of them is.

    Value 3 is noise; one value in five is missing, or absent, which counts 0.
    """
    rng, found = np.random.default_rng(seed), {}
    for n in range(queries):
        docs = []
        for doc in range(int(rng.integers(4, 10))):
            a, b, noise = rng.random(3).round(3).tolist()
            values: dict[int, object] = {1: a, 2: b}
            if rng.random() < 0.8:
                values[3] = noise if rng.random() < 0.5 else "NULL"
            grade = -1 if hidden else int(a > 0.6) + int(b > 0.6)
            docs.append((grade, values, f"D{seed}-{n}-{doc}"))
        found[1000 * seed + 3 * n] = docs
    return found


def write(folder: Path, **files: dict[Any, list[Doc]] | str) -> Path:
    """Write files; the key is the name of the file, with _ for the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if not isinstance(content, str):
            content = "".join(text(qid, docs) for qid, docs in content.items())
        (folder / name.replace("_", ".")).write_text(content)
    return folder


def prepare(patch: pytest.MonkeyPatch, folder: Path, *flags: str) -> int:
    """Run 1_preparation.py from folder/in to folder/out."""
    worlds.register(patch, RECIPE, LETOR)
    step = worlds.script("1_preparation")
    argv = ["--dataset", "lists", "--input", str(folder / "in"), "--output", str(folder / "out")]
    return cli.main(step.__doc__, step.__file__, step.body, [*argv, "--engine", "cpu", *flags])
