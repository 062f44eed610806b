"""Whom an organisation trusts: lines are added and removed by operators, and published as a signed list (VCX-05)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from did_agent.credential.issuance import new_id
from did_agent.credential.trust import KINDS
from did_agent.did.key import did_key
from did_agent.errors import InvalidParameter, NotFound, StateConflict
from did_agent.tokens.trust_list import (
    LIFE,
    MAX_ENTRIES,
    TrustEntry,
    TrustList,
    neighbour_id,
    require_entry,
    sign_trust_list,
)
from issuer.model import HOME, Operator
from issuer.model.organisations import Organisation
from issuer.model.trust import TrustLine
from issuer.naming import require_text
from issuer.service.office import Office

SIGN_EVERY: Final = timedelta(seconds=5)  # lists older than that are signed anew, so that they prove to be fresh


class _Signed(NamedTuple):
    version: int
    issued: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRegistry:
    """The lines of every organisation."""

    office: Office
    _signed: dict[str, _Signed] = field(default_factory=dict, init=False, repr=False, compare=False)

    async def add(self, entry: TrustEntry, *, note: str, by: Operator) -> tuple[TrustLine, int]:
        """Trust an issuer for what an entry says, under an id of ours; return the line and the list's version.

        Raises: InvalidParameter, StateConflict, StoreUnavailable.
        """
        now = self.office.clock()
        entry = require_entry(replace(entry, id=new_id()))
        if entry.issuer in self._own(by.organisation) or entry.url == self.office.url:
            raise InvalidParameter("issuer: this deployment's own issuer is trusted already, for everything")
        if entry.valid_until is not None and entry.valid_until <= now:
            raise InvalidParameter("valid_until: it is over already")
        line = TrustLine(
            organisation=by.organisation,
            entry=entry,
            note=require_text("note", note),
            added=now,
            added_by=by.principal or "",
        )
        async with self.office.store.work() as work:
            version = await work.raise_trust_version(by.organisation)
            neighbours = await work.organisations() if by.organisation == HOME else []
            named = sum(bool(one.resources) for one in neighbours)
            if len(await work.trust_lines(by.organisation)) + named >= MAX_ENTRIES:
                raise StateConflict(f"a trust list has at most {MAX_ENTRIES} lines")
            await work.add_trust(line)
            event = self.office.event(by, "trust.add", entry.id, f"{entry.issuer} is trusted")
            await work.record(replace(event, details={**event.details, **_told(line, version)}))
        self.office.news.wake_audit()
        return line, version

    async def remove(self, identifier: str, *, by: Operator) -> tuple[TrustLine, int]:
        """Trust an issuer no more; return the line that was and the list's version.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            version = await work.raise_trust_version(by.organisation)
            line = await work.remove_trust(identifier, organisation=by.organisation)
            if line is None:
                raise NotFound("there is no such line of trust")
            event = self.office.event(by, "trust.remove", identifier, f"{line.entry.issuer} is trusted no more")
            await work.record(replace(event, details={**event.details, **_told(line, version)}))
        self.office.news.wake_audit()
        return line, version

    async def show(self, identifier: str, *, by: Operator) -> TrustLine:
        """Return one line.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            line = await work.trust_line(identifier, organisation=by.organisation)
        if line is None:
            raise NotFound("there is no such line of trust")
        return line

    async def list(self, *, by: Operator) -> tuple[Sequence[TrustLine], int]:
        """Return every line, and the list's version.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.trust_lines(by.organisation), await work.trust_version(by.organisation)

    async def published(self, organisation: str) -> str:
        """Return the signed list of an organisation, at most `SIGN_EVERY` old.

        Raises: NotFound, StoreUnavailable.
        """
        now, known = self.office.clock(), self._signed.get(organisation)
        async with self.office.store.work() as work:
            version = await work.trust_version(organisation)
            if known is not None and known.version == version and timedelta(0) <= now - known.issued < SIGN_EVERY:
                return known.text
            # With the version they are of: what another replica changed is not listed as it was before.
            self.office.ring.adopt(await work.issuing_keys())
            lines = await work.trust_lines(organisation)
            others = await work.organisations() if organisation == HOME else []
            others = [one for one in others if one.name != HOME and one.resources]
        if organisation != HOME and not version:
            raise NotFound("there is no such trust list")
        issued, keys = now.replace(microsecond=0), self.office.ring.of(organisation)
        key = self.office.key_of(organisation)
        found = TrustList(
            issuer=did_key(key.public),
            version=version,
            issued=issued,
            expires=issued + LIFE,
            own=self._own(organisation),
            entries=(*(line.entry for line in lines), *(entry for one in others for entry in self._neighbour(one))),
            ended=tuple(one.did for one in keys if one.why is not None),
            handovers=tuple(one.handover for one in keys if one.handover is not None),
        )
        text = sign_trust_list(found, key=key)
        self._signed[organisation] = _Signed(version, issued, text)
        return text

    def _neighbour(self, organisation: Organisation) -> Sequence[TrustEntry]:
        """Return what an organisation of this deployment is trusted for: the resources it was given, nothing else.

        Each of its keys that is believed has a line, and all of them count as one.
        """
        entry = TrustEntry(
            id=neighbour_id(organisation.name),
            issuer=organisation.name,
            url=self.office.url,
            kinds=frozenset(KINDS),
            resources=frozenset(organisation.resources),
        )
        return [replace(entry, issuer=did) for did in self._own(organisation.name)]

    def _own(self, organisation: str) -> tuple[str, ...]:
        """Return the DIDs an organisation of ours is believed under, first the one that signs."""
        return tuple(key.did for key in self.office.ring.believed(organisation))


def _told(line: TrustLine, version: int) -> dict[str, str]:
    entry = line.entry
    told = {
        "issuer": entry.issuer,
        "types": " ".join(sorted(entry.kinds)),
        "resources": " ".join(sorted(entry.resources))[:500],
        "version": str(version),
    }
    return told if entry.tools is None else {**told, "tools": " ".join(sorted(entry.tools))[:500]}
