"""Keys an organisation signs with: rotated without a gap, retired when nothing needs them, revoked at once (KEY-03).

What changes a key holds the version of the deployment's own trust list first, so that of two changes one comes after
the other, on whichever replica; readers hear of both by the lists.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from did_agent.did.key import did_key
from did_agent.errors import KeysUnavailable, StateConflict
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import private_jwk
from did_agent.tokens.key_handover import make_handover
from issuer.issuing_keys import (
    believed_at,
    named,
    plan_retirement,
    plan_revocation,
    plan_rotation,
    require_room,
    state_at,
)
from issuer.model import HOME, Operator
from issuer.model.keys import IssuingKey, IssuingKeyState, KeyImpact
from issuer.naming import require_text
from issuer.ports import Work
from issuer.ports.keys import KeySealer
from issuer.service.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuingKeys:
    """The use cases of an organisation's admins."""

    office: Office
    sealer: KeySealer

    async def list(self, *, by: Operator) -> Sequence[tuple[IssuingKey, IssuingKeyState]]:
        """Return every key of the organisation with its state, the oldest first.

        Raises: StoreUnavailable, KeysUnavailable.
        """
        async with self.office.store.work() as work:
            kept = await work.issuing_keys()
        return [(key, self.state(key)) for key in self._of(kept, by.organisation)]

    async def rotate(self, *, reason: str, by: Operator) -> IssuingKey:
        """Publish a successor that signs once every reader of the trust list can know it.

        Raises: StateConflict, InvalidParameter, KeysUnavailable, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            keys = self._of(await self._held(work, by.organisation), by.organisation)
            require_room(keys, now)
            active, fresh = plan_rotation(keys, self._made(by.organisation, keys, now), now)
            handover = make_handover(self.office.ring.opened(active), successor=fresh.did, now=now)
            made = replace(fresh, handover=handover)
            await self._change(work, keys, [active, made])
            await self._tell(work, by.organisation)
            await work.record(self.office.event(by, "issuer_key.rotate", made.did, reason))
            kept = await work.issuing_keys()
        self._done(kept)
        return made

    async def impact(self, did: str, *, by: Operator) -> KeyImpact:
        """Return what the end of a key would end.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await self._impact(work, await self._ending(work, await work.issuing_keys(), did, by))

    async def retire(self, did: str, *, reason: str, by: Operator) -> IssuingKey:
        """Believe a key no more that another one signs in place of.

        Raises: NotFound, StateConflict while something it signed is in force, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            keys = self._of(await self._held(work, by.organisation), by.organisation)
            ended = plan_retirement(keys, did, now)
            found = await work.signed_by([did], now=now)
            if found.until is not None:
                held = found.credentials + found.delegations
                raise StateConflict(f"{held} credentials in force hang on it, the last until {found.until:%FT%TZ}")
            await self._change(work, keys, [ended])
            await self._tell(work, by.organisation)
            await work.record(self.office.event(by, "issuer_key.retire", did, reason))
            kept = await work.issuing_keys()
        self._done(kept)
        return ended

    async def revoke(self, did: str, *, reason: str, by: Operator) -> tuple[KeyImpact, bool]:
        """End a key at once, with all it signed; return what that ended, and whether the bridge has heard.

        With the issuer's own first key end those that were made from it: who has the one has the others.
        Raises: NotFound, StateConflict, InvalidParameter, KeysUnavailable, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            known = await self._held(work, by.organisation)
            ending = await self._ending(work, known, did, by)
            for one in ending:
                await self._revoke(work, self._of(known, one.organisation), one, now)
            found = await self._impact(work, ending)
            await work.end_signed_by(found.keys, reason="the key that signed it was revoked", now=now)
            await self._tell(work, *found.organisations)
            event = self.office.event(by, "issuer_key.revoke", did, reason)
            told = {"keys": str(len(found.keys)), "credentials": str(found.credentials)}
            await work.record(replace(event, details={**event.details, **told}))
            kept = await work.issuing_keys()
        self._done(kept)
        return found, await self.office.news.push()

    async def begin(self, work: Work, organisation: str) -> None:
        """Give a new organisation a key where none can be made from the issuer's own any more.

        Raises: KeysUnavailable, StoreUnavailable.
        """
        if self.office.ring.is_root_revoked():
            await work.add_issuing_key(self._made(organisation, (), self.office.clock()))

    def state(self, key: IssuingKey) -> IssuingKeyState:
        """Return the state of a key now."""
        return state_at(key, self.office.clock())

    def _of(self, kept: Sequence[IssuingKey], organisation: str) -> Sequence[IssuingKey]:
        found = [key for key in kept if key.organisation == organisation]
        return found or [self.office.ring.first(organisation)]

    def _done(self, kept: Sequence[IssuingKey]) -> None:
        self.office.ring.adopt(kept)  # after it was committed: what was not is never signed with
        self.office.news.wake_audit()

    async def _held(self, work: Work, organisation: str) -> Sequence[IssuingKey]:
        """Return all keys that are kept, nobody else changing any until the transaction ends."""
        await work.raise_trust_version(HOME)
        kept = await work.issuing_keys()
        if not any(key.organisation == organisation for key in kept):
            begun = self.office.ring.first(organisation)
            await work.add_issuing_key(begun)  # its moments are kept from now on
            kept = [*kept, begun]
        return kept

    async def _ending(self, work: Work, kept: Sequence[IssuingKey], did: str, by: Operator) -> Sequence[IssuingKey]:
        """Return a key of the organisation and, for the issuer's own, those that were made from it and are believed.

        Raises: NotFound.
        """
        key, now = named(self._of(kept, by.organisation), did), self.office.clock()
        if key.origin != "home":
            return [key]
        names = [one.name for one in await work.organisations() if one.name != HOME]
        made = [one for name in names for one in believed_at(self._of(kept, name), now) if one.origin == "derived"]
        return [key, *made]

    async def _revoke(self, work: Work, keys: Sequence[IssuingKey], key: IssuingKey, now: datetime) -> None:
        await work.add_issuing_key(key)  # unless it is kept already
        changed, is_new = plan_revocation(keys, key.did, self._made(key.organisation, keys, now), now)
        if is_new:
            changed[-1] = replace(changed[-1], handover=self._last_word(key, changed[-1].did, now))
        await self._change(work, keys, changed)

    async def _impact(self, work: Work, keys: Sequence[IssuingKey]) -> KeyImpact:
        found = await work.signed_by([key.did for key in keys], now=self.office.clock())
        return replace(found, organisations=tuple(dict.fromkeys(key.organisation for key in keys)))

    def _made(self, organisation: str, keys: Sequence[IssuingKey], now: datetime) -> IssuingKey:
        key = SigningKey.generate()
        return IssuingKey(
            organisation=organisation,
            did=did_key(key.public),
            generation=1 + max((one.generation for one in keys), default=0),
            origin="sealed",
            sealed=self.sealer.seal(json.dumps(private_jwk(key)).encode()),
            activates=now,
        )

    def _last_word(self, key: IssuingKey, successor: str, now: datetime) -> str | None:
        try:
            return make_handover(self.office.ring.opened(key), successor=successor, now=now)
        except KeysUnavailable:
            return None  # lost, not stolen: readers have to be set up with the successor

    async def _change(self, work: Work, known: Sequence[IssuingKey], changed: Sequence[IssuingKey]) -> None:
        before = {key.did: key for key in known}
        for key in changed:
            old = before.get(key.did)
            if not (await work.add_issuing_key(key) if old is None else await work.move_issuing_key(old, key)):
                raise StateConflict("another admin changed the keys at this moment; look at them again")

    async def _tell(self, work: Work, *organisations: str) -> None:
        """Have the lists say so; that of the deployment itself was counted up when the keys were held."""
        for name in sorted({*organisations} - {HOME}):
            if await work.trust_version(name):  # one that has no list gets none by this
                await work.raise_trust_version(name)
