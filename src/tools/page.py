"""Serve a page and JSON that recommend items with the models of a finished run.

    python -m src.tools.page --dataset demo --port 8000                        (or: make page)

Needs the packages of requirements-page.txt. Listens on 127.0.0.1: whoever can reach the port can
ask. docs/ask.md has the form of GET /recommend. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

from src.cli import run_cli, step_flags
from src.tools.ask import load

LOCAL = "127.0.0.1"
NAMES = [LOCAL, "localhost"]
"""Hosts of a request to this machine itself."""


def flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a server."""
    parser.add_argument("--host", default=LOCAL, help=f"address to listen on ({LOCAL})")
    parser.add_argument(
        "--port", type=int, default=8000, help="port, 0 for any that is free (8000)"
    )


def listening(host: str, port: int) -> socket.socket:
    """Open the port; ValueError, with the cure, where another process has it, or there is none."""
    if not 0 <= port < 1 << 16:
        raise ValueError(f"--port {port}: give a number from 0 to 65535")
    try:
        listener = socket.create_server((host, port))
        # connections inherit it: else the body of an answer waits 40 ms for the client's ACK
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (")[0]
        raise ValueError(
            f"cannot listen on {host}:{port} ({why}); give another PORT or HOST"
        ) from None


def body(args: argparse.Namespace) -> int:
    """Load the run, then serve until the end."""
    import uvicorn

    from src.serving.app import application

    with listening(args.host, args.port) as port:
        of = load(args, Path(__file__))
        hosts = ["*"] if args.host == "0.0.0.0" else [*NAMES, args.host]
        config = uvicorn.Config(application(of, hosts), log_level="warning", server_header=False)
        host, number = port.getsockname()[:2]
        print(f"http://{host}:{number}  (Ctrl-C ends it)", flush=True)
        uvicorn.Server(config).run([port])
    return 0


if __name__ == "__main__":
    raise SystemExit(
        run_cli("page", lambda: body(step_flags(__doc__ or "", Path(__file__), more=flags)))
    )
