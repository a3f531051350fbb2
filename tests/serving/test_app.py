"""The web application on a real port: JSON, wrong requests, and the page in a browser.

pytest tests/serving/test_app.py     (the page: skipped where there is no Chromium)
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from html import unescape
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from needs import needs_browser, needs_package

from src.serving.recommender import Recommender

HEADERS = {"Host": "localhost"}


class Server:
    """The application of the tiny run, on a port of its own."""

    def __init__(self, of: Recommender) -> None:
        uvicorn = needs_package("uvicorn", "requirements-page.txt")
        needs_package("starlette", "requirements-page.txt")
        from src.serving.app import application
        from src.tools.page import NAMES, listening

        self.socket, self.of = listening("127.0.0.1", 0), of
        self.port, self.application = self.socket.getsockname()[1], application(of, NAMES)
        self.application.router.add_route("/frame/{width:int}", frame)
        config = uvicorn.Config(self.application, log_level="critical", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],))
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()

    def ask(
        self, target: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and content: of JSON, or text."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, target, body, HEADERS | headers)
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        is_json = reply.headers["content-type"] == "application/json"
        return reply.status, json.loads(text) if is_json else text

    def get(self, path: str, **parameters: object) -> tuple[int, Any]:
        return self.ask(f"{path}?{urlencode(parameters)}")


@pytest.fixture(scope="module")
def server(recommender: Recommender) -> Iterator[Server]:
    server = Server(recommender)
    yield server
    server.stop()


def test_health_and_information(server: Server) -> None:
    assert server.get("/health") == (200, {"status": "ok", "dataset": "tiny"})
    status, info = server.get("/info")
    assert status == 200 and info["types"] == ["clicks", "carts", "orders"]
    assert info["objectives"] == list(server.of.blends) and info["texts"] is False


def test_recommendations(server: Server) -> None:
    of, (a, b) = server.of, (server.of.names.ids[n] for n in (5, 9))
    status, found = server.get("/recommend", events=f"clicks:{a} carts:{b}", k=7)
    assert status == 200
    query = of.reader.read(f"clicks:{a} carts:{b}")
    answer = of.answer(query)
    assert found["events"] == [{"type": "clicks", "id": str(a), "title": ""},
                               {"type": "carts", "id": str(b), "title": ""}]  # fmt: skip
    assert list(found["lists"]) == [*of.blends, "without a model"]
    for name, final in answer.lists.items():
        items = found["lists"][name]
        assert [item["id"] for item in items] == [
            str(of.names.ids[i]) for i in final.item[:7].tolist()
        ]
        assert [item["score"] for item in items] == final.score[:7].tolist()
        assert [item["rank"] for item in items] == [*range(1, 8)]
    assert [item["pool_rank"] for item in found["lists"]["without a model"]] == [*range(1, 8)]


def test_reasons(server: Server) -> None:
    events = f"clicks:{server.of.names.ids[5]}"
    item = server.get("/recommend", events=events)[1]["lists"]["orders"][3]
    status, found = server.get("/recommend", events=events, why=item["id"])
    assert status == 200 and found["why"]["id"] == item["id"]
    effects = [abs(f["effect"]) for f in found["why"]["features"]["orders"]]
    assert effects == sorted(effects, reverse=True) and effects[0] > 0


def test_items(server: Server) -> None:
    status, found = server.get("/items", q="1")
    assert status == 200 and found["items"]
    assert all(item["id"].startswith("1") for item in found["items"])
    assert len(server.get("/items")[1]["items"]) == 50


WRONG = {
    "/recommend": (400, "the query is empty"),
    "/recommend?events=": (400, "the query is empty"),
    "/recommend?events=views:1": (400, "unknown event type"),
    "/recommend?events=clicks:99999999": (400, "no item has the id"),
    "/recommend?events=%27": (400, "a quote"),
    "/recommend?events=%00%ff%fe": (400, "no item has the id"),
    "/recommend?events=" + "1+" * 501: (400, "501 events"),
    "/recommend?events=" + "1+" * 10_000: (400, "10,000 events"),
    "/recommend?events=" + "1" * 40_000: (400, "40,000 letters"),
    "/recommend?events=" + "1" * 64_100: (414, "64,000 bytes"),
    "/recommend?text=rain": (400, "has no texts"),
    "/recommend?events=1&events=2": (400, "given twice"),
    "/recommend?events=1&path=/etc": (400, "unknown parameter 'path'"),
    "/recommend?events={id}&k=0": (400, "k is '0'"),
    "/recommend?events={id}&k=1e9": (400, "k is '1e9'"),
    "/recommend?events={id}&why={far}": (400, "no candidate of this query"),
    "/recommend?events={id}&why=": (400, "no item has the id"),
    "/items?q=" + "x" * 201: (400, "201 letters"),
    "/other": (404, "Not Found"),
    "/../cv.json": (404, "Not Found"),
}


@pytest.mark.parametrize("target", WRONG, ids=lambda target: target[:40])
def test_wrong_requests(server: Server, target: str) -> None:
    status, message = WRONG[target]
    of = server.of
    listed = set(of.answer(of.reader.read(str(of.names.ids[5]))).pool.item.tolist())
    far = next(item for item in range(of.names.ids.len()) if item not in listed)
    for name, item in (("{id}", 5), ("{far}", far)):
        target = target.replace(name, str(of.names.ids[item]))
    found = server.ask(target)
    assert found[0] == status and message in found[1]["error"]
    assert "\n" not in found[1]["error"] and len(found[1]["error"]) < 300


def test_other_methods_hosts_and_sizes(server: Server) -> None:
    assert server.ask("/recommend", "POST", b"x" * 100)[0] == 405
    assert server.ask("/health", Host="evil.example")[0] == 400
    assert server.ask("/recommend?events=" + "1" * 70_000)[0] in (400, 414)
    assert server.ask("/health", body=b"x" * 100_000)[0] == 200, "a body is not read"
    assert server.get("/health")[0] == 200


def test_requests_at_the_same_time(server: Server) -> None:
    """Each gets the answer to its own query."""
    events = [f"clicks:{raw}" for raw in server.of.names.ids[:12]]
    wanted = [server.get("/recommend", events=query)[1]["lists"] for query in events]
    found: dict[int, Any] = {}

    def ask(n: int) -> None:
        found[n] = server.get("/recommend", events=events[n])[1]["lists"]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(events))]
    for step in (threading.Thread.start, threading.Thread.join):
        for thread in threads:
            step(thread)
    assert [found[n] for n in range(len(events))] == wanted


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
FRAME = """<!doctype html><iframe src="/" width="{}" height="900" frameborder="0"></iframe>
<script>
addEventListener("message", e => document.body.replaceChildren(Object.assign(
  document.createElement("pre"), {{id: "probe", textContent: JSON.stringify(e.data)}})));
</script>"""


async def frame(request: Any) -> Any:
    """The page in a frame of a width: a window is 500 at least."""
    from starlette.responses import HTMLResponse

    return HTMLResponse(FRAME.format(request.path_params["width"]))


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
