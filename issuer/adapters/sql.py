"""The issuer's store in SQLite or PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters import outbox as outboxes
from did_agent.adapters.sql import spend, transaction
from did_agent.audit.event import AuditEvent
from issuer.adapters.sql_agents import AgentRows
from issuer.adapters.sql_attestation import AttestationRows
from issuer.adapters.sql_delegations import DelegationRows
from issuer.adapters.sql_enrolment import EnrolmentRows
from issuer.adapters.sql_grants import GrantRows
from issuer.adapters.sql_impact import ImpactRows
from issuer.adapters.sql_import import ImportRows
from issuer.adapters.sql_issuing_keys import IssuingKeyRows
from issuer.adapters.sql_keys import KeyRows
from issuer.adapters.sql_notices import NoticeRows
from issuer.adapters.sql_offers import OfferRows
from issuer.adapters.sql_organisations import OrganisationRows
from issuer.adapters.sql_principals import PrincipalRows
from issuer.adapters.sql_registry import RegistryRows
from issuer.adapters.sql_requests import RequestRows
from issuer.adapters.sql_roles import RoleRows
from issuer.adapters.sql_switches import SwitchRows
from issuer.adapters.sql_templates import TemplateRows
from issuer.adapters.sql_trust import TrustRows
from issuer.adapters.sql_webhooks import WebhookRows
from issuer.adapters.tables import metadata, outbox, single_use
from issuer.webhooks import announcement_of

__all__ = ["SQLStore", "SQLWork", "metadata", "outbox"]


class SQLStore:
    """Opens transactions on the issuer's tables; implements `issuer.ports.Store`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._flipped: Counter[int] = Counter()

    @asynccontextmanager
    async def work(self) -> AsyncIterator[SQLWork]:
        """Open one.  Raises: StoreUnavailable."""
        async with transaction(self._engine) as connection:
            work = SQLWork(connection)
            yield work
        self._flipped.update(work.flipped)

    @property
    def flips(self) -> int:
        """How many places of status lists this process changed."""
        return self._flipped.total()

    def flipped(self, list_number: int) -> int:
        """Return how often this process changed a status list."""
        return self._flipped[list_number]


class SQLWork(
    AgentRows,
    RegistryRows,
    ImportRows,
    TemplateRows,
    SwitchRows,
    ImpactRows,
    KeyRows,
    IssuingKeyRows,
    EnrolmentRows,
    AttestationRows,
    GrantRows,
    RoleRows,
    RequestRows,
    WebhookRows,
    DelegationRows,
    NoticeRows,
    OfferRows,
    OrganisationRows,
    PrincipalRows,
    TrustRows,
):
    """One transaction; implements `issuer.ports.Work`."""

    async def spend(self, purpose: str, key: str, *, expires: datetime) -> bool:
        """Spend a single-use value; True the first time, False ever after."""
        return await spend(self._do, single_use, purpose, key, expires)

    async def record(self, event: AuditEvent) -> None:
        """Queue an audit event for the ledger."""
        await self.record_all([event])

    async def record_all(self, events: Sequence[AuditEvent]) -> None:
        """Queue audit events for the ledger, and what receivers of webhooks hear of them."""
        await outboxes.record_all(self._do, outbox, events)
        await self.announce([told for event in events if (told := announcement_of(event)) is not None])
