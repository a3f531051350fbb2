"""Read the paths of flags: a path of this machine, or a file:// URI."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit


def local_path(text: str) -> Path:
    """Convert a path, or a URI like file:///shared/otto.

    Raises FileNotFoundError, with the cure, for a URI of another scheme: steps rename and map their
    files, which object stores and HDFS do not offer.
    """
    scheme, is_uri, _ = text.partition("://")
    if not is_uri:
        return Path(text)
    if scheme.lower() != "file":
        raise FileNotFoundError(
            f"{text}: {scheme} is not a file system of this machine; mount it, or copy the files "
            "to a folder that all machines see (docs/cluster.md)"
        )
    return Path(unquote(urlsplit(text).path))
