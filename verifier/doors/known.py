"""Credentials whose signature was verified before, by the digest of their text, and callers; bounded.

What is remembered of a text is only that these bytes say this and are signed by that key.  Expiry, the key's standing,
proofs of possession and revocation are looked at with each request.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from did_agent.encoding.digest import sha256
from did_agent.policy.caller import VerifiedCaller
from verifier.model import Again

MAX_KNOWN: Final = 10_000  # credentials; the one not shown for longest goes first
MAX_CALLERS: Final = 2_000  # callers; each holds its capabilities


class KnownCallers:
    """One object for all equal callers: what deciding worked out for one token holds for the caller's next."""

    def __init__(self, *, most: int = MAX_CALLERS) -> None:
        self._most = most
        self._known: OrderedDict[VerifiedCaller, VerifiedCaller] = OrderedDict()

    def same(self, caller: VerifiedCaller) -> VerifiedCaller:
        """Return the first caller that was equal to this one in everything."""
        found = self._known.setdefault(caller, caller)
        self._known.move_to_end(found)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return found


class KnownTexts:
    """A bounded memory of how to take a text again."""

    def __init__(self, *, most: int = MAX_KNOWN) -> None:
        self._most = most
        self._known: OrderedDict[bytes, Again] = OrderedDict()

    def find(self, text: str) -> Again | None:
        """Return how to take exactly this text again."""
        name = sha256(text.encode())
        known = self._known.get(name)
        if known is not None:
            self._known.move_to_end(name)
        return known

    def remember(self, text: str, again: Again) -> None:
        """Keep what was verified just now."""
        self._known[sha256(text.encode())] = again
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def forget(self, text: str) -> None:
        """Drop what was refused since."""
        self._known.pop(sha256(text.encode()), None)

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._known)
