"""Published policies in the bridge's database; the number is the primary key, so two cannot publish the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, String, Table, func, literal_column, select

from bridge.adapters.rows import Rows
from bridge.adapters.tables import NAME, _key, _text, metadata
from bridge.model.policy import PolicyRecord, PolicyVersion
from did_agent.adapters import sql
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date

policies: Final = Table(
    "bridge_policies",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    _text("digest"),
    _text("document"),
    _text("cases"),
    Column("published", BigInteger, nullable=False),
    _text("by"),
    _text("note"),
    Column("restores", Integer, nullable=True),
    _text("approvers"),
)
approvals: Final = Table(
    "bridge_policy_approvals",
    metadata,
    _key("digest", 128),
    Column("operator", String(NAME), primary_key=True),
    Column("at", BigInteger, nullable=False),
)
_NEWEST: Final = sql.Prepared(select(func.coalesce(func.max(policies.c.version), literal_column("0"))))
_RECORD: Final = tuple(column for column in policies.c if column.name not in ("document", "cases"))


class PolicyRows(Rows):
    """Implements `bridge.ports.policy.Policies`."""

    async def policy_version(self) -> int:
        ((newest,),) = await _NEWEST.run(self._do, {})
        return int(newest)

    async def policy(self, version: int) -> PolicyVersion | None:
        rows = await self._rows(policies, policies.c.version == version)
        if not rows:
            return None
        document, cases = json.loads(rows[0].pop("document")), json.loads(rows[0].pop("cases"))
        return PolicyVersion(record=_record(rows[0]), document=document, cases=tuple(cases))

    async def policy_history(self, *, limit: int) -> Sequence[PolicyRecord]:
        query = select(*_RECORD).order_by(policies.c.version.desc()).limit(limit)
        return [_record(dict(row)) for row in (await self._do.execute(query)).mappings()]

    async def add_policy(self, policy: PolicyVersion) -> bool:
        record = policy.record
        row = {
            "version": record.version,
            "digest": record.digest,
            "document": json.dumps(dict(policy.document)),
            "cases": json.dumps(list(policy.cases)),
            "published": numeric_date(record.published),
            "by": record.by,
            "note": record.note,
            "restores": record.restores,
            "approvers": json.dumps(list(record.approvers)),
        }
        return await sql.insert_if_absent(self._do, policies, row)

    async def approve_policy(self, digest: str, operator: str, *, now: datetime) -> None:
        row = {"digest": digest, "operator": operator, "at": numeric_date(now)}
        await sql.insert_if_absent(self._do, approvals, row)

    async def policy_approvers(self, digest: str) -> Sequence[str]:
        query = select(approvals.c.operator).where(approvals.c.digest == digest).order_by(approvals.c.operator)
        return list((await self._do.execute(query)).scalars())


def _record(row: dict[str, Any]) -> PolicyRecord:
    times = {"published": from_numeric_date(row["published"])}
    return PolicyRecord(**{**row, **times, "approvers": tuple(json.loads(row["approvers"]))})
