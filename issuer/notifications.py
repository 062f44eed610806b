"""What a wallet tells of the credentials it got (OpenID4VCI 1.0, 11.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from did_agent.errors import BadNotification

EVENTS: Final = ("credential_accepted", "credential_failure", "credential_deleted")
MAX_TEXT: Final = 256  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One notification; the id says of which credentials."""

    id: str = field(repr=False)
    event: str
    description: str

    @property
    def words(self) -> str:
        """What the record says of it."""
        return f"{self.event}: {self.description}" if self.description else self.event


def read_notification(members: Mapping[str, object]) -> Notification:
    """Return what a wallet tells; unknown members are ignored.

    Raises: BadNotification.
    """
    identifier, event = members.get("notification_id"), members.get("event")
    description = members.get("event_description", "")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= MAX_TEXT:
        raise BadNotification("notification_id is a short text")
    if event not in EVENTS:
        raise BadNotification(f"event is one of {', '.join(EVENTS)}")
    if not isinstance(description, str) or len(description) > MAX_TEXT or not description.isprintable():
        raise BadNotification("event_description is a short text")
    return Notification(id=identifier, event=str(event), description=description)
