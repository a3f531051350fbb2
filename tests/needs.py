"""What a few tests need from the machine: a browser, other packages, real data.

A test without it is skipped, and `make test` prints the reason. With REQUIRE_ALL=1 in the
environment, as in `.ci/run`, the test fails instead, so that no check is left out unseen.
"""

from __future__ import annotations

import importlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import NoReturn
from warnings import catch_warnings, simplefilter

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def lacking(reason: str) -> NoReturn:
    """Skip the test; fail it where the environment says REQUIRE_ALL=1."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"REQUIRE_ALL=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def needs_browser() -> str:
    """Path of a Chromium."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found or lacking("no Chromium is on PATH: apt-get install chromium")


def needs_package(name: str, listed: str = "bench/requirements.txt") -> ModuleType:
    """A module of a package that a file lists, imported."""
    with suppress(ImportError), catch_warnings():
        simplefilter("ignore")  # a package may warn while it is imported
        return importlib.import_module(name)
    lacking(f"{name} is not installed: pip install -r {listed}")


def needs_file(variable: str, content: str) -> Path:
    """The file that an environment variable names; skip where the variable is not set.

    The file cannot be fetched by a script, so REQUIRE_ALL does not ask for it.
    """
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set: it names {content}")
    path = Path(os.environ[variable])
    assert path.is_file(), f"{variable}={path} is not a file; it names {content}"
    return path
