"""What an agent asks a person out of band, while no browser is at hand (OpenID CIBA Core 1.0, poll mode)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

ASK_SECONDS: Final = 300  # a question stays open this long, when the agent does not say
MAX_ASK_SECONDS: Final = 600  # and never longer: an approval is for what happens now (OAU-17)
POLL_SECONDS: Final = 5  # between two polls; each one that comes too early adds as many
MAX_INTERVAL: Final = 300  # s; beyond this it does not grow
QUIET: Final = timedelta(minutes=15)  # after a no, in which the same agent cannot ask the same person again
MAX_OPEN_PER_PERSON: Final = 10  # questions of different agents at one time
MAX_OPEN_PER_AGENT: Final = 50  # people one agent asks at one time

AskingState = Literal["pending", "allowed", "denied", "taken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One question to one person; known by the digest of its `auth_req_id`, which becomes the id of the consent."""

    digest: str
    username: str  # as hinted: perhaps nobody has this name
    client_id: str
    client_name: str
    agent: str  # DID of who will act
    agent_name: str
    resource: str
    resource_name: str
    scopes: frozenset[str] | None
    message: str | None  # the agent's words
    details: str | None = None  # `authorization_details` as they were sent
    task: str | None = None  # what the agent calls what it is for
    jkt: str | None  # then only this key gets the token
    is_shown: bool  # whether there is somebody who could allow it
    asked: datetime
    expires: datetime
    interval: int  # s
    polled: datetime
    state: AskingState = "pending"
    allowed: frozenset[str] = frozenset()  # what the person ticked

    def is_waiting(self, now: datetime) -> bool:
        """Tell whether the person can still answer."""
        return self.state == "pending" and self.is_shown and now < self.expires
