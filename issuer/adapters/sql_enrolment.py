"""Enrolment tokens and keys that wait for somebody's word, in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import StateConflict
from issuer.adapters.enrolment_tables import applications, policies, tokens
from issuer.adapters.rows import Rows
from issuer.adapters.sql_agents import enrolments
from issuer.adapters.tables import agents
from issuer.model import Agent, Custody
from issuer.model.enrolment import Application, ApprovalPolicy, EnrolmentToken, Verdict


class EnrolmentRows(Rows):
    """Implements `issuer.ports.enrolment.EnrolmentWork`."""

    async def add_enrolment_token(self, token: EnrolmentToken) -> None:
        """Keep a token."""
        await self._do.execute(insert(tokens).values(_token_row(token)))

    async def use_enrolment_token(self, digest: str, now: datetime) -> EnrolmentToken | None:
        """Take one use off a token and return it; None when it is unknown, used up, over or withdrawn."""
        counts = (tokens.c.left > 0) & (tokens.c.expires > numeric_date(now)) & tokens.c.ended.is_(None)
        used = update(tokens).where(tokens.c.digest == digest, counts).values(left=tokens.c.left - 1)
        if (await self._do.execute(used)).rowcount != 1:
            return None
        return _token((await self._do.execute(select(tokens).where(tokens.c.digest == digest))).one())

    async def end_enrolment_token(self, identifier: str, *, organisation: str, now: datetime) -> bool:
        """Withdraw a token; False when there is none that counts."""
        key = (tokens.c.organisation == organisation) & (tokens.c.id == identifier) & tokens.c.ended.is_(None)
        done = await self._do.execute(update(tokens).where(key).values(ended=numeric_date(now)))
        return bool(done.rowcount == 1)

    async def enrolment_token(self, identifier: str, *, organisation: str) -> EnrolmentToken | None:
        """Return a token."""
        query = select(tokens).where(tokens.c.organisation == organisation, tokens.c.id == identifier)
        found = (await self._do.execute(query)).one_or_none()
        return None if found is None else _token(found)

    async def enrolment_tokens(
        self, *, organisation: str, owner: str | None, after: str, limit: int
    ) -> Sequence[EnrolmentToken]:
        """Return tokens by id, `owner` None for everyone's."""
        query = select(tokens).where(tokens.c.organisation == organisation, tokens.c.id > after)
        if owner is not None:
            query = query.where(tokens.c.owner == owner)
        return [_token(row) for row in (await self._do.execute(query.order_by(tokens.c.id).limit(limit))).all()]

    async def add_application(self, application: Application) -> None:
        """Keep a key that waits; another that waits for the same agent is superseded.

        Raises: StateConflict when this key asked before.
        """
        own = (applications.c.organisation == application.organisation) & (
            applications.c.agent_id == application.agent_id
        )
        older = update(applications).where(own, applications.c.verdict == "waiting")
        await self._do.execute(older.values(verdict="superseded", decided=numeric_date(application.asked)))
        if not await insert_if_absent(self._do, applications, _application_row(application)):
            raise StateConflict("this key asked before; make another one")

    async def application(self, identifier: str, *, organisation: str) -> Application | None:
        """Return an application."""
        query = select(applications).where(applications.c.organisation == organisation, applications.c.id == identifier)
        found = (await self._do.execute(query)).one_or_none()
        return None if found is None else _application(found)

    async def application_of(self, did: str) -> Application | None:
        """Return what became of a key that asked."""
        found = (await self._do.execute(select(applications).where(applications.c.did == did))).one_or_none()
        return None if found is None else _application(found)

    async def applications(
        self, *, organisation: str, owner: str | None, verdict: str | None, after: str, limit: int
    ) -> Sequence[Application]:
        """Return applications by id, `owner` None for everyone's."""
        query = select(applications).where(applications.c.organisation == organisation, applications.c.id > after)
        if owner is not None:
            query = query.where(applications.c.owner == owner)
        if verdict is not None:
            query = query.where(applications.c.verdict == verdict)
        rows = (await self._do.execute(query.order_by(applications.c.id).limit(limit))).all()
        return [_application(row) for row in rows]

    async def decide_application(
        self, application: Application, verdict: Verdict, *, by: str, reason: str, now: datetime
    ) -> bool:
        """Decide on an application that waits; False when it does not wait any more."""
        key = (applications.c.organisation == application.organisation) & (applications.c.id == application.id)
        decided = update(applications).where(key, applications.c.verdict == "waiting")
        values = {"verdict": verdict, "decided": numeric_date(now), "decided_by": by, "reason": reason}
        return bool((await self._do.execute(decided.values(values))).rowcount == 1)

    async def put_approval_policy(self, policy: ApprovalPolicy) -> None:
        """Say whether agents wait for their owner."""
        row = {
            "organisation": policy.organisation,
            "template": policy.template or "",
            "needs_approval": int(policy.needs_approval),
        }
        if not await insert_if_absent(self._do, policies, row):
            key = (policies.c.organisation == row["organisation"]) & (policies.c.template == row["template"])
            await self._do.execute(update(policies).where(key).values(needs_approval=row["needs_approval"]))

    async def approval_policies(self, organisation: str) -> Sequence[ApprovalPolicy]:
        """Return what an organisation said of it."""
        query = select(policies).where(policies.c.organisation == organisation).order_by(policies.c.template)
        return [
            ApprovalPolicy(
                organisation=row.organisation, template=row.template or None, needs_approval=bool(row.needs_approval)
            )
            for row in (await self._do.execute(query)).all()
        ]

    async def void_invitation(self, agent_id: str) -> None:
        """Make an agent's invitation void."""
        await self._do.execute(delete(enrolments).where(enrolments.c.agent_id == agent_id))

    async def set_custody(self, agent: Agent, custody: Custody) -> None:
        """Say who made an agent's key."""
        key = (agents.c.organisation == agent.organisation) & (agents.c.agent_id == agent.agent_id)
        await self._do.execute(update(agents).where(key).values(custody=custody))


