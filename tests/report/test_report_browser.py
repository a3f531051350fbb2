"""report.html in a real browser.

pytest tests/report/test_report_browser.py     (skipped where there is no Chromium)
"""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from needs import needs_browser
from report_page import data_of

pytestmark = pytest.mark.slow

PROBE = """
<script>
const seen = {errors: window.faults, at: []};
const look = () => seen.at.push(["pick", "candidates"].map(id => {
  const node = document.getElementById(id);
  return id === "pick" ? node.value : node.innerText;
}).concat([document.querySelectorAll("#candidates tr.hit").length,
  [...document.querySelectorAll("#candidates tr")].slice(1)
    .map(row => [row.cells[0].innerText, row.cells[1].innerText.split(" ")[0]])]));
look();
document.getElementById("next").click(); look();
const pick = document.getElementById("pick");
pick.selectedIndex = 5; pick.dispatchEvent(new Event("change")); look();
document.getElementById("for-2").click(); look();
seen.loaded = performance.getEntriesByType("resource").map(e => e.name);
seen.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
seen.width = document.documentElement.clientWidth;
seen.plots = [...document.querySelectorAll("svg")].map(s => s.getBoundingClientRect())
  .map(r => [r.width, r.height]);
seen.text = getComputedStyle(document.querySelector("svg text")).fill;
parent.postMessage(seen, "*");
</script>
"""
FRAME = """<!doctype html><iframe src="page.html" width="{}" height="900" frameborder="0"></iframe>
<script>
addEventListener("message", e => document.body.replaceChildren(Object.assign(
  document.createElement("pre"), {{id: "probe", textContent: JSON.stringify(e.data)}})));
</script>
"""
WATCH = """<script>
window.faults = [];
addEventListener("error", e => faults.push(String(e.message)));
document.addEventListener("securitypolicyviolation", e => faults.push("CSP " + e.blockedURI));
for (const kind of ["error", "warn"]) console[kind] = (...x) => faults.push(x.join(" "));
</script>"""


@pytest.fixture(scope="session")
def chromium() -> str:
    return needs_browser()


def probe(
    chromium: str, html: Path, folder: Path, width: int = 1280, *flags: str
) -> dict[str, Any]:
    """What a browser makes of the page, clicked through, in a frame (a window is 500 at least)."""
    text = html.read_text().replace("<title>", WATCH + "<title>", 1)
    (folder / "page.html").write_text(text.replace("</body>", PROBE + "</body>"))
    (folder / "frame.html").write_text(FRAME.format(width))
    flags = (*flags, "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}")
    flags = (*flags, "--window-size=1400,1000", "--virtual-time-budget=20000")
    command = [chromium, "--headless", "--dump-dom", *flags, (folder / "frame.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(unescape(found[1]))


@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser(chromium: str, first: Path, tmp_path: Path, width: int) -> None:
    seen = probe(chromium, first / "report.html", tmp_path, width)
    assert seen["errors"] == [] and seen["loaded"] == []
    assert width - 20 <= seen["width"] <= width
    assert seen["wide"] <= 0, "the page scrolls sideways"
    assert len(seen["plots"]) > 20 and all(w > 250 and h > 50 for w, h in seen["plots"])
    queries = data_of(first)["queries"]
    chosen = [at[0] for at in seen["at"]]
    assert chosen == [queries[n]["id"] for n in (0, 1, 5, 5)]
    tables = [at[1] for at in seen["at"]]
    assert len(set(tables)) == 4, "another query, or objective: another table"
    shown = ((0, 0), (1, 0), (5, 0), (5, 2))  # query, objective
    for (_, table, hits, order), (n, o) in zip(seen["at"], shown, strict=True):
        true = {row[0] for row in queries[n]["rows"] if row[5]}
        assert hits == len(true) and all(item in table for item in true)
        rows = sorted(queries[n]["rows"], key=lambda row: row[3][o])
        assert order == [[str(row[3][o] + 1), row[0]] for row in rows]


def test_dark_mode_changes_the_plots(chromium: str, first: Path, tmp_path: Path) -> None:
    page = first / "report.html"
    light = probe(chromium, page, tmp_path)
    dark = probe(chromium, page, tmp_path, 1280, "--blink-settings=preferredColorScheme=0")
    assert light["text"] != dark["text"] and dark["errors"] == []
