"""Ask a web server one request after the other, by Locust; bench/serving.py reads the output.

    python -m bench.serving_load http://127.0.0.1:8000 targets.txt 2

Each of some users takes the next line of the file, a path with its query, as soon as it has an
answer. Prints JSON: milliseconds and status of every request, and the seconds of all.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import gevent
from locust import FastHttpUser, constant, events, task
from locust.env import Environment
from locust.exception import StopUser


class Asker(FastHttpUser):  # type: ignore[misc]
    """Takes the next target until there is none."""

    wait_time = constant(0)
    targets: Any = iter(())

    @task
    def ask(self) -> None:
        """Send one request; the name is the same for all, so that Locust keeps one row."""
        if (target := next(type(self).targets, None)) is None:
            raise StopUser  # the others finish theirs
        with self.client.get(target, name="all", catch_response=True) as reply:
            reply.success()  # the status is judged by the caller


def main(host: str, targets: list[str], users: int) -> dict[str, Any]:
    """Ask all targets; return times and statuses, in the order of the answers."""
    found: dict[str, Any] = {"milliseconds": [], "status": []}

    def note(response_time: float, response: Any, **_: object) -> None:
        found["milliseconds"].append(response_time)
        found["status"].append(getattr(response, "status_code", 0) or 0)

    logging.getLogger("locust").setLevel(logging.ERROR)
    Asker.host, Asker.targets = host, iter(targets)
    environment = Environment(user_classes=[Asker], events=events)
    environment.events.request.add_listener(note)
    runner, started = environment.create_local_runner(), perf_counter()
    runner.start(users, spawn_rate=users)
    while len(found["status"]) < len(targets):
        gevent.sleep(0.05)
    found["seconds"] = perf_counter() - started
    runner.quit()
    return found


if __name__ == "__main__":
    lines = Path(sys.argv[2]).read_text().splitlines()
    print(json.dumps(main(sys.argv[1], lines, int(sys.argv[3]))))
