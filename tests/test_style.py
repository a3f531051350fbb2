"""Rules about the code that the syntax trees can keep."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from src.datasets import DATASETS

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(ROOT.glob("[0-9]_*.py"))
SOURCES = sorted((ROOT / "src").rglob("*.py"))
ALL = [*SCRIPTS, *SOURCES, *sorted((ROOT / "bench").rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
OURS = [f for f in ALL if "datasets" not in f.relative_to(ROOT).parts]
LAYERED = [f for f in SOURCES if f.parent != ROOT / "src" or f.name == "cli.py"]
NAMES = {*DATASETS, "otto", "tianchi", "demo"}

SCRIPT_LINES, FILE_LINES, FUNCTION_LINES, FOLDER_FILES = 60, 260, 50, 26
OBVIOUS = 12  # lines: a public function up to this may go without a docstring

ORDER = (
    "core", "data", "texts", "metrics", "matrices", "generation", "candidates", "embeddings",
    "features", "rankers", "prerankers", "calibrators", "blend", "evaluation", "export", "report",
    "serving", "datasets", "spark", "cli", "tools",
)  # fmt: skip
"""A folder of src imports only what stands before it here; scripts, tests and bench, anything."""
# what cudf-polars lacks, by the name it is called under
NOT_ON_A_GPU = {
    "int_range", "int_ranges", "cum_count", "cum_max", "cum_min", "head", "tail", "cut", "qcut",
    "map_batches", "map_groups", "map_elements", "join_asof", "rle", "rle_id", "explode", "implode",
}  # fmt: skip
NOT_A_GPU_TYPE = {"Categorical", "Enum", "list"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def named_datasets(tree: ast.AST) -> list[str]:
    """Names of datasets that stand in the code as a string, or as a module that is imported."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [node.value] if node.value.lower() in NAMES else []
        elif isinstance(node, ast.Import):
            found += [a.name for a in node.names if _of_one(a.name)]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [a.name for a in node.names if _of_one(f"{node.module}.{a.name}")]
    return found


def _of_one(module: str) -> bool:
    """Whether a module is in the folder of one dataset."""
    return module.startswith("src.datasets.") and module.split(".")[2] in NAMES


def compared_names(tree: ast.AST) -> list[str]:
    """Comparisons and matches of `recipe.name`: a branch per dataset in disguise."""
    found = []
    for node in ast.walk(tree):
        sides: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            sides = [node.subject]
        found += [t for side in sides if (t := ast.unparse(side).lower()).endswith("recipe.name")]
    return found


