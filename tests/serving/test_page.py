"""The page in a real browser.

pytest tests/serving/test_page.py     (skipped where there is no Chromium)
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
from served import Server

WATCH = """<script>
window.faults = [];
addEventListener("error", e => faults.push(String(e.message)));
addEventListener("unhandledrejection", e => faults.push(String(e.reason)));
document.addEventListener("securitypolicyviolation", e => faults.push("CSP " + e.blockedURI));
for (const kind of ["error", "warn"]) console[kind] = (...x) => faults.push(x.join(" "));
</script>"""
PROBE = """<script>
const until = async ready => {
  for (let n = 0; n < 400 && !ready(); n++) await new Promise(done => setTimeout(done, 25));
};
const ids = () => [...document.querySelectorAll("#list > li .name")].map(x => x.innerText);
(async () => {
  const seen = {};
  await until(() => document.querySelector("#found button"));
  seen.begin = at("state").innerText;
  at("search").value = "@"; at("search").oninput();
  await until(() => document.querySelectorAll("#found li").length < 50);
  seen.found = [...document.querySelectorAll("#found .name")].map(x => x.innerText);
  document.querySelector("#found button").focus();
  seen.focus = document.activeElement.getAttribute("aria-label");
  document.activeElement.click();
  await until(() => ids().length);
  seen.first = ids();
  document.querySelectorAll("#found button")[1].click();
  await until(() => document.querySelectorAll("#session li").length === 2 && answer
    && answer.events.length === 2);
  seen.both = answer.events;
  seen.lists = {};
  for (const button of document.querySelectorAll("#objectives button")) {
    [...document.querySelectorAll("#objectives button")]
      .find(b => b.innerText === button.innerText).click();
    seen.lists[button.innerText] = ids();
  }
  document.querySelector("#objectives button").click();
  document.querySelector("#list button").click();
  await until(() => document.querySelector(".why table"));
  seen.why = document.querySelector(".why").innerText;
  seen.expanded = document.querySelector("#list button").getAttribute("aria-expanded");
  document.querySelector("#session button").click();
  await until(() => answer && answer.events.length === 1);
  seen.removed = answer.events;
  seen.loaded = performance.getEntriesByType("resource").map(e => new URL(e.name).pathname);
  seen.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  seen.paper = getComputedStyle(document.body).backgroundColor;
  seen.unnamed = [...document.querySelectorAll("button, input")].filter(x =>
    !x.innerText && !x.getAttribute("aria-label") && !(x.labels && x.labels.length)).length;
  at("clear").click();
  seen.cleared = at("state").innerText;
  seen.errors = window.faults;
  parent.postMessage(seen, "*");
})();
</script>"""


def probe(server: Server, folder: Path, width: int, *flags: str) -> dict[str, Any]:
    """What a browser makes of the page, clicked through, in a frame of a width."""
    flags = (*flags, "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}")
    flags = (*flags, "--window-size=1400,1000", "--virtual-time-budget=60000")
    command = [needs_browser(), "--headless", "--dump-dom", *flags]
    command.append(f"http://127.0.0.1:{server.port}/frame/{width}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(unescape(found[1]))


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page(server: Server, tmp_path: Path, width: int) -> None:
    needs_browser()
    item = str(server.of.names.ids[5])
    service = server.application.routes[0].endpoint.__self__
    plain = service.page
    page = plain.replace("<title>", WATCH + "<title>", 1)
    service.page = page.replace("</body>", PROBE.replace("@", item) + "</body>")
    try:
        light = probe(server, tmp_path, width)
        dark = probe(server, tmp_path, width, "--blink-settings=preferredColorScheme=0")
    finally:
        service.page = plain
    assert light["errors"] == dark["errors"] == []
    assert light["begin"] == light["cleared"] == "Add an item to begin."
    assert light["found"][0] == item or item in light["found"]
    events = " ".join(f"{e['type']}:{e['id']}" for e in light["both"])
    lists = server.get("/recommend", events=events)[1]["lists"]
    assert light["lists"] == {name: [i["id"] for i in items] for name, items in lists.items()}
    assert light["focus"] == f"Add {light['found'][0]} as clicks" and len(light["first"]) == 20
    assert light["removed"] == light["both"][1:] and light["expanded"] == "true"
    assert "proposed by" in light["why"] and "strongest features" in light["why"]
    assert {"/info", "/items", "/recommend"} >= set(light["loaded"])
    assert light["wide"] <= 0 and light["unnamed"] == 0 and light["paper"] != dark["paper"]
