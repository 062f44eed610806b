"""Kill switches: many agents stopped at once, durably, and let go again (REV-03)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from did_agent.credential.issuance import new_id
from did_agent.errors import InsufficientScope, InvalidParameter, NotFound
from issuer.model import Operator
from issuer.model.registry import Scope, Switch
from issuer.naming import require_text
from issuer.service.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What is stopped as a whole."""

    office: Office

    async def kill(self, scope: Scope, target: str, *, reason: str, by: Operator) -> tuple[Switch, bool]:
        """Suspend everything a switch covers; say also whether the bridge has heard already.

        States, history, status bits, notices and the audit event are one transaction.
        Raises: InvalidParameter, InsufficientScope, StateConflict, StoreUnavailable.
        """
        _require_role(scope, by)
        if (scope == "organisation") != (target == ""):
            raise InvalidParameter("target: what is stopped; nothing where it is the whole organisation")
        switch = Switch(
            organisation=by.organisation,
            id=new_id(),
            scope=scope,
            target=require_text("target", target),
            reason=require_text("reason", reason),
            by=by.principal or "",
            at=self.office.clock(),
            stopped=0,
        )
        async with self.office.store.work() as work:
            on = await work.turn_on(switch)
            event = self.office.event(by, "switch.on", switch.id, _words(on, reason))
            await work.record(replace(event, details={**event.details, "stopped": str(on.stopped)}))
        self.office.news.wake_audit()
        return on, await self.office.news.push()

    async def lift(self, identifier: str, *, reason: str, by: Operator) -> tuple[Switch, int, bool]:
        """Let go what a switch stopped, but for what another one covers; say how many, and whether the bridge heard.

        Raises: NotFound, InvalidParameter, InsufficientScope, StateConflict when it is off, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            switch = await work.switch(identifier, organisation=by.organisation)
            if switch is None:
                raise NotFound("there is no such kill switch")
            _require_role(switch.scope, by)
            if switch.scope == "organisation" and switch.target:
                raise InsufficientScope("the deployment's own admins stopped the organisation; they alone let it go")
            off, resumed = await work.turn_off(switch, by=by.principal or "", reason=reason, now=now)
            event = self.office.event(by, "switch.off", switch.id, _words(off, reason))
            await work.record(replace(event, details={**event.details, "resumed": str(resumed)}))
        self.office.news.wake_audit()
        return off, resumed, await self.office.news.push()

    async def is_of_all(self, identifier: str, *, by: Operator) -> bool:
        """Tell whether a switch stopped the whole organisation; one that is not known is refused anyway.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            switch = await work.switch(identifier, organisation=by.organisation)
        return switch is not None and switch.scope == "organisation"

    async def list(self, *, on: bool | None, after: str, limit: int, by: Operator) -> Sequence[Switch]:
        """Return switches.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.switches(organisation=by.organisation, on=on, after=after, limit=limit)


def _require_role(scope: Scope, by: Operator) -> None:
    if scope == "organisation" and "admin" not in by.roles:
        raise InsufficientScope("issuer:admin is needed to stop or start the whole organisation")


def _words(switch: Switch, reason: str) -> str:
    return f"{switch.scope} {switch.target}: {reason}"[:500]
