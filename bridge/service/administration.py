"""The operator's use cases: resources with their tools in plain words, people and their rights; and evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from bridge import audit_trail
from bridge.issuance import verify_own
from bridge.model import BRIDGE_ADMIN, Identity, Resource, User
from bridge.model.operators import OperatorRole
from bridge.ports import Passwords, Store, Transaction
from bridge.service.keys import Keyring
from bridge.service.revocation import end_tokens
from bridge.tenancy import share_id
from did_agent.clock import Clock
from did_agent.credential.capability import tool_scope
from did_agent.errors import InsufficientScope, NotFound, Revoked, StateConflict
from did_agent.tokens.access_token import HOME, AccessToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Administration:
    """Changes what the bridge serves and for whom; each change is recorded in its transaction."""

    store: Store
    passwords: Passwords
    identity: Identity
    ring: Keyring
    clock: Clock

    async def admit(self, token: str) -> AccessToken:
        """Return the operator behind a token for this bridge.

        Raises: what `verify_own` raises, Revoked, InsufficientScope.
        """
        identity = self.identity
        verified = verify_own(token, identity=identity, audience=identity.issuer, proven=frozenset(), now=self.clock())
        async with self.store.transaction() as work:
            if not await work.is_standing(verified.id):
                raise Revoked("the token was revoked")
        if BRIDGE_ADMIN not in verified.scopes:
            raise InsufficientScope(f"{BRIDGE_ADMIN} is needed")
        return verified

    async def resources(self) -> Sequence[Resource]:
        """Return every resource."""
        async with self.store.transaction() as work:
            return await work.resources()

    async def put_resource(self, resource: Resource, *, by: AccessToken, request_id: str) -> None:
        """Register a resource or replace what is known of it.

        Raises: StateConflict for a party of this deployment, KeysUnavailable.
        """
        await self.ring.ensure(resource.signing_alg)
        async with self.store.transaction() as work:
            existing = await work.resource(resource.id)
            if existing is not None and existing.built_in:
                raise StateConflict("the resource is a party of this deployment")
            if existing is not None:
                ended = _taken_back(existing, resource)
                why = "the resource is not shared any more"
                await end_tokens(work, ended, reason=why, identity=self.identity, now=self.clock())
            await work.put_resource(resource)
            await self._record(work, "resource.put", resource.id, by, request_id)

    async def users(self) -> Sequence[User]:
        """Return every account."""
        async with self.store.transaction() as work:
            return await work.users()

    async def put_user(
        self,
        username: str,
        *,
        name: str,
        password: str,
        rights: Mapping[str, Sequence[str]],
        groups: Iterable[str] = (),
        organisation: str = HOME,
        operates: Iterable[OperatorRole] = (),
        by: AccessToken,
        request_id: str,
    ) -> User:
        """Create an account or replace it; its sessions, codes and tokens end."""
        scopes = {resource: frozenset(tool_scope(tool) for tool in tools) for resource, tools in rights.items()}
        hashed = await self.passwords.hash(password)
        user = User(
            username=username,
            name=name,
            password_hash=hashed,
            rights=scopes,
            groups=frozenset(groups),
            organisation=organisation,
            operates=frozenset(operates),
        )
        async with self.store.transaction() as work:
            await self._end_tokens(work, username)
            await work.put_user(user)
            await self._record(work, "user.put", username, by, request_id, _place(user))
        return user

    async def put_groups(self, username: str, groups: Iterable[str], *, by: AccessToken, request_id: str) -> User:
        """Say which groups a person is in; what was made from their old rights ends.

        Raises: NotFound.
        """
        async with self.store.transaction() as work:
            user = await work.user(username)
            if user is None:
                raise NotFound("there is no such user")
            changed = replace(user, groups=frozenset(groups))
            await self._end_tokens(work, username)
            await work.put_user(changed)
            await self._record(work, "user.groups", username, by, request_id)
        return changed

    async def put_place(
        self, username: str, organisation: str, operates: Iterable[OperatorRole], *, by: AccessToken, request_id: str
    ) -> User:
        """Say whose a person is, and as what they operate it; their sessions, codes and tokens end.

        Raises: NotFound, StateConflict for an account that follows the company's provider.
        """
        async with self.store.transaction() as work:
            user = await work.user(username)
            if user is None:
                raise NotFound("there is no such user")
            if not user.password_hash:
                raise StateConflict("the account follows the company's provider; its rules say whose it is")
            changed = replace(user, organisation=organisation, operates=frozenset(operates))
            await self._end_tokens(work, username)
            await work.put_user(changed)
            await self._record(work, "user.place", username, by, request_id, _place(changed))
        return changed

    async def delete_user(self, username: str, *, by: AccessToken, request_id: str) -> None:
        """Delete an account; its sessions, codes and tokens end.

        Raises: NotFound.
        """
        async with self.store.transaction() as work:
            await self._end_tokens(work, username)
            if not await work.delete_user(username):
                raise NotFound("there is no such user")
            await self._record(work, "user.delete", username, by, request_id)

    async def evidence(self, digest: str) -> Sequence[object]:
        """Return the signed credentials behind a digest.

        Raises: NotFound.
        """
        async with self.store.transaction() as work:
            documents = await work.evidence(digest)
        if documents is None:
            raise NotFound("no evidence under this digest")
        return documents

    async def _end_tokens(self, work: Transaction, username: str) -> None:
        reason, now = "the account changed", self.clock()
        await end_tokens(work, [username], reason=reason, identity=self.identity, now=now)

    async def _record(
        self,
        work: Transaction,
        action: str,
        target: str,
        by: AccessToken,
        request_id: str,
        details: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        event = audit_trail.by_operator(self.identity, action, target, by=by, request_id=request_id, now=self.clock())
        await work.record(replace(event, details=details))


def _place(user: User) -> Mapping[str, str]:
    return {"organisation": user.organisation, "roles": " ".join(sorted(user.operates))}


def _taken_back(before: Resource, after: Resource) -> list[str]:
    """Return what tokens hung on that were made while a resource was somebody else's, or shared more widely."""
    kept = after.shared_with | {after.organisation}
    return [share_id(after.id, name) for name in (before.shared_with | {before.organisation}) - kept]
