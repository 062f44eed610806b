"""Enrolment: as an agent that comes in by a token or its platform's word, and as an operator who lets agents in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import httpx2

from did_agent.client.paging import pages
from did_agent.client.wire import segment, send
from did_agent.clock import Clock, system_clock
from did_agent.encoding.digest import digest_uri
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt

DEFAULT_SECONDS: Final = 3_600  # until when a token can be used
HOME: Final = "home"  # the organisation that runs a deployment


class Enrolling:
    """One key that asks to speak for an agent; every request proves it for exactly what it shows."""

    def __init__(self, issuer: str, key: SigningKey, *, clock: Clock = system_clock) -> None:
        self._issuer, self._key, self._clock = issuer, key, clock

    async def by_token(self, token: str, *, name: str | None = None) -> dict[str, Any]:
        """Enrol by a token; the answer is the agent, whose `identity_credential` is None while its owner is asked.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await self._ask("/enrolments", token, {"token": token, "name": name})

    async def by_attestation(self, attestation: str, *, organisation: str = HOME) -> dict[str, Any]:
        """Enrol by the platform's word on this workload: a JWT for this issuer's URL alone, which is used up.

        Raises: ServerRefused, PeerUnavailable.
        """
        body = {"attestation": attestation, "organisation": organisation}
        return await self._ask("/attestations", attestation, body)

    async def state(self) -> dict[str, Any]:
        """Return what became of this key: its `verdict` is waiting, approved, rejected or superseded.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await self._ask("/enrolments/state", "state", {})

    async def _ask(self, path: str, secret: str, body: dict[str, Any]) -> dict[str, Any]:
        nonce = digest_uri(secret.encode())
        proof = present_jwt([], key=self._key, audience=self._issuer, now=self._clock(), nonce=nonce)
        return await send("issuer", self._issuer, "POST", path, json={**body, "possession": proof})


class EnrolmentClient:
    """Talks to one issuer about who may come in, as an operator."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.url, self._auth = url, auth

    async def create_token(
        self,
        template: str,
        *,
        uses: int = 1,
        valid_seconds: int = DEFAULT_SECONDS,
        groups: Sequence[str] = (),
        owner: str | None = None,
        needs_approval: bool = False,
        note: str = "",
    ) -> dict[str, Any]:
        """Let `uses` agents enrol as instances of a blueprint; the answer holds the `token`, this once."""
        body = {
            "template": template,
            "uses": uses,
            "valid_seconds": valid_seconds,
            "groups": list(groups),
            "owner": owner,
            "needs_approval": needs_approval,
            "note": note,
        }
        return await self._send("POST", "/enrolment-tokens", json=body)

    async def tokens(self) -> list[dict[str, Any]]:
        """Return enrolment tokens, without their secrets."""
        return await self._all("/enrolment-tokens", "enrolment_tokens")

    async def revoke_token(self, identifier: str) -> dict[str, Any]:
        """Withdraw a token; agents that came by it stay."""
        return await self._send("DELETE", f"/enrolment-tokens/{segment(identifier)}")

    async def put_rule(self, name: str, rule: Mapping[str, Any]) -> dict[str, Any]:
        """Say which workloads of a platform are instances of which blueprint, in place of a rule of this name."""
        return await self._send("PUT", f"/attestation-rules/{segment(name)}", json=dict(rule))

    async def rules(self) -> list[dict[str, Any]]:
        """Return attestation rules, by name."""
        return await self._all("/attestation-rules", "attestation_rules")

    async def remove_rule(self, name: str) -> None:
        """Let no workload in by a rule any more; agents that came by it stay."""
        await self._send("DELETE", f"/attestation-rules/{segment(name)}")

    async def enrolments(self, *, verdict: str | None = "waiting") -> list[dict[str, Any]]:
        """Return keys that wait for somebody's word, or whatever became of them."""
        return await self._all("/enrolments", "enrolments", verdict=verdict)

    async def decide(self, identifier: str, decision: Literal["approve", "reject"], *, reason: str) -> dict[str, Any]:
        """Let a key speak for its agent, or refuse it."""
        return await self._send("POST", f"/enrolments/{segment(identifier)}/{decision}", json={"reason": reason})

    async def put_policy(self, *, needs_approval: bool, template: str | None = None) -> dict[str, Any]:
        """Say whether owners are asked before an agent acts: for one blueprint, or for all of the organisation."""
        body = {"template": template, "needs_approval": needs_approval}
        return await self._send("PUT", "/enrolment-policies", json=body)

    async def recover(self, agent: str, *, reason: str) -> dict[str, Any]:
        """End an agent's lost key at once; the answer holds the invitation that its next key answers."""
        return await self._send("POST", f"/agents/{segment(agent)}/recovery", json={"reason": reason})

    async def keys(self, agent: str) -> list[dict[str, Any]]:
        """Return an agent's keys, the newest first."""
        return await self._all(f"/agents/{segment(agent)}/keys", "keys")

    async def custodial_key(
        self, agent: str, *, recipient: str | None = None, passphrase: str | None = None
    ) -> dict[str, Any]:
        """Let the issuer make a pending agent's key; the answer holds the `sealed_key` (age), this once."""
        body = {"recipient": recipient, "passphrase": passphrase}
        return await self._send("POST", f"/agents/{segment(agent)}/custodial-key", json=body)

    async def _all(self, path: str, name: str, **filters: str | None) -> list[dict[str, Any]]:
        async def fetch(query: dict[str, str]) -> dict[str, Any]:
            return await self._send("GET", path, params=query)

        return [found async for found in pages(fetch, name, filters)]

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("issuer", self.url, method, path, auth=self._auth, **content)
