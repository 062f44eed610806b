"""Signing keys at work: the ring every request reads, and the operator's rotation and revocation (KEY-02, KEY-03)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bridge import audit_trail
from bridge.keyring import BELIEVED, PUBLISHED, plan_revocation, plan_rotation, signing_at, state_at
from bridge.model import Identity
from bridge.model.keys import DEFAULT_ALGORITHM, KeyState, Signer, SigningAlgorithm, SigningKeyRecord
from bridge.ports import Store, Transaction
from bridge.ports.keys import KeyProvider
from bridge.service.revocation import end_tokens
from did_agent.clock import Clock
from did_agent.errors import DidAgentError, KeysUnavailable, NotFound, StateConflict, WrongKey
from did_agent.keys.jwk import parse_public_jwk, public_jwk, thumbprint
from did_agent.keys.public import PublicKey, SigningKey
from did_agent.tokens.access_token import AccessToken

REFRESH: Final = 1.0  # s between looks at what other replicas changed
MAX_SILENCE: Final = 30.0  # s without a look after which nothing is signed or believed
_log: Final = logging.getLogger("did_agent.bridge.keys")


class Keyring:
    """Implements `bridge.model.keys.Ring` from memory; `run` keeps it as the store has it."""

    def __init__(self, *, store: Store, providers: Sequence[KeyProvider], clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._provider, self._providers = providers[0], {one.name: one for one in providers}
        self._records: tuple[SigningKeyRecord, ...] = ()
        self._keys: dict[str, SigningKey] = {}
        self._public: dict[str, PublicKey] = {}
        self._looked = float("-inf")

    def signer(self, algorithm: SigningAlgorithm = DEFAULT_ALGORITHM) -> Signer:
        """See `Ring.signer`."""
        self._require_fresh()
        try:
            record = signing_at(self._records, algorithm, self._clock())
        except NotFound as error:
            raise KeysUnavailable(error.detail) from error
        return Signer(record.kid, self._open(record))

    def find(self, kid: object) -> PublicKey:
        """See `Ring.find`."""
        self._require_fresh()
        now = self._clock()
        for record in self._records:
            if record.kid == kid and state_at(record, now) in BELIEVED:
                return self._public[record.kid]
        raise WrongKey("kid is not a key of this bridge")

    def published(self) -> list[Mapping[str, object]]:
        """See `Ring.published`."""
        self._require_fresh()
        now = self._clock()
        standing = [record for record in self._records if state_at(record, now) in PUBLISHED]
        return [public_jwk(self._public[record.kid], kid=record.kid) for record in standing]

    async def prepare(self, first: SigningKey | None) -> None:
        """Read the ring; an empty one begins with `first`, which signed before there was a ring, or a fresh key."""
        await self.refresh()
        if not self._records:
            await self._add(self._begin(first))
        self.signer()  # a keystore that cannot be opened is found out now

    async def ensure(self, algorithm: SigningAlgorithm) -> None:
        """Make the first key of an algorithm unless there is one.

        Raises: KeysUnavailable.
        """
        await self.refresh()
        if not any(record.algorithm == algorithm for record in self._records):
            await self._add(self.create(algorithm))

    async def refresh(self) -> None:
        """Read what the store says now.

        Raises: StoreUnavailable.
        """
        async with self._store.transaction() as work:
            records = await work.signing_keys()
        self.adopt(records)

    def adopt(self, records: Sequence[SigningKeyRecord]) -> None:
        """Take what was just read, all at once: requests see the ring as it was or as it is."""
        self._public |= {
            record.kid: parse_public_jwk(record.public, rsa_too=True)
            for record in records
            if record.kid not in self._public
        }
        self._records, now = tuple(records), self._clock()
        standing = {record.kid for record in records if state_at(record, now) in PUBLISHED}
        self._keys = {kid: key for kid, key in self._keys.items() if kid in standing}  # what is over is not kept open
        self._looked = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Follow the store for ever."""
        while True:
            await asyncio.sleep(REFRESH)
            try:
                await self.refresh()
            except DidAgentError as error:
                _log.warning("the signing keys could not be read: %s", error.code)

    def create(self, algorithm: SigningAlgorithm) -> SigningKeyRecord:
        """Return the record of a fresh key, made where this deployment makes keys."""
        return self.record(algorithm, *self._provider.create(algorithm))

    def record(self, algorithm: SigningAlgorithm, key: SigningKey, sealed: str) -> SigningKeyRecord:
        """Return the record of a key that signs from now on."""
        return SigningKeyRecord(
            kid=thumbprint(key.public),
            algorithm=algorithm,
            generation=1,
            public=public_jwk(key.public),
            provider=self._provider.name,
            sealed=sealed,
            activates=self._clock(),
        )

    def _begin(self, first: SigningKey | None) -> SigningKeyRecord:
        if first is not None:
            with suppress(StateConflict):  # a module takes no key from outside
                return self.record(DEFAULT_ALGORITHM, first, self._provider.seal(first))
        return self.create(DEFAULT_ALGORITHM)

    async def _add(self, record: SigningKeyRecord) -> None:
        async with self._store.transaction() as work:
            await work.add_signing_key(record)  # false when another replica was first: then its key is ours too
        await self.refresh()

    def _open(self, record: SigningKeyRecord) -> SigningKey:
        if record.kid not in self._keys:
            provider = self._providers.get(record.provider)
            if provider is None:
                raise KeysUnavailable(f"the key {record.kid} is kept by {record.provider}, which is not configured")
            self._keys[record.kid] = provider.open(record.sealed, record.public)
        return self._keys[record.kid]

    def _require_fresh(self) -> None:
        if asyncio.get_running_loop().time() - self._looked > MAX_SILENCE:
            raise KeysUnavailable("the signing keys have not been read for too long")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAdministration:
    """The operator's use cases; each change is one transaction with its audit event."""

    ring: Keyring
    store: Store
    identity: Identity
    clock: Clock

    async def keys(self) -> Sequence[tuple[SigningKeyRecord, KeyState]]:
        """Return every key with its state now."""
        async with self.store.transaction() as work:
            records = await work.signing_keys()
        return [(record, state_at(record, self.clock())) for record in records]

    async def rotate(
        self, algorithm: SigningAlgorithm, *, reason: str, by: AccessToken, request_id: str
    ) -> SigningKeyRecord:
        """Publish a successor that will sign once every verifier can know it.

        Raises: NotFound, StateConflict, KeysUnavailable.
        """
        fresh, now = self.ring.create(algorithm), self.clock()
        async with self.store.transaction() as work:
            known = {record.kid: record for record in await work.signing_keys()}
            active, planned = plan_rotation(known.values(), fresh, now)
            await _change(work, known, [active, planned])
            await self._record(work, "signing_key.rotate", planned.kid, reason, by, request_id)
        await self.ring.refresh()
        return planned

    async def revoke(self, kid: str, *, reason: str, by: AccessToken, request_id: str) -> None:
        """End a key at once, with every token it signed; who signs next is known within seconds.

        Raises: NotFound, StateConflict, KeysUnavailable.
        """
        now = self.clock()
        states = {record.kid: (record.algorithm, state) for record, state in await self.keys()}
        algorithm, state = states.get(kid, (DEFAULT_ALGORITHM, "retired"))
        is_followed = any(other == (algorithm, "pending") for other in states.values())
        fresh = self.ring.create(algorithm) if state == "active" and not is_followed else None
        async with self.store.transaction() as work:
            known = {record.kid: record for record in await work.signing_keys()}
            await _change(work, known, plan_revocation(known.values(), kid, fresh, now))
            await self._record(work, "signing_key.revoke", kid, reason, by, request_id)
            # The news is signed by another key already; should this not be committed, the next look takes it back.
            self.ring.adopt(await work.signing_keys())
            await end_tokens(work, [kid], reason="its signing key was revoked", identity=self.identity, now=now)

    async def _record(
        self, work: Transaction, action: str, kid: str, reason: str, by: AccessToken, request_id: str
    ) -> None:
        event = audit_trail.bridge_event(
            self.identity,
            action,
            reason,
            now=self.clock(),
            principal=by.subject,
            principal_kind="service",
            client_id=by.client_id,
            target=kid,
            token_id=by.id,
            request_id=request_id,
        )
        await work.record(event)


async def _change(
    work: Transaction, known: Mapping[str, SigningKeyRecord], changed: Sequence[SigningKeyRecord]
) -> None:
    """Write planned records; nothing is written when another operator was faster."""
    for record in changed:
        before = known.get(record.kid)
        done = await work.add_signing_key(record) if before is None else await work.move_signing_key(before, record)
        if not done:
            raise StateConflict("another operator changed the keys at this moment; look at them again")
