"""Attestation rules and the agents that workloads are, in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import delete, select, update

from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from issuer.adapters.enrolment_tables import rules, workloads
from issuer.adapters.rows import Rows
from issuer.model import Agent
from issuer.model.enrolment import AttestationRule

_CONTENT: Final = (
    "jwks", "jwks_uri", "claims", "template", "agent_name", "tags", "metadata", "sponsor", "owner", "needs_approval",
    "rebind",
)  # fmt: skip


class AttestationRows(Rows):
    """Implements `issuer.ports.enrolment.AttestationWork`."""

    async def put_attestation_rule(self, rule: AttestationRule) -> None:
        """Keep a rule, in place of one of this name."""
        row = {
            "organisation": rule.organisation,
            "name": rule.name,
            "issuer": rule.issuer,
            "content": json.dumps({name: getattr(rule, name) for name in _CONTENT}),
            "created": numeric_date(rule.created),
            "by": rule.by,
        }
        if not await insert_if_absent(self._do, rules, row):
            key = (rules.c.organisation == rule.organisation) & (rules.c.name == rule.name)
            await self._do.execute(update(rules).where(key).values(row))

    async def remove_attestation_rule(self, name: str, *, organisation: str) -> bool:
        """Forget a rule; False when there is none."""
        key = (rules.c.organisation == organisation) & (rules.c.name == name)
        return bool((await self._do.execute(delete(rules).where(key))).rowcount == 1)

    async def attestation_rules(
        self, *, organisation: str, issuer: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[AttestationRule]:
        """Return rules by name."""
        query = select(rules).where(rules.c.organisation == organisation, rules.c.name > after)
        if issuer is not None:
            query = query.where(rules.c.issuer == issuer)
        return [_rule(row) for row in (await self._do.execute(query.order_by(rules.c.name).limit(limit))).all()]

    async def workload(self, rule: AttestationRule, workload: str) -> str | None:
        """Return the agent that a workload is under a rule."""
        query = select(workloads.c.agent_id).where(
            workloads.c.organisation == rule.organisation,
            workloads.c.rule == rule.name,
            workloads.c.workload == workload,
        )
        found: str | None = (await self._do.execute(query)).scalar_one_or_none()
        return found

    async def add_workload(self, rule: AttestationRule, workload: str, agent: Agent) -> bool:
        """Say which agent a workload is; False when that was said at the same moment."""
        row = {
            "organisation": rule.organisation,
            "rule": rule.name,
            "workload": workload,
            "agent_id": agent.agent_id,
        }
        return await insert_if_absent(self._do, workloads, row)


def _rule(row: Any) -> AttestationRule:
    content = json.loads(row.content)
    return AttestationRule(
        organisation=row.organisation,
        name=row.name,
        issuer=row.issuer,
        created=from_numeric_date(row.created),
        by=row.by,
        **{**content, "tags": tuple(content["tags"])},
    )