def _token_row(token: EnrolmentToken) -> dict[str, Any]:
    return {
        "organisation": token.organisation,
        "id": token.id,
        "digest": token.digest,
        "template": token.template,
        "groups": json.dumps(token.groups),
        "owner": token.owner,
        "needs_approval": int(token.needs_approval),
        "note": token.note,
        "uses": token.uses,
        "left": token.left,
        "created": numeric_date(token.created),
        "expires": numeric_date(token.expires),
        "by": token.by,
    }


def _token(row: Any) -> EnrolmentToken:
    return EnrolmentToken(
        organisation=row.organisation,
        id=row.id,
        digest=row.digest,
        template=row.template,
        groups=tuple(json.loads(row.groups)),
        owner=row.owner,
        needs_approval=bool(row.needs_approval),
        note=row.note,
        uses=row.uses,
        left=row.left,
        created=from_numeric_date(row.created),
        expires=from_numeric_date(row.expires),
        by=row.by,
        ended=None if row.ended is None else from_numeric_date(row.ended),
    )


def _application_row(application: Application) -> dict[str, Any]:
    return {
        "organisation": application.organisation,
        "id": application.id,
        "agent_id": application.agent_id,
        "did": application.did,
        "asking": application.asking,
        "source": application.source,
        "source_id": application.source_id,
        "owner": application.owner,
        "by": application.by,
        "asked": numeric_date(application.asked),
        "verdict": application.verdict,
    }


def _application(row: Any) -> Application:
    return Application(
        organisation=row.organisation,
        id=row.id,
        agent_id=row.agent_id,
        did=row.did,
        asking=row.asking,
        source=row.source,
        source_id=row.source_id,
        owner=row.owner,
        by=row.by,
        asked=from_numeric_date(row.asked),
        verdict=row.verdict,
        decided=None if row.decided is None else from_numeric_date(row.decided),
        decided_by=row.decided_by,
        reason=row.reason,
    )
