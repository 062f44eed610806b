"""Names of agents that cannot pretend to be other names (WEB-08)."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from did_agent.encoding.redirect_uri import LOOPBACK, is_redirect_uri
from did_agent.errors import InvalidParameter

MAX_NAME: Final = 64  # characters
MAX_TEXT: Final = 512  # characters of a sponsor or description
_FORBIDDEN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
# Letters and marks that show nothing though their category says otherwise: fillers, joiners, variation selectors.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def require_name(name: str) -> str:
    """Return the name if it is normalised, visible and of one script.

    Raises: InvalidParameter.
    """
    if not 0 < len(name) <= MAX_NAME or name != name.strip():
        raise InvalidParameter(f"name: 1 to {MAX_NAME} characters without space around")
    _require_visible("name", name)
    scripts = {unicodedata.name(char, "?").split()[0] for char in name if char.isalpha()}
    if len(scripts) > 1:
        raise InvalidParameter("name: letters of more than one script")
    return name


def require_text(label: str, text: str) -> str:
    """Return a line of text that prints as it reads.

    Raises: InvalidParameter.
    """
    if len(text) > MAX_TEXT:
        raise InvalidParameter(f"{label}: at most {MAX_TEXT} characters")
    _require_visible(label, text)
    return text


def require_redirect(uri: str) -> str:
    """Return a redirect URI that is https, or http to a loopback address (OAU-03).

    Raises: InvalidParameter.
    """
    if not is_redirect_uri(uri) or not (uri.startswith("https://") or LOOPBACK.fullmatch(uri)):
        raise InvalidParameter("redirect_uris: https, or http to 127.0.0.1 or [::1], without odd parts")
    return uri


def skeleton(name: str) -> str:
    """Return what two names that look alike have in common."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _require_visible(label: str, text: str) -> None:
    if text.isascii() and text.isprintable():
        return  # nothing below is ASCII, and most texts are
    odd = _BLANK.search(text) or any(unicodedata.category(char) in _FORBIDDEN for char in text)
    if odd or unicodedata.normalize("NFC", text) != text:
        raise InvalidParameter(f"{label}: control, invisible or unnormalised characters")
