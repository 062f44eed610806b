"""The end of personal fields: for one person who asks, or for everybody once they are old enough (AUD-05)."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from did_agent.audit.event import AuditEvent
from did_agent.did.key import did_key
from did_agent.errors import DidAgentError
from did_agent.tokens.access_token import HOME
from ledger.model import Erased, Erasure
from ledger.service import LedgerService
from verifier.model import Admission

ACTION: Final = "audit.erase"
EVERY: Final = 3_600.0  # s between looks for months that are old enough

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasing:
    """Ends personal fields; what it did is an event that names nobody who was erased."""

    service: LedgerService
    keep_months: int | None = None  # whole months beside the present one; None: until somebody asks

    async def erase(self, erasure: Erasure, *, by: Admission, request_id: str) -> Erased:
        """End what an operator asks for; `erasure` is narrowed to their organisation already.

        Raises: StoreUnavailable.
        """
        caller = by.caller
        own = {} if by.organisation == HOME else {"organisation": by.organisation}
        return await self._erase(
            erasure,
            details=own,
            principal=caller.principal.id,
            principal_kind=caller.principal.kind,
            actors=caller.actors,
            token_id=by.token_id,
            request_id=request_id,
        )

    async def retire(self) -> Erased | None:
        """End what is older than the deployment keeps it; None where nothing is.

        Raises: StoreUnavailable.
        """
        if self.keep_months is None:
            return None
        erasure = Erasure(before=month_before(self.service.clock(), self.keep_months))
        return await self._erase(erasure) if await self.service.log.is_any_sealed(erasure) else None

    async def run(self) -> None:
        """Retire again and again, until it is cancelled."""
        while self.keep_months is not None:
            try:
                await self.retire()
            except DidAgentError as error:
                _log.warning("personal fields that are old enough could not be erased: %s", error.code)
            await asyncio.sleep(EVERY)

    async def _erase(
        self,
        erasure: Erasure,
        *,
        details: Mapping[str, str] | None = None,
        principal: str | None = None,
        principal_kind: str | None = None,
        actors: tuple[str, ...] = (),
        token_id: str | None = None,
        request_id: str | None = None,
    ) -> Erased:
        service = self.service

        def told(erased: Erased) -> AuditEvent:
            counts = {"keys": str(erased.keys), "rows": str(erased.rows)}
            narrowed = {"before": erasure.before} if erasure.before else {}
            return AuditEvent(
                id=uuid.uuid4().urn,
                time=service.clock(),
                source=did_key(service.key.public),
                party="ledger",
                principal=principal,
                principal_kind=principal_kind,
                actors=actors,
                client_id=None,
                action=ACTION,
                target=None,
                resource=service.url,
                argument_digest=None,
                decision="allow",
                reason="allowed",
                explanation="personal fields of " + ("one person" if erasure.person else "everybody") + " were erased",
                policy=None,
                credential_ids=(),
                token_id=token_id,
                evidence=None,
                request_id=request_id,
                details={**(details or {}), **counts, **narrowed},
            )

        return await service.erase(erasure, told)


def month_before(now: datetime, months: int) -> str:
    """Return the month that lies so many months before that of `now`: "2026-01"."""
    count = now.year * 12 + now.month - 1 - months
    return f"{count // 12:04d}-{count % 12 + 1:02d}"
