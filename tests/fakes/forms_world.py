"""The guard's world with every door open: other issuers, presentations beside proofs, sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from did_agent.adapters.peer_certificate import EXTENSION
from did_agent.credential.trust import TrustedIssuers, TrustSource
from did_agent.tokens.dpop import make_proof
from tests.fakes.guard_world import AGENT_KEY, BRIDGE, ISSUER, OTHER_KEY, RESOURCE, World
from verifier.adapters.issuers import load_issuers
from verifier.doors.presentation import PresentationDoor
from verifier.doors.token import TokenDoor
from verifier.forms import Forms
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.guard import Guard
from verifier.mcp.swapping import addresses
from verifier.parts import GuardParts
from verifier.service import Verifier
from verifier.settings import VerifierSettings
from verifier.swap import Swap

SCOPES: dict[str, Any] = {
    "menu": ["list_menu"],
    "stock write": {"update_stock": {"quantity": {"constraint_type": "range", "min": 0, "max": 9}}},
    "everything": ["list_menu", "update_stock", "delete_order"],
}


@dataclass
class FormsWorld(World):
    """A guard made by the parts that make real ones, with what it needs from outside at hand."""

    data: Path = Path()
    issuers: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    trusted: TrustSource = field(default_factory=lambda: TrustedIssuers.of(ISSUER))
    swap: Swap | None = None
    _guard: Guard | None = None

    def __post_init__(self) -> None:
        options = VerifierSettings.load({"data": self.data, "trusted_issuers": [ISSUER], **self.settings})
        self.forms = Forms(resource=RESOURCE, key=OTHER_KEY, settings=options, revocations=self, clock=lambda: self.now)
        nonces = self.forms.nonces
        self.presentations = PresentationDoor(
            resource=RESOURCE,
            trusted=self.trusted,
            statuses=self,
            mode=options.vp_mode,
            nonces=nonces,
        )
        session, self.swap = self.forms.swapping(self.presentations, replay=self)
        loaded = load_issuers(self.issuers, file=None, data=self.data)
        bridge = TokenDoor(resource=RESOURCE, issuer=BRIDGE, keys=self, nonces=nonces)
        verifier = Verifier(
            resource=RESOURCE,
            source="did:example:guard",
            party="verifier",
            doors=(*self.forms.foreign(loaded, bridge=BRIDGE), bridge, self.presentations, session),
            revocations=self,
            audit=self,
            clock=lambda: self.now,
            replay=self,
        )
        spool: Any = None
        issuers = tuple(one.issuer for one in loaded)
        parts = GuardParts(
            verifier=verifier, spool=spool, background=[], swap=self.swap, nonces=nonces, issuers=issuers
        )
        metadata = ResourceMetadata(resource=RESOURCE, bridge=BRIDGE, issuers=issuers, sessions=addresses(RESOURCE))
        self._guard = Guard(self.inner, parts, metadata)

    def guard(self) -> Guard:
        assert self._guard is not None
        return self._guard

    def with_certificate(self, der: bytes) -> Any:
        """Return the guard as our own listener runs it, for a connection on which this certificate was proven."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self.guard()({**scope, "extensions": {EXTENSION: (der,)}}, receive, send)

        return app

    def proof(
        self, credential: str | None, *, key: Any = AGENT_KEY, url: str = RESOURCE, nonce: str | None = None
    ) -> tuple[str, str]:
        """Return the DPoP header of one request that shows a credential."""
        return "DPoP", make_proof(key, method="POST", url=url, now=self.now, access_token=credential, nonce=nonce)
