"""No module runs code that it reads from a file.

pytest tests/datasets/test_no_code_from_files.py
"""

from __future__ import annotations

import ast

import pytest
from worlds import ROOT

RUNS_CODE = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
BARE = {"eval", "exec", "compile", "__import__"}  # a net has an eval() of its own
CALLS = {"system", "popen", "deserialize", "read_pickle"}


def unsafe(tree: ast.AST) -> list[str]:
    """Imports and calls that could run code from a file."""
    unsafe_names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            unsafe_names += [name for name in names if name.partition(".")[0] in RUNS_CODE]
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
            unsafe_names += [name] if name in BARE or name.rpartition(".")[2] in CALLS else []
            if name == "np.load" and keywords.get("allow_pickle") != "False":
                unsafe_names.append(name)
            if name == "torch.load" and keywords.get("weights_only") != "True":
                unsafe_names.append(name)
    return unsafe_names


@pytest.mark.parametrize("path", [*sorted(ROOT.glob("[0-9]_*.py")), *(ROOT / "src").rglob("*.py")],
                         ids=lambda path: path.name)  # fmt: skip
def test_nothing_read_can_run(path) -> None:
    assert not unsafe(ast.parse(path.read_text()))


CODE = ["import pickle", "from joblib import load", "np.load(p)", "torch.load(p)", "eval(x)",
        "np.load(p, allow_pickle=True)", "torch.load(p, weights_only=False)",
        "os.system(x)"]  # fmt: skip


@pytest.mark.parametrize("line", CODE)
def test_what_could_run_would_be_found(line) -> None:
    assert unsafe(ast.parse(line))