def gpu_trouble(tree: ast.AST) -> list[str]:
    """Polars operations that cudf-polars cannot run."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in NOT_A_GPU_TYPE:
            found.append(node.attr)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            found += [called] if called in NOT_ON_A_GPU else []
    return found


def functions(tree: ast.AST) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def lines(node: Function) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_there_is_something_to_check() -> None:
    assert len(SCRIPTS) == 7 and len(SOURCES) > 20


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_no_other_file_names_a_dataset(path: Path) -> None:
    found = named_datasets(tree_of(path))
    if name_of(path) == "src/cli.py":
        found.remove("demo")  # the default of --dataset
    assert not found, f"{path.name} names {found}: put what differs into the dataset's folder"
    assert not compared_names(tree_of(path)), f"{path.name} branches on a recipe's name"


def imported(tree: ast.Module) -> set[str]:
    """Modules of src that are imported, "core.store" say; not those for the type checker alone."""
    found: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        todo += ast.iter_child_nodes(node)
    return {name.removeprefix("src.") for name in found if name.startswith("src.")}


def layer(path: Path) -> str:
    return path.relative_to(ROOT / "src").with_suffix("").parts[0]


@pytest.mark.parametrize("path", LAYERED, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    """Read a folder with those before it in ORDER known, and none behind it."""
    known = ORDER[: ORDER.index(layer(path)) + 1]
    wrong = {name for name in imported(tree_of(path)) if name.partition(".")[0] not in known}
    assert not wrong, f"{name_of(path)} imports {sorted(wrong)}, which stand behind it in ORDER"


@pytest.mark.parametrize("path", LAYERED, ids=name_of)
def test_a_dataset_imports_its_own_folder_only(path: Path) -> None:
    parts = path.relative_to(ROOT / "src").parts
    if parts[0] == "datasets" and len(parts) > 2:
        # the demo's shop is in OTTO's format; any log has OTTO's rows
        shared = {"otto"} if parts[1] in ("demo", "interactions", "mpd", "sequences") else set()
        shared |= {"interactions"} if parts[1] == "sequences" else set()
        others = NAMES - {parts[1]} - shared
        wrong = {n for n in imported(tree_of(path)) if n.startswith("datasets.")
                 and n.split(".")[1] in others}  # fmt: skip
        assert not wrong


def test_every_folder_has_its_place_in_the_order() -> None:
    assert {layer(path) for path in LAYERED} == set(ORDER)


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_a_script_is_a_page(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= SCRIPT_LINES
    doc = ast.get_docstring(tree_of(path)) or ""
    assert f"python {path.name} --dataset" in doc and "Reads" in doc and "Writes" in doc


@pytest.mark.parametrize("path", [*ALL, *TESTS], ids=name_of)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE_LINES, "would a reader know the room?"


def test_folders_are_small() -> None:
    """4 to 20 files: a folder that one can look through. A kernel belongs to the file beside it."""
    for folder in {path.parent for path in LAYERED} - {ROOT / "src"}:
        files = [file for file in folder.glob("*.py") if not file.name.endswith("_kernel.py")]
        assert len(files) <= FOLDER_FILES, folder.name


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    if not path.name.endswith("_kernel.py"):
        long = {f.name: lines(f) for f in functions(tree_of(path)) if lines(f) > FUNCTION_LINES}
        assert not long


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_docstrings(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree), "a module says what it is"
    tops = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    bare = [n for n in tops if isinstance(n, ast.ClassDef) and not ast.get_docstring(n)]
    for node in (child for top in tops for child in top.body if isinstance(child, Function)):
        public = not node.name.startswith("_") and path not in SCRIPTS
        if public and lines(node) > OBVIOUS and not ast.get_docstring(node):
            bare.append(node)
    assert not [node.name for node in bare]


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/*.md")), ids=name_of
)
def test_no_merge_is_left_half_done(path: Path) -> None:
    assert not re.search(r"^(<{7}|={7}|>{7})( |$)", path.read_text(), re.MULTILINE)


def test_queries_of_matrices_can_run_on_a_gpu() -> None:
    assert not gpu_trouble(tree_of(ROOT / "src" / "matrices" / "self_merge.py"))


@pytest.mark.parametrize(
    "line",
    [
        'if run.recipe.name == "otto": pass',
        'ks = {"tianchi": 5}',
        "from src.datasets import otto",
        "from src.datasets.demo.recipe import SHOP",
        "import src.datasets.otto",
    ],
)
def test_a_named_dataset_would_be_found(line: str) -> None:
    assert named_datasets(ast.parse(line))


def test_an_import_for_the_type_checker_does_not_count() -> None:
    lines = "from src.core import store\nif TYPE_CHECKING:\n    from src.cli import main"
    assert imported(ast.parse(lines)) == {"core.store"}
    assert imported(ast.parse("def f():\n    from src.cli import main")) == {"cli.main"}


def test_a_branch_on_the_name_would_be_found() -> None:
    assert compared_names(ast.parse("x = recipe.name in small"))
    assert compared_names(ast.parse("match run.recipe.name:\n case _: pass"))
    assert not named_datasets(ast.parse("from src.datasets import DATASETS"))


@pytest.mark.parametrize(
    "line",
    [
        "pl.int_range(pl.len()).over('x')",
        "pl.col('x').cum_count().over('y')",
        "x.cum_max().over('y')",
        "frame.group_by('x').head(3)",
        "x.cut([1])",
        "x.qcut(4)",
        "x.map_batches(f)",
        "a.join_asof(b, on='t', by='s')",
        "x.rle_id()",
        "x.cast(pl.Categorical)",
        "x.list.len()",
    ],
)
def test_what_a_gpu_lacks_would_be_found(line: str) -> None:
    assert gpu_trouble(ast.parse(line))
