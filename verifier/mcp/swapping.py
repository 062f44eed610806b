"""The two addresses at which a JSON presentation is swapped for a session; both under the resource's own path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from did_agent.errors import DidAgentError, Unavailable, WrongContentType
from verifier.http import Shown
from verifier.mcp.answers import Answer, ResourceMetadata, only_post, plain, refused
from verifier.service import Verifier
from verifier.swap import Swap

CHALLENGE: Final = "/.did-agent/challenge"
SESSION: Final = "/.did-agent/session"
ACTION: Final = "session.open"

_MEDIA_TYPES: Final = frozenset({"application/json", "application/vp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request to either address."""

    shown: Shown  # without a credential; its method and URL, and the keys that may be proven
    media_type: str
    read: Callable[[], Awaitable[bytes]]
    request_id: str

    @property
    def is_for_challenge(self) -> bool:
        """Whether a challenge is asked for."""
        return self.shown.url.endswith(CHALLENGE)


def addresses(resource: str) -> tuple[str, str]:
    """Return where a challenge and a session are asked for."""
    base = resource.rstrip("/")
    return base + CHALLENGE, base + SESSION


async def swap(asked: Asked, *, swapping: Swap, verifier: Verifier, metadata: ResourceMetadata) -> Answer:
    """Return the answer: a challenge, or a session for the presentation that answers one."""
    if asked.shown.method != "POST":
        return only_post()
    if asked.is_for_challenge:
        return plain(swapping.challenge())
    try:
        return await _open(asked, swapping, verifier)
    except DidAgentError as error:
        try:
            await verifier.refuse(error, action=ACTION, request_id=asked.request_id)
        except Unavailable as unrecorded:
            return refused(unrecorded, metadata, request_id=asked.request_id)
        return refused(error, metadata, request_id=asked.request_id)


async def _open(asked: Asked, swapping: Swap, verifier: Verifier) -> Answer:
    if asked.media_type not in _MEDIA_TYPES:
        raise WrongContentType("a presentation comes as application/json or application/vp")
    prepared = await swapping.prepare(await asked.read(), asked.shown)
    await swapping.spend(prepared)
    # What is not recorded does not happen: the session is kept after its record.
    await verifier.record(
        prepared.admission,
        action=ACTION,
        allowed=True,
        reason="allowed",
        explanation="a presentation was swapped for a session",
        request_id=asked.request_id,
    )
    return plain(await swapping.open(prepared))
