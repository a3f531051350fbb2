"""The web application of the tiny run on a real port."""

from __future__ import annotations

import json
import threading
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

from needs import needs_package

from src.serving.recommender import Recommender

HEADERS = {"Host": "localhost"}
FRAME = """<!doctype html><iframe src="/" width="{}" height="900" frameborder="0"></iframe>
<script>
addEventListener("message", e => document.body.replaceChildren(Object.assign(
  document.createElement("pre"), {{id: "probe", textContent: JSON.stringify(e.data)}})));
</script>"""


async def frame(request: Any) -> Any:
    """The page in a frame of a width: a window is 500 at least."""
    from starlette.responses import HTMLResponse

    return HTMLResponse(FRAME.format(request.path_params["width"]))


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
