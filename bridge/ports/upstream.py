"""The company's OpenID provider as the bridge needs it, and the logins under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from bridge.model import User
from bridge.model.upstream import Finding, PendingLogin, UpstreamMetadata


class UpstreamProvider(Protocol):
    """The provider over HTTP. Raises: PeerUnavailable, KeysUnavailable."""

    async def metadata(self) -> UpstreamMetadata: ...

    def authorization_url(
        self, metadata: UpstreamMetadata, *, state: str, nonce: str, verifier: str, again: bool
    ) -> str: ...

    # The ID token for a code. Raises also: BadGrant when the provider refuses.
    async def redeem(self, metadata: UpstreamMetadata, code: str, *, verifier: str) -> str: ...

    # The claims of an ID token whose signature is the provider's; nothing else of it is judged yet.
    # Raises also: BadJOSE, WrongAlgorithm, WrongKey, BadSignature.
    async def signed_claims(self, metadata: UpstreamMetadata, id_token: str) -> Mapping[str, object]: ...

    async def examine(self) -> Sequence[Finding]: ...


class UpstreamLogins(Protocol):
    """The stored side, part of every transaction."""

    async def add_pending_login(self, pending: PendingLogin) -> None: ...

    # The login that this browser began with this state; once, and never to another browser.
    async def take_pending_login(self, state: str, *, browser: str) -> PendingLogin | None: ...

    # Write name and groups as they are now, without ending anything.
    async def follow_upstream(self, user: User) -> None: ...
