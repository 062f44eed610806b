"""Registered clients and pushed authorization requests in the bridge's database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, delete, insert

from bridge.adapters.rows import Rows
from bridge.adapters.tables import NAME, _key, _text, _time, metadata
from bridge.model.clients import OAuthClient, PushedRequest
from did_agent.clock import numeric_date

clients: Final = Table("bridge_clients", metadata, _key("id", NAME), _text("document"))
pushed_requests: Final = Table(
    "bridge_pushed_requests", metadata, _key("digest"), _text("client_id"), _text("content"), _time("expires")
)


class ClientRows(Rows):
    """Implements `bridge.ports.clients.ClientStore`."""

    async def client(self, client_id: str) -> OAuthClient | None:
        rows = await self._rows(clients, clients.c.id == client_id)
        return _client(rows[0]) if rows else None

    async def clients(self) -> Sequence[OAuthClient]:
        return [_client(row) for row in await self._rows(clients)]

    async def put_client(self, client: OAuthClient) -> None:
        await self._put(clients.c.id, client.id, {"document": json.dumps(asdict(client))})

    async def delete_client(self, client_id: str) -> bool:
        return bool((await self._do.execute(delete(clients).where(clients.c.id == client_id))).rowcount)

    async def add_pushed_request(self, digest: str, pushed: PushedRequest, *, expires: datetime) -> None:
        content = json.dumps({"parameters": dict(pushed.parameters), "resources": pushed.resources})
        values = {"digest": digest, "client_id": pushed.client_id, "content": content}
        await self._do.execute(insert(pushed_requests).values(**values, expires=numeric_date(expires)))

    async def pushed_request(self, digest: str, *, now: datetime) -> PushedRequest | None:
        table = pushed_requests
        rows = await self._rows(table, table.c.digest == digest, table.c.expires > numeric_date(now))
        if not rows:
            return None
        content = json.loads(rows[0]["content"])
        return PushedRequest(
            client_id=rows[0]["client_id"],
            parameters=content["parameters"],
            resources=tuple(content["resources"]),
        )


def _client(row: Mapping[str, Any]) -> OAuthClient:
    document = json.loads(row["document"])
    lists = {name: tuple(document[name]) for name in ("redirect_uris", "keys", "resources")}
    name = document.get("certificate_name")
    return OAuthClient(**{**document, **lists, "certificate_name": None if name is None else tuple(name)})
