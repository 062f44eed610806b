"""Families of refresh tokens in the bridge's database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Integer, String, Table, delete, insert, or_, select, update

from bridge.adapters.rows import Rows
from bridge.adapters.tables import DIGEST, NAME, _key, _owner, _text, _time, metadata
from bridge.model import AuthorizationRequest, Code
from bridge.model.refresh import RefreshFamily
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.tokens.confirmation import parse_confirmation

families: Final = Table(
    "bridge_refresh_families",
    metadata,
    _key("id"),
    _owner(),
    Column("actor", String(NAME), nullable=False, index=True),
    Column("code", String(DIGEST), nullable=False, index=True),
    _text("content"),
    Column("generation", Integer, nullable=False),
    _time("rotated"),
    _time("expires"),
)


class RefreshRows(Rows):
    """Implements `bridge.ports.refresh.RefreshFamilies`."""

    async def family(self, family_id: str) -> RefreshFamily | None:
        rows = await self._rows(families, families.c.id == family_id)
        return _family(rows[0]) if rows else None

    async def add_family(self, family: RefreshFamily) -> None:
        values = {
            "id": family.id,
            "username": family.code.username,
            "code": family.code.digest,
            **_bound(family),
            "generation": family.generation,
            "rotated": numeric_date(family.rotated),
            "expires": numeric_date(family.expires),
        }
        await self._do.execute(insert(families).values(values))

    async def rebind_family(self, family: RefreshFamily) -> None:
        await self._do.execute(update(families).where(families.c.id == family.id).values(**_bound(family)))

    async def rotate(self, family_id: str, *, generation: int, now: datetime) -> bool:
        newest = (families.c.id == family_id) & (families.c.generation == generation)
        changed = update(families).where(newest).values(generation=generation + 1, rotated=numeric_date(now))
        return bool((await self._do.execute(changed)).rowcount)

    async def end_family(self, family_id: str) -> bool:
        return bool((await self._do.execute(delete(families).where(families.c.id == family_id))).rowcount)

    async def end_families(self, owner: str) -> list[str]:
        theirs = or_(families.c.username == owner, families.c.actor == owner, families.c.code == owner)
        found = list((await self._do.execute(select(families.c.id).where(theirs))).scalars())
        await self._do.execute(delete(families).where(families.c.id.in_(found)))
        return found


def _bound(family: RefreshFamily) -> dict[str, str]:
    """Return whom a family belongs to, as columns."""
    confirmation = None if family.confirmation is None else family.confirmation.claim()
    code = {**code_content(family.code), "expires": numeric_date(family.code.expires)}
    content = json.dumps({"code": code, "confirmation": confirmation})
    return {"actor": family.code.request.actor or "", "content": content}


def code_content(code: Code) -> dict[str, Any]:
    """Return a code as JSON holds it, without its times."""
    request = json.loads(json.dumps(asdict(code.request), default=sorted))
    return {
        "digest": code.digest,
        "username": code.username,
        "request": request,
        "scopes": sorted(code.scopes),
        "offline": code.offline,
    }


def read_code(content: Mapping[str, Any], *, expires: datetime) -> Code:
    """Return the code that `code_content` wrote."""
    request = content["request"]
    scopes = None if request["scopes"] is None else frozenset(request["scopes"])
    return Code(
        digest=content["digest"],
        request=AuthorizationRequest(**{**request, "scopes": scopes}),
        username=content["username"],
        scopes=frozenset(content["scopes"]),
        offline=content["offline"],
        expires=expires,
    )


def _family(row: Mapping[str, Any]) -> RefreshFamily:
    content = json.loads(row["content"])
    return RefreshFamily(
        id=row["id"],
        code=read_code(content["code"], expires=from_numeric_date(content["code"]["expires"])),
        confirmation=parse_confirmation(content["confirmation"]),
        generation=row["generation"],
        rotated=from_numeric_date(row["rotated"]),
        expires=from_numeric_date(row["expires"]),
    )
