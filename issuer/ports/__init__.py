"""What the issuer needs: a store whose every change is one transaction, and somebody who carries the news."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from did_agent.audit.event import AuditEvent
from issuer.ports.agents import AgentWork
from issuer.ports.delegations import DelegationWork
from issuer.ports.enrolment import AttestationWork, EnrolmentWork
from issuer.ports.grants import GrantWork
from issuer.ports.keys import IssuingKeyWork, KeyWork
from issuer.ports.notices import NoticeWork
from issuer.ports.offers import OfferWork
from issuer.ports.organisations import OrganisationWork
from issuer.ports.principals import PrincipalWork
from issuer.ports.registry import BlueprintWork, RegistryWork, SwitchWork
from issuer.ports.requests import RequestWork
from issuer.ports.roles import RoleWork
from issuer.ports.status import StatusWork
from issuer.ports.trust import TrustWork
from issuer.ports.webhooks import WebhookWork


class Work(
    AgentWork,
    RegistryWork,
    BlueprintWork,
    SwitchWork,
    KeyWork,
    IssuingKeyWork,
    EnrolmentWork,
    AttestationWork,
    GrantWork,
    RoleWork,
    RequestWork,
    WebhookWork,
    StatusWork,
    DelegationWork,
    NoticeWork,
    OfferWork,
    OrganisationWork,
    PrincipalWork,
    TrustWork,
    Protocol,
):
    """One transaction: all of it happens, or nothing."""

    async def spend(self, purpose: str, key: str, *, expires: datetime) -> bool:
        """Spend a single-use value; True the first time, False ever after."""
        ...

    async def record(self, event: AuditEvent) -> None:
        """Queue an audit event for the ledger."""
        ...


class Store(Protocol):
    """Opens transactions."""

    def work(self) -> AbstractAsyncContextManager[Work]:
        """Open one.  Raises: StoreUnavailable."""
        ...

    def flipped(self, list_number: int) -> int:
        """Return how often this process changed a status list."""
        ...


class News(Protocol):
    """Carries notices to the bridge."""

    async def push(self) -> bool:
        """Try to deliver all that waits, now; True when nothing is left."""
        ...

    def wake_audit(self) -> None:
        """Say that audit events wait."""
        ...
