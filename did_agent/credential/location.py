"""Where a path or URL argument really points, for the `path` and `url` constraints; in doubt, nowhere."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

MAX_LOCATION: Final = 8192  # characters of a path or URL argument

_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_AUTHORITY: Final = re.compile(
    r"(?=.{1,260}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*(?::[1-9][0-9]{0,4})?"
)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,31}")
# Printable ASCII without the characters that URL parsers disagree about.
_URL: Final = re.compile(r"([^:/?#]+)://([^/?#]*)(/[^?#]*)?(?:\?[^#]*)?(?:#.*)?")
_URL_TEXT: Final = re.compile(r"[!#-;=?-\[\]_a-z~]+")


class Location(NamedTuple):
    """The parts of a URL that a constraint can bind."""

    scheme: str
    host: str  # with the port, if one was written
    path: str


def resolve_path(value: object) -> str | None:
    """Return the absolute path after resolving `.`, `..` and `//`; None when two programs could read it differently.

    Symbolic links are the file server's matter: a constraint on names cannot see them.
    """
    if not isinstance(value, str) or not value.startswith("/") or len(value) > MAX_LOCATION:
        return None
    if "\\" in value or "\0" in value or _ENCODED.search(value) or not unicodedata.is_normalized("NFC", value):
        return None
    kept: list[str] = []
    for segment in value.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/" + "/".join(kept)


def is_below(path: str, root: str) -> bool:
    """Tell whether the resolved `path` is `root` or lies below it, on whole segments."""
    return path == root or path.startswith(root if root.endswith("/") else root + "/")


def parse_location(value: object) -> Location | None:
    """Return the parts of a plain `scheme://host[:port]/path` URL; None for userinfo, upper case and the like."""
    if not isinstance(value, str) or len(value) > MAX_LOCATION or not _URL_TEXT.fullmatch(value):
        return None
    found = _URL.fullmatch(value)
    if not found or not _SCHEME.fullmatch(found[1]) or not _AUTHORITY.fullmatch(found[2]):
        return None
    return Location(found[1], found[2], found[3] or "/")


def is_plain_url_path(path: str) -> bool:
    """Tell whether every server reads `path` alike: nothing encoded, no dot segments, no matrix parameters on dots."""
    return "%" not in path and not any(segment.split(";")[0] in {".", ".."} for segment in path.split("/"))
