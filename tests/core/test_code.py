"""Which code a file depends on: what its maker and its rows import, prose left out.

pytest tests/core/test_code.py
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
from planted import BARE, planted_split

from src.candidates.history import HistoryRetriever
from src.candidates.lists import write_candidates
from src.candidates.popular import PopularRetriever
from src.candidates.recall import write_recall
from src.candidates.seeds import Seeds
from src.core import code
from src.data.split_data import SplitData
from src.matrices.build import build_group
from src.matrices.covisitation import CovisitationMatrix
from src.metrics.recall import Recall

OWN, HOUR = HistoryRetriever("own", Seeds()), PopularRetriever("hour", 3600)
NEXT = CovisitationMatrix("next", max_steps=1)


def version(*parts: object) -> str:
    code.clear()
    return code.version(*parts)


LISTS = (write_candidates, OWN)
MADE = {
    "lists": LISTS, "other lists": (write_candidates, HOUR), "matrix": (build_group, NEXT),
    "recall": (write_recall, Recall(20)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("src/candidates/lists.py", {"lists", "other lists", "recall"}),
        ("src/candidates/history_kernel.py", {"lists"}),  # from src.candidates import a kernel
        ("src/candidates/popular.py", {"other lists"}),
        ("src/matrices/count_kernel.py", {"matrix"}),
        ("src/metrics/recall.py", {"recall"}),
        ("src/metrics/bootstrap.py", {"recall"}),
        ("src/data/schemas.py", {"lists", "other lists", "matrix", "recall"}),
        ("src/core/topk_kernel.py", {"lists", "other lists", "matrix", "recall"}),
        ("src/core/budget.py", set()),  # has no say in what a file holds
        ("src/core/run.py", set()),
        ("src/cli.py", set()),
        ("src/datasets/otto/recipe.py", set()),  # its rows enter the keys one by one
        ("src/data/recipe.py", set()),  # the recipe is a table, too
    ],
)
def test_a_change_reaches_what_imports_it(tree: Path, file: str, changes: set[str]) -> None:
    before = {name: version(*parts) for name, parts in MADE.items()}
    with open(tree / file, "a") as f:
        f.write("\nCHANGED = 1\n")
    after = {name: version(*parts) for name, parts in MADE.items()}
    assert {name for name in MADE if before[name] != after[name]} == changes


PROSE = '"""{}\n\nAnother docstring."""\n\n# a comment\n\n\n'


@pytest.mark.parametrize("file", ["src/candidates/lists.py", "src/candidates/history.py",
                                  "src/core/topk_kernel.py"])  # fmt: skip
def test_prose_changes_nothing(tree: Path, file: str) -> None:
    before, path = version(*LISTS), tree / file
    text = path.read_text()
    _, first, rest = text.split('"""', 2)
    path.write_text(text.replace(f'"""{first}"""', PROSE.format(first.upper()), 1))
    assert path.read_text() != text and version(*LISTS) == before
    path.write_text(path.read_text() + "x = 1\n")
    assert version(*LISTS) != before and rest


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("import src.b", True),
        ("from src import b", True),
        ("from src.b import x", True),
        ("def f():\n    import src.b", True),
        ("if TYPE_CHECKING:\n    from src.b import x", False),
    ],
)
def test_every_form_of_import(tree: Path, line: str, counts: bool) -> None:
    with open(tree / "src" / "candidates" / "history.py", "a") as f:
        f.write(f"\n{line}\n")
    (tree / "src" / "b.py").write_text("x = 1\n")
    before = version(OWN)
    (tree / "src" / "b.py").write_text("x = 2\n")
    assert (version(OWN) != before) == counts


def test_the_maker_is_found_in_any_wrapping() -> None:
    here = Path(__file__).resolve()
    for maker in (never, partial(never, 1), lambda part: None, [never], {"a": never}):
        assert here in set(code.sources(maker))
    row = Path(sys.modules[HistoryRetriever.__module__].__file__ or "")
    seeds = Path(sys.modules[Seeds.__module__].__file__ or "")
    assert {row, seeds} <= set(code.sources((1, ["x", {"row": OWN}])))
    assert not set(code.sources([1, "x", None, 2.5, print]))
    assert set(code.sources(partial(never, OWN))) == {here}, "a run as an argument holds all rows"


def never(part: Path) -> None:
    raise AssertionError(part)


def test_a_docstring_rebuilds_no_list_and_a_kernel_does(tree: Path, tmp_path: Path) -> None:
    """The whole way: write lists, change the prose of their code, write them again."""
    data = planted_split(tmp_path / "out", BARE)

    def built() -> int:
        code.clear()
        return write_candidates(SplitData(data.run, "valid"), OWN)["built"]

    assert built() == 1 and built() == 0
    kernel = tree / "src" / "candidates" / "history_kernel.py"
    kernel.write_text(kernel.read_text().replace("Sort the seed items", "Order the seed items"))
    assert built() == 0
    with open(kernel, "a") as f:
        f.write("X = 1\n")
    assert built() == 1
