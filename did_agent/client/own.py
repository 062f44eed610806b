"""What an agent asks the issuer about itself: what it is and holds, a new key, a longer life for a credential."""

from __future__ import annotations

from typing import Any

from did_agent.client.issuer_agent import AgentIssuerClient
from did_agent.client.wire import objects_in, segment, text_in
from did_agent.clock import Clock, system_clock
from did_agent.did.key import did_key
from did_agent.errors import PeerUnavailable
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt
from did_agent.tokens.continuity import make_continuity, statement_digest


class OwnRecord:
    """One agent's view of its own record at an issuer."""

    def __init__(self, issuer: str, key: SigningKey, *, clock: Clock = system_clock) -> None:
        self._issuer, self._key, self._clock = issuer, key, clock
        self._http = AgentIssuerClient(issuer, key, clock=clock)

    async def standing(self) -> dict[str, Any]:
        """Return this agent's record with its `identity_credential` and the `credentials` in force.

        Raises: ServerRefused when the key speaks for no active agent, PeerUnavailable.
        """
        return await self._http.send("GET", "/self")

    async def rotate(self, successor: SigningKey) -> dict[str, Any]:
        """Name the key that comes after this one; the answer is the record under the new key.

        Raises: ServerRefused, PeerUnavailable.
        """
        agent_id = text_in(await self.standing(), "agent_id")
        now, after = self._clock(), did_key(successor.public)
        statement = make_continuity(self._key, successor=after, agent_id=agent_id, audience=self._issuer, now=now)
        possession = present_jwt([], key=successor, audience=self._issuer, now=now, nonce=statement_digest(statement))
        body = {"statement": statement, "possession": possession}
        return await self._http.send("POST", f"/agents/{segment(agent_id)}/keys", json=body)

    async def keys(self, agent_id: str) -> list[dict[str, Any]]:
        """Return this agent's keys, the newest first.

        Raises: ServerRefused, PeerUnavailable.
        """
        return objects_in(await self._http.send("GET", f"/agents/{segment(agent_id)}/keys"), "keys")

    async def renew(self, credential_id: str) -> dict[str, Any]:
        """Return the credential that comes after one of this agent's.

        Raises: ServerRefused, PeerUnavailable.
        """
        answer = await self._http.send("POST", f"/credentials/{segment(credential_id)}/renew", json={})
        renewed = answer.get("credential")
        if not isinstance(renewed, dict):
            raise PeerUnavailable("the answer has no credential")
        return renewed


def documents_in(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the identity credential and the capability credentials of a record.

    Raises: PeerUnavailable when whoever answered is not the party we took it for.
    """
    identity = record.get("identity_credential")
    if not isinstance(identity, dict):
        raise PeerUnavailable("the answer has no identity_credential")
    return [identity, *objects_in(record, "credentials")]
