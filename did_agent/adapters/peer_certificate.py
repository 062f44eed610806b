"""The TLS client certificate of a request: proven on our own connection, or told by a proxy we trust (RFC 9440)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

EXTENSION: Final = "did_agent.peer_certificate"  # where the listener, and nobody else, puts the DER


def peer_certificate(scope: Mapping[str, Any]) -> bytes | None:
    """Return the DER of the certificate that the other side proved to hold, or None."""
    found = scope.get("extensions", {}).get(EXTENSION)
    return found if isinstance(found, bytes) else None
