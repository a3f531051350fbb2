"""A web application that answers queries: a page, and JSON."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from src.serving.document import answer_of, information, item_of, reasons
from src.serving.query import K, list_length
from src.serving.reader import LONGEST
from src.serving.recommender import Recommender

PAGE = Path(__file__).parent / "templates" / "page.html"
MAX_QUERY = 2 * LONGEST
"""Bytes of a request's query string."""
MAX_FOUND, MAX_WORDS = 50, 200
"""Items that a search finds, and letters of a search, at most."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The page loads nothing but its own JSON."""


class Service:
    """Checks the parameters of requests, and answers them in turn."""

    def __init__(self, of: Recommender) -> None:
        """Read the page, and index titles, so that no request waits for them."""
        self.of, self.page = of, PAGE.read_text()
        of.names.closest("a")
        of.names.known("a")
        self.one_at_a_time = anyio.CapacityLimiter(1)

    async def show(self, request: Request) -> Response:
        """Send the page."""
        return HTMLResponse(self.page, headers=HEADERS)

    async def health(self, request: Request) -> Response:
        """Say that the models are loaded."""
        return JSONResponse({"status": "ok", "dataset": self.of.run.recipe.name})

    async def info(self, request: Request) -> Response:
        return JSONResponse(information(self.of))

    async def items(self, request: Request) -> Response:
        """Find items by id or title."""
        words = parameters(request, {"q"}).get("q", "")
        if len(words) > MAX_WORDS:
            raise HTTPException(400, f"q has {len(words):,} letters; give {MAX_WORDS} at most")

        def find() -> dict[str, Any]:
            return {"items": [item_of(self.of, i) for i in self.of.names.search(words, MAX_FOUND)]}

        return await self.reply(find)

    async def recommend(self, request: Request) -> Response:
        """Answer a query: `answer_of`, and with `why` the reasons of an item."""
        given = parameters(request, {"events", "text", "k", "why"})

        def answer() -> dict[str, Any]:
            k = list_length(given.get("k", str(K)))
            query = self.of.reader.read(given.get("events", ""), given.get("text", ""))
            found = self.of.answer(query)
            document = answer_of(self.of, query, found, k)
            if "why" in given:
                document["why"] = reasons(self.of, found, self.of.names.find(given["why"]))
            return document

        return await self.reply(answer)

    async def reply(self, make: Callable[[], dict[str, Any]]) -> Response:
        """Send what a function returns; its ValueError is a fault of the request."""

        def respond() -> Response:
            try:
                document = make()
            except ValueError as error:
                return fault(400, str(error))
            return JSONResponse(document, headers={"Cache-Control": "no-store"})

        return await anyio.to_thread.run_sync(respond, limiter=self.one_at_a_time)


def parameters(request: Request, allowed: Collection[str]) -> dict[str, str]:
    """Return the parameters of a request; HTTPException for unknown, repeated or long ones."""
    if len(request.scope["query_string"]) > MAX_QUERY:
        raise HTTPException(
            414, f"a query string has {MAX_QUERY:,} bytes at most; send fewer events"
        )
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    if unknown := [name for name in names if name not in allowed]:
        known = ", ".join(sorted(allowed))
        raise HTTPException(400, f"unknown parameter {unknown[0][:40]!r}; there are {known}")
    if len(set(names)) < len(names):
        raise HTTPException(400, "a parameter is given twice; put all events into one, by blanks")
    return dict(given)


def fault(status: int, message: str) -> Response:
    """Send an error."""
    return JSONResponse({"error": message}, status)


async def on_fault(request: Request, error: Exception) -> Response:
    """Send the error of an HTTPException as JSON."""
    assert isinstance(error, HTTPException)
    return fault(error.status_code, error.detail)


def application(of: Recommender, hosts: list[str]) -> Starlette:
    """Make the application; hosts: names under which it is asked, "*" for any.

    Other names are refused: a page elsewhere could have its name point here.
    """
    service = Service(of)
    routes = [
        Route("/", service.show), Route("/health", service.health), Route("/info", service.info),
        Route("/items", service.items), Route("/recommend", service.recommend),
    ]  # fmt: skip
    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    return Starlette(
        routes=routes, middleware=[trusted], exception_handlers={HTTPException: on_fault}
    )
