"""A Valkey or Redis server that keeps what it is told.

Such a server forgets on purpose unless it is told not to.  So one is taken only if it syncs every write before it
answers and evicts nothing; where the server may not be asked, `unsafe` must be said.  Replicas are behind by nature:
after a failover to one, the last writes are lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from did_agent.errors import StoreUnavailable

CONNECTIONS: Final = 4  # of one process
SECONDS: Final = 3.0  # for an answer, or for a free connection; then the call is refused


class ValkeyServer:
    """Runs scripts in a server that speaks RESP; `unsafe` takes one that may forget."""

    def __init__(self, url: str, *, keeps: str, unsafe: bool) -> None:
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            url.replace("valkey", "redis", 1),
            max_connections=CONNECTIONS,
            timeout=SECONDS,
            socket_timeout=SECONDS,
            socket_connect_timeout=SECONDS,
            retry=Retry(NoBackoff(), 0),  # what is repeated would count twice
        )
        self._server: Any = Redis(connection_pool=pool)
        self._keeps = keeps
        self._unsafe = self._is_trusted = unsafe

    def script(self, text: str) -> Any:
        """Return a script that `run` takes."""
        return self._server.register_script(text)

    async def run(self, script: Any, keys: Sequence[str], arguments: Sequence[object]) -> Any:
        """Return what a script answers.

        Raises: StoreUnavailable.
        """
        try:
            if not self._is_trusted:
                await self._require_durable()
                self._is_trusted = True
            return await script(keys=keys, args=arguments)
        except (RedisError, OSError) as error:
            self._is_trusted = self._unsafe  # who answers next may be another server
            raise StoreUnavailable(f"{self._keeps}: {type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._server.aclose()
        await self._server.connection_pool.disconnect()

    async def _require_durable(self) -> None:
        try:
            found = await self._server.config_get("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")
        except ResponseError as error:
            why = f"the server does not say how it keeps what it is told: {error}"
            raise StoreUnavailable(f"{self._keeps}: {why}") from error
        said = {_text(name): _text(value) for name, value in found.items()}
        if said.get("appendonly") != "yes" or said.get("appendfsync") != "always":
            raise StoreUnavailable(f"{self._keeps}: the server must run with appendonly yes and appendfsync always")
        if said.get("maxmemory") != "0" and said.get("maxmemory-policy") != "noeviction":
            raise StoreUnavailable(f"{self._keeps}: the server must run with maxmemory-policy noeviction")


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
