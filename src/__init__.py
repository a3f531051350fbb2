"""The shared module of the seven numbered scripts; README.md prints the map."""

import hashlib
from pathlib import Path

import numba

# numba's cache looks at the file of a kernel only: a change in one that it calls, in another file,
# would go unseen. So the kernels' sources together name the folder of their compiled code.
_here = Path(__file__).resolve().parent
_sources = b"".join(path.read_bytes() for path in sorted(_here.rglob("*_kernel.py")))
_name = f"numba-{hashlib.sha256(_sources).hexdigest()[:12]}"
numba.config.CACHE_DIR = str(_here / "__pycache__" / _name)  # type: ignore[attr-defined]
