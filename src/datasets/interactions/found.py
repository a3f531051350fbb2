"""What step 1 finds in the files, kept for the later steps in dataset.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

FILE = "dataset.json"


@dataclass(frozen=True)
class Found:
    """Columns, types and sizes of a log, and the flags that it was read with."""

    flags: dict[str, str]
    who: str  # whom lists are for: "session" or "user"
    days: float  # length of the window that is held out; 0 where it is no window
    columns: dict[str, str]  # role -> name in the file
    unit: str  # of the times; "" in a log without times
    types: tuple[str, ...]  # most frequent first
    has_ratings: bool
    whole_ratings: bool  # all are whole numbers that an exponential gain takes
    attributes: dict[str, str]  # of items -> kind (src/datasets/interactions/tables.py)
    context: dict[str, str]  # attributes of users -> kind
    has_titles: bool  # whether items have titles
    has_created: bool  # whether the time of an item is known
    events: int
    users: int  # or sessions
    items: int
    cold_items: int  # that only the table of items knows
    first: int  # seconds since 1970 of the first event
    last: int

    @classmethod
    def read(cls, output: Path) -> Found | None:
        """Read what step 1 found; None before it ran. ValueError where an older version did."""
        path = output / FILE
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        if set(found) != {field.name for field in fields(cls)}:
            raise ValueError(f"{path} is of another version; run 1_preparation.py again")
        return cls(**{**found, "types": tuple(found["types"])})

    def write(self, path: Path) -> None:
        """Write dataset.json."""
        path.write_text(json.dumps(asdict(self), indent=1))
