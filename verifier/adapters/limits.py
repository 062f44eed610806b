"""Where limits are counted, by the URL of the setting: the guard's own file, another one, PostgreSQL or Valkey."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from did_agent.encoding.strict_json import parse_object
from did_agent.errors import Malformed, Misconfigured
from verifier.adapters.limits_sqlite import SQLiteLimits
from verifier.limits.costs import Cost, parse_costs
from verifier.limits.counter import LimitCounter

SQLITE: Final = "sqlite:///"
UNSAFE: Final = "#unsafe_may_forget"  # after the URL of a Valkey server whose durability may not be asked
MAX_COSTS_FILE: Final = 262_144  # bytes
_POSTGRES: Final = ("postgresql", "postgresql+psycopg", "postgres")
_VALKEY: Final = ("redis", "rediss", "valkey", "valkeys")


def open_limits(url: str | None, *, default: Path) -> LimitCounter:
    """Return the counter that `url` names; None names the file `default`.

    Raises: Misconfigured, StoreUnavailable.
    """
    if url is None:
        return SQLiteLimits(default)
    scheme = urlsplit(url).scheme
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        return SQLiteLimits(url.removeprefix(SQLITE))
    try:
        if scheme in _POSTGRES:
            from verifier.adapters.limits_postgres import PostgresLimits

            return PostgresLimits(url)
        if scheme in _VALKEY:
            from verifier.adapters.limits_valkey import ValkeyLimits

            return ValkeyLimits(url.removesuffix(UNSAFE), unsafe=url.endswith(UNSAFE))
    except ImportError as error:
        raise Misconfigured("limits_url needs a driver: pip install 'did-agent[postgres]' or [valkey]") from error
    raise Misconfigured("limits_url is none of sqlite:///…, postgresql://…, redis://…, valkey://…")


def load_costs(path: Path | None) -> dict[str, Cost]:
    """Return what calls cost, from a JSON file.

    Raises: Misconfigured.
    """
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            return parse_costs(parse_object(file.read(MAX_COSTS_FILE + 1), max_bytes=MAX_COSTS_FILE))
    except (OSError, Malformed) as error:
        raise Misconfigured(f"{path}: {error}") from error
