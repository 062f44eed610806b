"""Where a party listens: at its URL, by TLS if that is https and a certificate is configured; beside it, for mTLS."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic_settings import BaseSettings, SettingsConfigDict

from did_agent.adapters.observing import ObservingSettings, metrics_app
from did_agent.adapters.party import Place, listen
from did_agent.adapters.tls import ServerTLS
from did_agent.errors import Misconfigured

_PORTS: Final = 65_536


class ListenerSettings(BaseSettings):
    """What parties speak TLS with; without it they speak plain HTTP, and a proxy in front ends TLS."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    tls_cert: Path | None = None  # PEM, with the chain above it
    tls_key: Path | None = None  # PEM
    mtls_url: str | None = None  # the bridge's second address, where clients are asked for certificates


def places(
    create: Callable[[], Any], url: str, *, bind: str | None = None, asks: bool = False, mtls: bool = False
) -> list[Place]:
    """Return where an app listens, made once its places are open; `bind` is an address, with or without port.

    With `asks` clients are asked for a certificate there; with `mtls` they are asked at the second address instead, if
    one is configured, so that people's browsers are not.
    Raises: Misconfigured, also naming a port that is taken.
    """
    settings = ListenerSettings()
    second = settings.mtls_url if mtls else None
    own = _tls(settings, asks=asks and second is None) if urlsplit(url).scheme == "https" else None
    with contextlib.ExitStack() as stack:
        listeners = [(stack.enter_context(_listen(url, bind)), own)]
        if second is not None and settings.tls_cert is not None:
            beside = bind.partition(":")[0] if bind and bind.count(":") == 1 else bind
            listeners.append((stack.enter_context(_listen(second, beside)), _tls(settings, asks=True)))
        app = create()
        stack.pop_all()
    return [(app, listener, tls) for listener, tls in listeners]


def watched(apps: Sequence[Place]) -> list[Place]:
    """Return the listener that shows the counts of these parties, where one is configured.

    Raises: Misconfigured.
    """
    bind = ObservingSettings().metrics_bind
    if bind is None:
        return []
    host, _, port = bind.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < _PORTS:
        raise Misconfigured("DID_AGENT_METRICS_BIND is an address and a port, as 127.0.0.1:9464")
    observers = [found for found in (getattr(app, "observer", None) for app, *_ in apps) if found is not None]
    return [(metrics_app(lambda: observers), listen(host.strip("[]"), int(port)))]


def _tls(settings: ListenerSettings, *, asks: bool) -> ServerTLS | None:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise Misconfigured("tls_cert and tls_key come together")
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return ServerTLS(certificate=settings.tls_cert, key=settings.tls_key, asks=asks)


def _listen(url: str, bind: str | None) -> socket.socket:
    location = urlsplit(url)
    port = location.port or (443 if location.scheme == "https" else 80)
    host, _, own_port = bind.partition(":") if bind and bind.count(":") == 1 else (bind, "", "")
    if own_port and not (own_port.isdigit() and int(own_port) < _PORTS):
        raise Misconfigured(f"{bind} is not an address to listen on")
    return listen(host or location.hostname or "127.0.0.1", int(own_port) if own_port else port)
