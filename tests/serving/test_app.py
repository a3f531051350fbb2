"""The web application on a real port: JSON, and wrong requests.

pytest tests/serving/test_app.py
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from served import Server


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
