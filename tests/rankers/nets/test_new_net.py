"""The net that docs/rankers.md shows is trained as it stands there.

pytest tests/rankers/nets/test_new_net.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from graded import graded_lists, trained

from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker

ROOT = Path(__file__).resolve().parents[3]
ROW, MODULE = "src.rankers.nets.cross", "src.rankers.nets.modules.cross"


def test_the_net_of_the_documentation_is_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "rankers.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text.partition("### Write a net")[2], re.DOTALL)
    for name, code in zip([ROW, MODULE], blocks, strict=True):
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(code, name, "exec"), module.__dict__)
    net = sys.modules[ROW].Cross(layers=1)
    ranker = NetRanker("cross", net, Softmax(), batch_size=16, epochs=2)
    ranker_model = trained(ranker, graded_lists(tmp_path), tmp_path)
    assert ranker_model.nets[0].layers[0].in_features == 6
