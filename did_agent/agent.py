"""The agent: holds its own key, presents what it was granted, and hands on less than it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import httpx2

from did_agent.client.auth import PresentationAuth, TokenAuth
from did_agent.client.backchannel import PersonElsewhere
from did_agent.client.bridge import BridgeClient
from did_agent.client.certificate import ClientCertificate
from did_agent.client.dpop import DPoPSigner
from did_agent.client.issuer import IssuerClient
from did_agent.client.tasks import complete_task
from did_agent.clock import Clock, system_clock
from did_agent.credential.capability import Capability, covered_by, parse_bare_capability
from did_agent.credential.issuance import attenuate
from did_agent.credential.model import CapabilityCredential, parse_capability_credential
from did_agent.did.key import did_key
from did_agent.errors import BadCredential, NotFound
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.pem import private_key_pem
from did_agent.presentation.present import JSON_LIFETIME, present, present_jwt
from did_agent.wallet import Wallet

Document = Mapping[str, Any]


class Agent:
    """An agent of this machine; its key never leaves it."""

    def __init__(self, name: str, key: SigningKey, wallet: Wallet, *, clock: Clock = system_clock) -> None:
        self.name, self._key, self._wallet, self._clock = name, key, wallet, clock
        self.did = did_key(key.public)

    @classmethod
    def create(cls, name: str, *, path: Path | str | None = None) -> Self:
        """Make an agent with a new key in the wallet at `path` (default: `DID_AGENT_WALLET`, else `.did-agent/wallet`).

        Raises: StateConflict when the wallet has that name, Misconfigured.
        """
        wallet = Wallet(path)
        return cls(name, wallet.create(name), wallet)

    @classmethod
    def load(cls, name: str, *, path: Path | str | None = None) -> Self:
        """Return an agent whose key is in the wallet.

        Raises: NotFound, Misconfigured.
        """
        wallet = Wallet(path)
        return cls(name, wallet.key(name), wallet)

    def __repr__(self) -> str:
        return f"Agent({self.name!r}, {self.did})"

    @property
    def credentials(self) -> Sequence[Document]:
        """The credentials this agent holds, parents of delegated ones included."""
        return self._wallet.credentials(self.name)

    def add_credential(self, credential: Document | Sequence[Document]) -> None:
        """Keep a credential, or what `delegate` returned: the child and the chain above it."""
        for document in credential if isinstance(credential, Sequence) else (credential,):
            self._wallet.add_credential(self.name, document)

    def private_key_pem(self) -> str:
        """Return the private key as PKCS#8 PEM, for stock OAuth clients; treat it as the secret it is."""
        return private_key_pem(self._key)

    async def enrol(self, issuer: str, agent_id: str, challenge: str) -> Document:
        """Answer an invitation of the issuer by proving the key; keep and return the identity credential.

        Raises: ServerRefused, PeerUnavailable.
        """
        proof = present([], key=self._key, audience=issuer, challenge=challenge, now=self._clock())
        answer = await IssuerClient(issuer).enrol(agent_id, proof)
        identity: Document = answer["identity_credential"]
        self.add_credential(identity)
        return identity

    def present(self, audience: str, *, challenge: str, resource: str | None = None) -> dict[str, Any]:
        """Return a presentation for `audience` in answer to its challenge, of the chain that serves `resource`.

        Raises: NotFound when no credential does.
        """
        chain = self.chain_for(resource)
        return present(chain, key=self._key, audience=audience, challenge=challenge, now=self._clock())

    def present_jwt(self, audience: str) -> str:
        """Return a single-use `vp+jwt` for the resource `audience`, to be shown as a bearer credential.

        Raises: NotFound when no credential serves it.
        """
        return present_jwt(self.chain_for(audience), key=self._key, audience=audience, now=self._clock())

    async def token(
        self,
        bridge: str,
        resource: str,
        *,
        scope: str | None = None,
        subject_token: str | None = None,
        task: str | None = None,
        dpop: DPoPSigner | None = None,
        certificate: ClientCertificate | None = None,
    ) -> str:
        """Exchange a presentation for an access token (RFC 8693), acting for `subject_token`'s subject if given.

        It is a bearer token, unless `dpop` binds it to a key, or `certificate` to a TLS client certificate.  With
        `task`, which this agent names as it likes, it ends with the task.

        Raises: ServerRefused, PeerUnavailable, NotFound.
        """
        client = BridgeClient(bridge, certificate=certificate, clock=self._clock)
        presentation = self.present(bridge, challenge=await client.challenge(), resource=resource)
        return await client.exchange(
            presentation, resource=resource, scope=scope, subject_token=subject_token, task=task, dpop=dpop
        )

    async def complete_task(self, bridge: str, task: str) -> str:
        """End a task by the name this agent gave it, or its id: all tokens for it end everywhere; returns its id.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await complete_task(bridge, self._key, task, clock=self._clock)

    async def redeem(self, bridge: str, resource: str, *, code: str, code_verifier: str, redirect_uri: str) -> str:
        """Redeem an authorization code as its `requested_actor`, proven by a presentation.

        Raises: ServerRefused, PeerUnavailable, NotFound.
        """
        client = BridgeClient(bridge, clock=self._clock)
        presentation = self.present(bridge, challenge=await client.challenge(), resource=resource)
        return await client.redeem_code(
            self._key,
            code=code,
            code_verifier=code_verifier,
            redirect_uri=redirect_uri,
            presentation=presentation,
            resource=resource,
        )

    async def ask_person(
        self,
        person: str,
        *,
        bridge: str,
        resource: str,
        message: str | None = None,
        scope: str | None = None,
        details: Sequence[Mapping[str, Any]] | None = None,
        seconds: int | None = None,
        task: str | None = None,
        dpop: DPoPSigner | None = None,
    ) -> str:
        """Ask a person who is elsewhere, wait for the answer, and return the token for acting for them.

        They find the question on their account page at the bridge, with `message` as this agent's words.

        Raises: ConsentDenied, RequestExpired, ServerRefused, PeerUnavailable.
        """
        asking = PersonElsewhere(bridge, self._key, dpop=dpop, clock=self._clock)
        return await asking.ask(
            person, resource=resource, message=message, scope=scope, details=details, seconds=seconds, task=task
        )

    def auth(
        self,
        resource: str,
        *,
        bridge: str,
        bound: bool = True,
        certificate: ClientCertificate | None = None,
        task: str | None = None,
    ) -> httpx2.Auth:
        """Return httpx authentication with tokens for `resource`, renewed before they end.

        They are bound to this agent's key (DPoP), so a stolen one is worth nothing; `bound` False is for servers that
        take bearer tokens alone.  With `certificate` they are bound to that instead, and the client must show it too:
        `verify=certificate.context()`.
        """
        dpop = DPoPSigner(self._key, clock=self._clock) if bound and certificate is None else None
        return TokenAuth(
            lambda: self.token(bridge, resource, task=task, dpop=dpop, certificate=certificate),
            dpop=dpop,
            clock=self._clock,
        )

    def presentation_auth(self, resource: str, *, bound: bool = False) -> httpx2.Auth:
        """Return httpx authentication that shows `resource` a fresh presentation on every request.

        With `bound` it shows one for minutes, each time beside a fresh proof of this agent's key (DPoP).
        """
        if not bound:
            return PresentationAuth(lambda: self.present_jwt(resource))
        return TokenAuth(
            lambda: self._bound_presentation(resource),
            dpop=DPoPSigner(self._key, clock=self._clock),
            clock=self._clock,
        )

    def delegate(
        self,
        to: str,
        *,
        resource: str,
        tools: Mapping[str, Mapping[str, Any]],
        limits: Mapping[str, Any] | None = None,
        valid_seconds: int = 900,
        max_depth: int | None = None,
    ) -> list[Document]:
        """Hand some tools at `resource` on to the agent whose DID is `to`; return the child and the chain above it.

        `limits` such as `{"maxCalls": 5}` bound what the child may spend; those of this agent hold for it anyway, and
        whatever it spends is spent of them too.
        Raises: NotFound, NotAttenuated when it would be more than this agent has, DepthExceeded.
        """
        chain = self.chain_for(resource)
        now = self._clock()
        parent = parse_capability_credential(chain[0])
        child = attenuate(
            chain[0],
            key=self._key,
            subject=to,
            capabilities=[_part_of(parent.capabilities, resource, tools, limits)],
            valid_until=min(now + timedelta(seconds=valid_seconds), parent.valid_until),
            now=now,
            max_depth=max_depth,
        )
        return [child, *chain]

    async def _bound_presentation(self, resource: str) -> str:
        chain = self.chain_for(resource)
        return present_jwt(
            chain, key=self._key, audience=resource, now=self._clock(), lifetime=JSON_LIFETIME, bound=True
        )

    def chain_for(self, resource: str | None) -> list[Document]:
        """Return the newest credential that is in force for `resource` and the chain above it, leaf first.

        Raises: NotFound.
        """
        parsed = [(document, held) for document in self.credentials if (held := _parse(document)) is not None]
        by_digest = {held.digest: (document, held) for document, held in parsed}
        now = self._clock()
        for document, held in reversed(parsed):
            serves = resource is None or any(resource in one.resources for one in held.capabilities)
            if held.subject == self.did and serves and held.valid_from <= now < held.valid_until:
                return _upwards(document, held, by_digest)
        raise NotFound(f"{self.name} holds no credential in force" + (f" for {resource}" if resource else ""))


def _part_of(
    held: Sequence[Capability],
    resource: str,
    tools: Mapping[str, Mapping[str, Any]],
    limits: Mapping[str, Any] | None,
) -> Capability:
    """Return what is handed on; where that is not held without limits, under those of the first that covers it."""
    members: dict[str, Any] = {"resource": [resource], "tools": tools}
    wanted = parse_bare_capability(members if limits is None else {**members, "limits": limits})
    bound = [
        replace(wanted, limits=parent.limits if wanted.limits is None else wanted.limits.inheriting(parent.limits))
        for parent in held
        if parent.limits is not None
    ]
    return next((one for one in (wanted, *bound) if any(covered_by(one, parent) for parent in held)), wanted)


def _parse(document: Document) -> CapabilityCredential | None:
    try:
        return parse_capability_credential(document)
    except BadCredential:
        return None  # an identity credential, or a form this version does not know


def _upwards(
    document: Document, held: CapabilityCredential, by_digest: Mapping[str, tuple[Document, CapabilityCredential]]
) -> list[Document]:
    chain = [document]
    while held.parent_digest is not None:  # a digest commits to what is above it, so there are no circles
        if held.parent_digest not in by_digest:
            raise NotFound(f"the parent of {held.id} is not in the wallet")
        document, held = by_digest[held.parent_digest]
        chain.append(document)
    return chain
