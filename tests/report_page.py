"""What tests read from report.html."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any


def data_of(out: Path) -> dict[str, Any]:
    """What the page's script reads."""
    text = (out / "report.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found
    return json.loads(found[1])
