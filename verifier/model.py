"""What the verifier knows of a credential once it is believed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from did_agent.errors import DidAgentError
from did_agent.policy.caller import VerifiedCaller
from did_agent.tokens.confirmation import Confirmation
from verifier.http import Shown
from verifier.issuers import ForeignIssuer

Form = Literal["vp", "jwt", "opaque", "session"]
Again = Callable[[Shown, datetime], Awaitable["Entry"]]  # raises what the door raises


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A caller, and the credential that was shown for it."""

    caller: VerifiedCaller
    form: Form
    token_id: str | None  # `jti` of an access token
    valid_until: datetime
    issuer: ForeignIssuer | None = field(default=None, compare=False)  # who spoke, where it was not the bridge
    held: frozenset[str] = field(default=frozenset(), compare=False)  # scopes in the words of that issuer
    vouched_by: str | None = field(default=None, compare=False)  # whose root credential was presented
    revocable_ids: tuple[str, ...] = field(init=False, compare=False)  # whose revocation ends this admission

    def __post_init__(self) -> None:
        """Collect credentials, agents, the task, the token itself and the issuer, once."""
        caller = self.caller
        agents = (caller.principal.id,) if caller.principal.kind != "user" else ()
        others = tuple(one for one in (caller.task, self.token_id, self.vouched_by) if one is not None)
        object.__setattr__(self, "revocable_ids", (*caller.credential_ids, *caller.actors, *agents, *others))

    @property
    def organisation(self) -> str:
        """Whom the principal belongs to."""
        return self.caller.organisation


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedSession:
    """What a presentation was swapped for: its credentials, looked at anew with each request, for minutes."""

    id: str  # digest of the text that stands for it; the text itself is kept nowhere
    holder: str
    credentials: tuple[Mapping[str, object], ...] = field(repr=False)
    confirmation: Confirmation | None  # the key that must be proven with each request
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleUse:
    """A value that counts once; spent after everything else, so that nobody can burn another's (TOK-10, VCX-01)."""

    purpose: str
    key: str
    expires: datetime
    refusal: type[DidAgentError] | None  # raised when it was spent before; None where it is only to be remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Somebody at the door, believed but for the single-use values.

    `again` takes the very same text another time: its signature need not be verified twice, everything that can change
    is looked at anew.  None where nothing may be remembered.
    """

    admission: Admission
    single_use: tuple[SingleUse, ...] = ()
    again: Again | None = None
