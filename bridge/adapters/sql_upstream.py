"""Logins under way at the company's provider, in the bridge's database."""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Table, delete, insert, update

from bridge.adapters.rows import Rows
from bridge.adapters.tables import _key, _text, _time, metadata, users
from bridge.model import User
from bridge.model.upstream import LOGIN_SECONDS, PendingLogin
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date

pending_logins: Final = Table(
    "bridge_pending_logins",
    metadata,
    _key("state"),
    _text("browser"),
    _text("issuer"),
    _text("back_to"),
    _time("expires"),
)


class UpstreamRows(Rows):
    """Implements `bridge.ports.upstream.UpstreamLogins`."""

    async def add_pending_login(self, pending: PendingLogin) -> None:
        # Anybody can begin a login: what was given up goes when the next one begins.
        begun = numeric_date(pending.expires) - LOGIN_SECONDS
        await self._do.execute(delete(pending_logins).where(pending_logins.c.expires < begun - LOGIN_SECONDS))
        values: dict[str, Any] = {name: getattr(pending, name) for name in PendingLogin.__slots__}
        values["expires"] = numeric_date(pending.expires)
        await self._do.execute(insert(pending_logins).values(values))

    async def take_pending_login(self, state: str, *, browser: str) -> PendingLogin | None:
        table = pending_logins
        mine = (table.c.state == state) & (table.c.browser == browser)
        row = (await self._do.execute(delete(table).where(mine).returning(*table.c))).mappings().one_or_none()
        return None if row is None else PendingLogin(**{**row, "expires": from_numeric_date(row["expires"])})

    async def follow_upstream(self, user: User) -> None:
        values = {"name": user.name, "groups": json.dumps(sorted(user.groups))}
        values |= {"organisation": user.organisation, "operates": " ".join(sorted(user.operates))}
        await self._do.execute(update(users).where(users.c.username == user.username).values(values))
