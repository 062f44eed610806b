"""The operator's use cases: resources with their tools in plain words, people and their rights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridge import audit_trail
from bridge.authority import scopes_for_tools
from bridge.model import BRIDGE_ADMIN, Identity, Resource, User
from bridge.ports import Passwords, Store, Transaction
from bridge.service.revocation import announce_tokens
from did_agent.clock import Clock
from did_agent.credential.capability import tool_scope
from did_agent.errors import InsufficientScope, NotFound, StateConflict, WrongKey
from did_agent.keys.ed25519 import PublicKey
from did_agent.tokens.access_token import AccessToken, verify_access_token

DID_PREFIX: Final = "did:"  # a person's name never looks like an agent's (DEL-11)


class Administration:
    """Changes what the bridge serves and for whom; each change is recorded in its transaction."""

    def __init__(self, *, store: Store, passwords: Passwords, identity: Identity, clock: Clock) -> None:
        self._store, self._passwords, self._identity, self._clock = store, passwords, identity, clock

    async def admit(self, token: str) -> AccessToken:
        """Return the operator behind a token for this bridge.

        Raises: what `verify_access_token` raises, InsufficientScope.
        """
        verified = verify_access_token(
            token,
            find_key=self._token_key,
            expected_issuer=self._identity.issuer,
            expected_audience=self._identity.issuer,
            now=self._clock(),
        )
        async with self._store.transaction() as work:
            record = await work.token(verified.id)
        if record is None or record.revoked or BRIDGE_ADMIN not in verified.scopes:
            raise InsufficientScope(f"{BRIDGE_ADMIN} is needed")
        return verified

    async def resources(self) -> Sequence[Resource]:
        """Return every resource."""
        async with self._store.transaction() as work:
            return await work.resources()

    async def put_resource(
        self, resource_id: str, *, name: str, tools: Mapping[str, str], by: AccessToken, request_id: str | None
    ) -> Resource:
        """Register a resource or replace what is known of it.

        Raises: StateConflict for a party of this deployment.
        """
        resource = Resource(
            id=resource_id, name=name, scopes={tool_scope(tool): words for tool, words in tools.items()}
        )
        async with self._store.transaction() as work:
            existing = await work.resource(resource_id)
            if existing is not None and existing.built_in:
                raise StateConflict("the resource is a party of this deployment")
            await work.put_resource(resource)
            await self._record(work, "resource.put", resource_id, by, request_id)
        return resource

    async def users(self) -> Sequence[User]:
        """Return every account."""
        async with self._store.transaction() as work:
            return await work.users()

    async def put_user(
        self,
        username: str,
        *,
        name: str,
        password: str,
        rights: Mapping[str, Sequence[str]],
        by: AccessToken,
        request_id: str | None,
    ) -> User:
        """Create an account or replace it; its sessions, codes and tokens end."""
        user = User(
            username=username,
            name=name,
            password_hash=await self._passwords.hash(password),
            rights={resource: scopes_for_tools(tools) for resource, tools in rights.items()},
        )
        async with self._store.transaction() as work:
            await self._end_tokens(work, username)
            await work.put_user(user)
            await self._record(work, "user.put", username, by, request_id)
        return user

    async def delete_user(self, username: str, *, by: AccessToken, request_id: str | None) -> None:
        """Delete an account; its sessions, codes and tokens end.

        Raises: NotFound.
        """
        async with self._store.transaction() as work:
            await self._end_tokens(work, username)
            if not await work.delete_user(username):
                raise NotFound("there is no such user")
            await self._record(work, "user.delete", username, by, request_id)

    async def evidence(self, digest: str) -> Sequence[object]:
        """Return the signed credentials behind a digest.

        Raises: NotFound.
        """
        async with self._store.transaction() as work:
            documents = await work.evidence(digest)
        if documents is None:
            raise NotFound("no evidence under this digest")
        return documents

    async def _end_tokens(self, work: Transaction, username: str) -> None:
        await announce_tokens(
            work, [username], reason="the account changed", identity=self._identity, now=self._clock()
        )

    async def _record(
        self, work: Transaction, action: str, target: str, by: AccessToken, request_id: str | None
    ) -> None:
        await work.record(
            audit_trail.bridge_event(
                self._identity,
                action=action,
                now=self._clock(),
                explanation="an operator did it",
                principal=by.subject,
                principal_kind="service",
                client_id=by.client_id,
                target=target,
                resource=self._identity.issuer,
                token_id=by.id,
                request_id=request_id,
            )
        )

    def _token_key(self, header: Mapping[str, object], _claims: object) -> PublicKey:
        if header.get("kid") not in (None, self._identity.kid):
            raise WrongKey("kid is not a key of this bridge")
        return self._identity.token_key.public
