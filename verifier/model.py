"""What the verifier knows of a credential once it is believed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from did_agent.policy.caller import VerifiedCaller

Form = Literal["vp", "jwt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A caller, and the credential that was shown for it."""

    caller: VerifiedCaller
    form: Form
    token_id: str | None  # `jti` of an access token
    valid_until: datetime

    @property
    def revocable_ids(self) -> tuple[str, ...]:
        """Everything whose revocation ends this admission: credentials, agents, and the token itself."""
        caller = self.caller
        agents = (caller.principal.id,) if caller.principal.kind != "user" else ()
        token = () if self.token_id is None else (self.token_id,)
        return (*caller.credential_ids, *caller.actors, *agents, *token)
