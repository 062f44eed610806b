"""What the core needs from the world: small protocols, made real in `did_agent.adapters` and by parties."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol


class SpendOnce(Protocol):
    """Remembers single-use values (challenge, `jti`) durably and atomically, over all workers."""

    async def spend(self, purpose: str, key: str, *, expires: datetime) -> bool:
        """Spend `key` for `purpose`; True the first time, False ever after.

        `expires` says how long the value must be remembered, not how long it is valid.
        Raises: StoreUnavailable.
        """
        ...


class FetchJSON(Protocol):
    """Bounded outbound HTTP GET of strict JSON; the only way deciding code reaches the network."""

    async def get_json(self, url: str) -> Mapping[str, object]:
        """Return the JSON object at `url`.

        Raises: PeerUnavailable when it cannot be had, Malformed when it cannot be read.
        """
        ...
