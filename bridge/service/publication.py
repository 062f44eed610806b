"""The operator's use cases for policy: approve, publish, roll back, look; and the signed bundle for verifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from bridge import audit_trail
from bridge.model import Identity
from bridge.model.keys import Signer
from bridge.model.policy import BUNDLE_LIFE, BUNDLE_RENEWED, PolicyRecord, PolicyVersion
from bridge.ports import Store, Transaction
from bridge.publication import (
    holding,
    require_approval,
    require_cases,
    require_current,
    require_no_change,
    require_sound,
)
from bridge.service.policy import PolicyInForce
from did_agent.clock import Clock, numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import DidAgentError, NotFound, StateConflict
from did_agent.policy.active import NO_POLICY
from did_agent.policy.document import PolicyDocument, parse_policy
from did_agent.tokens.access_token import AccessToken
from did_agent.tokens.policy_bundle import PolicyBundle, sign_bundle

MAX_HISTORY: Final = 100  # versions one answer lists
NOTHING: Final[Mapping[str, object]] = PolicyDocument().to_json()


class Candidate(NamedTuple):
    """What an operator wants to publish."""

    document: Mapping[str, Any]
    cases: Sequence[Any] | None  # None: those of the version in force go on
    note: str = ""
    acknowledged: bool = False  # that saved decisions change
    follows: int | None = None  # the version it was written against; None: whichever is in force


class SignedBundle(NamedTuple):
    """A bundle, and the tag that changes with it."""

    text: str
    etag: str
    version: int  # 0: nothing was ever published


@dataclass(slots=True, kw_only=True)
class PolicyAdministration:
    """Changes what is in force; each change, and each refused one, is recorded in its transaction."""

    store: Store
    policies: PolicyInForce
    identity: Identity
    operators: frozenset[str]
    clock: Clock
    _bundle: SignedBundle | None = field(default=None, init=False, repr=False)

    async def approve(self, document: Mapping[str, Any], *, by: AccessToken, request_id: str) -> tuple[str, list[str]]:
        """Record that this operator approves a policy, by its digest; returns that and everybody who has.

        Raises: BadPolicy.
        """
        digest, now = parse_policy(dict(document)).digest, self.clock()
        async with self.store.transaction() as work:
            await work.approve_policy(digest, by.subject, now=now)
            approvers = list(await work.policy_approvers(digest))
            await self._record(work, "policy.approve", digest, by, request_id, now)
        return digest, approvers

    async def publish(self, candidate: Candidate, *, by: AccessToken, request_id: str) -> PolicyRecord:
        """Put a policy in force.

        Raises: BadPolicy, PolicyUnavailable, StateConflict when it is not approved, changes saved decisions, or
        somebody else published meanwhile.
        """
        now, document = self.clock(), parse_policy(dict(candidate.document))
        async with self.store.transaction() as work:
            resources = await work.resources()
            version = await work.policy_version()
            before = await work.policy(version)
            approvers = await work.policy_approvers(document.digest)
        require_sound(document, language=self.policies.language, resources=resources)
        earlier = before.cases if before else ()
        try:
            require_current(version, follows=candidate.follows)
            approved = require_approval(document, approvers, operators=self.operators)
            active = self.policies.activated(document, version=version + 1)
            require_no_change(active, earlier, acknowledged=candidate.acknowledged, now=now)
            asked = candidate.cases
            cases = holding(active, earlier, now=now) if asked is None else tuple(asked)
            require_cases(active, cases, now=now)
        except StateConflict as error:
            await self._refused(document.digest, error, by, request_id, now)
            raise
        record = PolicyRecord(
            version=version + 1,
            digest=document.digest,
            published=now,
            by=by.subject,
            note=candidate.note,
            approvers=approved,
        )
        await self._put(PolicyVersion(record=record, document=document.to_json(), cases=cases), by, request_id)
        return record

    async def roll_back(self, to: int, *, note: str, by: AccessToken, request_id: str) -> PolicyRecord:
        """Put an earlier version in force again, under a new number: verifiers never go back.

        Its tools may be gone and the saved decisions of today change: what was once published is put back as it was.
        Raises: NotFound, StateConflict, PolicyUnavailable.
        """
        now = self.clock()
        async with self.store.transaction() as work:
            version, found = await work.policy_version(), await work.policy(to)
            approvers = await work.policy_approvers(found.record.digest) if found else ()
        if found is None or to == version:
            raise NotFound("there is no such earlier version")
        document = parse_policy(dict(found.document))
        try:
            approved = require_approval(document, approvers, operators=self.operators)
        except StateConflict as error:
            await self._refused(document.digest, error, by, request_id, now)
            raise
        self.policies.activated(document, version=version + 1)
        record = PolicyRecord(
            version=version + 1,
            digest=found.record.digest,
            published=now,
            by=by.subject,
            note=note,
            restores=to,
            approvers=approved,
        )
        await self._put(PolicyVersion(record=record, document=found.document, cases=found.cases), by, request_id)
        return record

    async def history(self) -> Sequence[PolicyRecord]:
        """Return what was published, the newest first."""
        async with self.store.transaction() as work:
            return await work.policy_history(limit=MAX_HISTORY)

    async def version(self, number: int | None) -> PolicyVersion | None:
        """Return a version, or the one in force; None before the first was published.

        Raises: NotFound for a number that was never published.
        """
        async with self.store.transaction() as work:
            found = await work.policy(await work.policy_version() if number is None else number)
        if found is None and number is not None:
            raise NotFound("there is no such version")
        return found

    async def bundle(self) -> SignedBundle:
        """Return the policy in force, signed; every replica says the same under the same tag, long before it ends."""
        async with self.store.transaction() as work:
            version = await work.policy_version()
        start = numeric_date(self.clock()) // _RENEWED * _RENEWED
        signer = self.identity.ring.signer()
        etag = f'"{version}-{start}-{signer.kid[:8]}"'
        if self._bundle is None or self._bundle.etag != etag:
            found = await self.version(version) if version else None
            self._bundle = SignedBundle(self._signed(found, from_numeric_date(start), signer), etag, version)
        return self._bundle

    def _signed(self, found: PolicyVersion | None, start: datetime, signer: Signer) -> str:
        bundle = PolicyBundle(
            issuer=self.identity.issuer,
            version=found.record.version if found else 0,
            digest=found.record.digest if found else NO_POLICY.digest,
            policy=found.document if found else NOTHING,
            issued_at=start,
            expires=start + BUNDLE_LIFE,
            approvers=found.record.approvers if found else (),
        )
        return sign_bundle(bundle, key=signer.key, kid=signer.kid)

    async def _put(self, policy: PolicyVersion, by: AccessToken, request_id: str) -> None:
        record = policy.record
        action = "policy.publish" if record.restores is None else "policy.rollback"
        details = {"version": str(record.version), "note": record.note, "approvers": " ".join(record.approvers)}
        if record.restores is not None:
            details["restores"] = str(record.restores)
        async with self.store.transaction() as work:
            if not await work.add_policy(policy):
                raise StateConflict("somebody else published meanwhile; look at what is in force and try again")
            await self._record(work, action, record.digest, by, request_id, record.published, details=details)

    async def _refused(
        self, digest: str, error: DidAgentError, by: AccessToken, request_id: str, now: datetime
    ) -> None:
        said = {"decision": "deny", "reason": error.code, "explanation": error.detail}
        async with self.store.transaction() as work:
            await self._record(work, "policy.publish", digest, by, request_id, now, **said)

    async def _record(
        self,
        work: Transaction,
        action: str,
        digest: str,
        by: AccessToken,
        request_id: str,
        now: datetime,
        *,
        explanation: str = "an operator did it",
        **said: Any,
    ) -> None:
        said |= {"principal": by.subject, "principal_kind": "service", "client_id": by.client_id, "token_id": by.id}
        said |= {"target": digest, "request_id": request_id}
        await work.record(audit_trail.bridge_event(self.identity, action, explanation, now=now, **said))


_RENEWED: Final = int(BUNDLE_RENEWED.total_seconds())
