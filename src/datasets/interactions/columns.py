"""Find the columns of a log, by the names that people give them or by the flag --columns."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAMES: dict[str, tuple[str, ...]] = {
    "session": ("sessionid", "session", "visitid"),
    "user": ("userid", "user", "uid", "visitorid", "visitor", "customerid", "customer", "memberid",
             "member", "readerid", "reader"),
    "item": ("itemid", "item", "iid", "productid", "product", "articleid", "article", "movieid",
             "movie", "aid", "sku", "asin", "songid", "song", "trackid", "track", "bookid", "book",
             "isbn", "gameid", "game", "clickarticleid"),
    "time": ("timestamp", "ts", "time", "datetime", "date", "eventtime", "eventdate", "unixtime",
             "clicktimestamp", "unixreviewtime"),
    "type": ("type", "event", "behavior", "behaviour", "action", "eventtype", "behaviortype",
             "behaviourtype", "actiontype"),
    "rating": ("rating", "ratings", "stars", "score", "overall", "grade"),
}  # fmt: skip
"""Role of a column -> its usual names, lower case, without anything but letters and digits."""

PAIRS = (("eventdate", "timeframe"), ("date", "time"))
"""Columns that are a time together: a date, and the time of day or the seconds from it on."""
WHO = ("session", "user")
SHOWN = 120  # characters of a line in a message


@dataclass(frozen=True)
class Columns:
    """Columns of one file, by number from 0."""

    who: str  # "session" or "user": whom a list is made for
    user: int  # the column of `who`
    item: int
    time: tuple[int, ...]  # none; one; or two, a date and what is added to it
    type: int | None
    rating: int | None

    @property
    def numbers(self) -> list[int]:
        """All columns that are read, ascending, each once."""
        known = (self.user, self.item, *self.time, self.type, self.rating)
        return sorted({number for number in known if number is not None})


def plain(name: str) -> str:
    """Reduce a column's name to letters and digits, without a type as RecBole writes it."""
    return re.sub(r"[\W_]", "", name.partition(":")[0].lower())


def parse_columns(text: str) -> dict[str, str]:
    """Parse `user=uid,item=iid,time=day+offset`; raise ValueError, with the cure, for a fault."""
    chosen: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        role, equals, name = (piece.strip() for piece in part.partition("="))
        if role not in NAMES or not equals:
            roles = ", ".join(NAMES)
            raise ValueError(
                f"--columns {text}: {part!r} is not role=name; give roles among {roles}"
            )
        if role in chosen:
            raise ValueError(f"--columns {text}: {role} appears twice; keep one")
        chosen[role] = name
    if set(WHO) <= set(chosen):
        raise ValueError(f"--columns {text}: lists are for users or for sessions; give one of both")
    numbers = {name.isdigit() for name in _parts(chosen)}
    if len(numbers) > 1:
        raise ValueError(
            f"--columns {text}: names and numbers; give names, or numbers of a file without header"
        )
    return chosen


def _parts(chosen: dict[str, str]) -> list[str]:
    """Return all names that the flag gives; a time of two columns has two."""
    return [part for name in chosen.values() for part in name.split("+") if part]


def by_number(chosen: dict[str, str]) -> bool:
    """Whether the flag gives numbers of columns, from 1: the files have no header."""
    return any(name.isdigit() for name in _parts(chosen))


def find_columns(header: list[str], chosen: dict[str, str]) -> Columns | None:
    """Find the columns of a file; None where there is no user or session, or no item.

    header: the names; with `by_number` any list as long. Raises ValueError where the flag names a
    column that is not there.
    """
    found = {role: _numbers(header, role, chosen) for role in NAMES}
    who = next((role for role in WHO if found[role] and (role in chosen or not _given(chosen))), "")
    if not who or not found["item"]:
        return None
    first = {role: numbers[0] if numbers else None for role, numbers in found.items()}
    user, item = found[who][0], found["item"][0]
    return Columns(who, user, item, tuple(found["time"]), first["type"], first["rating"])


def _given(chosen: dict[str, str]) -> bool:
    """Whether the flag says whom lists are for."""
    return any(chosen.get(role) for role in WHO)


def _numbers(header: list[str], role: str, chosen: dict[str, str]) -> list[int]:
    """Return the numbers of a role's columns: those of the flag, else the first usual name."""
    if role in chosen:
        return [_number(header, name) for name in chosen[role].split("+") if name]
    if by_number(chosen):
        return []
    names = [plain(name) for name in header]
    if role == "time" and (pair := next((p for p in PAIRS if set(p) <= set(names)), None)):
        return [names.index(name) for name in pair]
    return next(([names.index(name)] for name in NAMES[role] if name in names), [])


def _number(header: list[str], name: str) -> int:
    if name.isdigit():
        if not 1 <= int(name) <= len(header):
            raise ValueError(f"there is no column {name}; a row has {len(header)}, count from 1")
        return int(name) - 1
    plains = [column.partition(":")[0].strip() for column in header]
    for known in (header, plains):
        if known.count(name) == 1:
            return known.index(name)
    raise ValueError(f"no column {name}; the columns are {', '.join(plains)[:SHOWN]}")
