"""A submission is made again when the code of its dataset changed: its writer and all it imports.

pytest tests/datasets/test_rebuild.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from src.core import code
from src.datasets import DATASETS


def versions() -> dict[str, str]:
    """Of the code that writes the submission of each dataset."""
    code.clear()
    return {name: code.version(dataset.write_submission) for name, dataset in DATASETS.items()}


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("src/datasets/tianchi/submission.py", {"tianchi"}),
        ("src/datasets/otto/submission.py", {"otto", "demo"}),
        ("src/datasets/otto/dataset.py", {"otto", "demo"}),
        ("src/datasets/submission_rows.py", {*DATASETS}),
        ("src/datasets/interactions/submission.py", {"interactions", "sequences"}),
        ("src/datasets/fill_up.py", {"tianchi", "interactions", "sequences", "mpd", "mpd-demo"}),
        ("src/datasets/demo/simulate.py", set()),
        ("src/datasets/tianchi/recipe.py", set()),  # its rows enter the keys one by one
        ("src/datasets/__init__.py", set()),
    ],
)
def test_a_change_of_the_writer_makes_submissions_stale(
    tree: Path, file: str, changes: set[str]
) -> None:
    before = versions()
    with open(tree / file, "a") as f:
        f.write("\nCHANGED = 1\n")
    after = versions()
    assert {name for name in DATASETS if before[name] != after[name]} == changes


def test_prose_makes_no_submission_stale(tree: Path) -> None:
    before, path = versions(), tree / "src" / "datasets" / "tianchi" / "submission.py"
    text = path.read_text()
    changed = text.replace("Describe the rows", "Say what rows look like", 1)
    changed = changed.replace("\n    columns =", "\n    # a reason\n    columns =", 1)
    assert changed.count("a reason") == 1 and "Say what" in changed
    path.write_text(changed)
    assert versions() == before
