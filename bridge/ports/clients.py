"""Clients: how registered ones are stored, and documents of the others fetched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bridge.model.clients import OAuthClient, PushedRequest


class ClientDocuments(Protocol):
    """Client ID Metadata Documents. Raises: InvalidParameter for one that is bad or cannot be had."""

    async def client(self, url: str) -> OAuthClient: ...


class ClientStore(Protocol):
    """The stored side of clients, part of every transaction."""

    async def client(self, client_id: str) -> OAuthClient | None: ...
    async def clients(self) -> Sequence[OAuthClient]: ...
    async def put_client(self, client: OAuthClient) -> None: ...
    async def delete_client(self, client_id: str) -> bool: ...

    async def add_pushed_request(self, digest: str, pushed: PushedRequest, *, expires: datetime) -> None: ...
    async def pushed_request(self, digest: str, *, now: datetime) -> PushedRequest | None: ...
