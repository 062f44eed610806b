"""The agent: holds its own key, presents what it was granted, and hands on less than it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import httpx2

from did_agent.client.auth import PresentationAuth, TokenAuth
from did_agent.client.backchannel import PersonElsewhere
from did_agent.client.bridge import BridgeClient
from did_agent.client.certificate import ClientCertificate
from did_agent.client.delegations import Delegations
from did_agent.client.dpop import DPoPSigner
from did_agent.client.enrolment import HOME, Enrolling
from did_agent.client.errors import ServerRefused
from did_agent.client.grants import OwnGrants
from did_agent.client.issuer import IssuerClient
from did_agent.client.issuer_agent import AgentIssuerClient
from did_agent.client.own import OwnRecord, documents_in
from did_agent.client.tasks import complete_task
from did_agent.clock import Clock, system_clock
from did_agent.credential.holding import chain_of, part_of
from did_agent.credential.issuance import attenuate, new_id
from did_agent.credential.model import parse_capability_credential
from did_agent.did.key import did_key
from did_agent.errors import AuthorizationPending, UnknownAgent
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

        Raises: AuthorizationPending while the owner is asked, ServerRefused, PeerUnavailable.
        """
        proof = present([], key=self._key, audience=issuer, challenge=challenge, now=self._clock())
        return self._enrolled(await IssuerClient(issuer).enrol(agent_id, proof))

    async def enrol_with(self, issuer: str, token: str) -> Document:
        """Enrol under this agent's name by an enrolment token; keep and return the identity credential.

        Raises: AuthorizationPending while the owner is asked, ServerRefused, PeerUnavailable.
        """
        return self._enrolled(await self.enrolling(issuer).by_token(token, name=self.name))

    async def attest(self, issuer: str, attestation: str, *, organisation: str = HOME) -> Document:
        """Enrol by the platform's signed word on this workload; keep and return the identity credential.

        Raises: AuthorizationPending while the owner is asked, ServerRefused, PeerUnavailable.
        """
        enrolling = self.enrolling(issuer)
        return self._enrolled(await enrolling.by_attestation(attestation, organisation=organisation))

    def enrolling(self, issuer: str) -> Enrolling:
        """Return this agent's key as one that asks to speak for an agent."""
        return Enrolling(issuer, self._key, clock=self._clock)

    def _enrolled(self, answer: dict[str, Any]) -> Document:
        identity = answer.get("identity_credential")
        if not isinstance(identity, dict):
            raise AuthorizationPending(f"{self.name} waits for its owner's word")
        self.add_credential(identity)
        return identity

    async def accept_offer(
        self,
        uri: str,
        *,
        tx_code: str | None = None,
        issuer: str | None = None,
        token: str | None = None,
        wait_seconds: float = 600.0,
    ) -> Sequence[Document]:
        """Take a credential offer (`openid-credential-offer://…`, OpenID4VCI 1.0); keep and return its credentials.

        `issuer` is the credential issuer it must be from.  An offer that needs an approval is waited for.  One that a
        person takes needs their `token` for the credential issuer.
        Raises: InvalidParameter, MissingParameter, AuthorizationPending, ServerRefused, PeerUnavailable, and what a
        credential raises that is not for this agent.
        """
        from did_agent.client.oid4vci import OfferClient  # reads every form of credential, which few agents need

        taking = OfferClient(self._key, clock=self._clock)
        return await taking.accept(
            uri, keep=self.add_credential, tx_code=tx_code, issuer=issuer, token=token, wait_seconds=wait_seconds
        )

    @property
    def is_changing_keys(self) -> bool:
        """Whether a change of keys was begun and is to be ended by `rotate`."""
        return self._wallet.has_next_key(self.name)

    def grants(self, issuer: str) -> OwnGrants:
        """Return what this agent may ask for and take at an issuer."""
        return OwnGrants(AgentIssuerClient(issuer, self._key, clock=self._clock))

    def own_record(self, issuer: str) -> OwnRecord:
        """Return this agent's view of its own record at its issuer."""
        return OwnRecord(issuer, self._key, clock=self._clock)

    async def rotate(self, issuer: str) -> None:
        """Take a new key, which this one names as its successor; credentials go over to it, the old key ends.

        A change that was cut off is ended by the next call: the wallet keeps both keys until the issuer confirmed one.
        Raises: ServerRefused, PeerUnavailable.
        """
        successor = self._wallet.next_key(self.name)
        try:
            record = await self.own_record(issuer).rotate(successor)
        except ServerRefused as refused:
            if refused.server_code != UnknownAgent.code:
                raise
            # The issuer took the new key, and we were gone before we heard of it.
            record = await OwnRecord(issuer, successor, clock=self._clock).standing()
        self.add_credential(documents_in(record))  # first: whoever ends between the two finds the change begun
        self._key = self._wallet.promote(self.name)
        self.did = did_key(self._key.public)

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
            capabilities=[part_of(parent.capabilities, resource, tools, limits)],
            valid_until=min(now + timedelta(seconds=valid_seconds), parent.valid_until),
            now=now,
            max_depth=max_depth,
        )
        return [child, *chain]

    async def delegate_revocably(
        self,
        to: str,
        *,
        issuer: str,
        resource: str,
        tools: Mapping[str, Mapping[str, Any]],
        limits: Mapping[str, Any] | None = None,
        valid_seconds: int = 3_600,
        max_depth: int | None = None,
    ) -> list[Document]:
        """Hand some tools on as `delegate` does, with a status at `issuer`, which granted them to this agent.

        It can live as long as what it is made from, since `revoke_delegation` ends it at any time.
        Raises: ServerRefused, PeerUnavailable, NotFound, NotAttenuated, DepthExceeded.
        """
        chain = self.chain_for(resource)
        now, parent, identifier = self._clock(), parse_capability_credential(chain[0]), new_id()
        until = min(now + timedelta(seconds=valid_seconds), parent.valid_until)
        statuses = await self._delegations(issuer).register(identifier, parent=parent.id, subject=to, valid_until=until)
        child = attenuate(
            chain[0],
            key=self._key,
            subject=to,
            capabilities=[part_of(parent.capabilities, resource, tools, limits)],
            valid_until=until,
            now=now,
            max_depth=max_depth,
            id=identifier,
            statuses=statuses,
        )
        return [child, *chain]

    async def revoke_delegation(self, issuer: str, credential_id: str, *, reason: str) -> None:
        """Take back what `delegate_revocably` handed on, and everything made from it.

        Raises: ServerRefused, PeerUnavailable.
        """
        await self._delegations(issuer).revoke(credential_id, reason=reason)

    def _delegations(self, issuer: str) -> Delegations:
        return Delegations(AgentIssuerClient(issuer, self._key, clock=self._clock))

    async def _bound_presentation(self, resource: str) -> str:
        chain = self.chain_for(resource)
        return present_jwt(
            chain, key=self._key, audience=resource, now=self._clock(), lifetime=JSON_LIFETIME, bound=True
        )

    def chain_for(self, resource: str | None) -> list[Document]:
        """Return the newest credential that is in force for `resource` and the chain above it, leaf first.

        Raises: NotFound.
        """
        return chain_of(self.credentials, self.did, resource=resource, now=self._clock())
