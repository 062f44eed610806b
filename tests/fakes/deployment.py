"""All parties of a deployment with their real apps, storage and HTTP, on one still clock, in a thread of their own."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from bridge.app import create_app as create_bridge
from bridge.settings import BridgeSettings
from did_agent.adapters.keystore import load_or_create_key
from did_agent.adapters.party import listen, serving
from did_agent.audit.cosignature import Witness, verifier_key
from did_agent.cli.deployment import initialise
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.client_assertion import make_client_assertion
from issuer.app import create_app as create_issuer
from issuer.settings import IssuerSettings
from ledger.app import create_app as create_ledger
from ledger.settings import LedgerSettings
from tests.fakes.bridge_world import ASSERTION, START, cheap_passwords
from verifier.vc_api.app import create_app as create_vc_api
from verifier.vc_api.settings import VCSettings

PARTIES = ("bridge", "issuer", "ledger", "vc_api")
WITNESS_KEY = SigningKey.from_seed(b"w" * 32)
WITNESS = Witness(name="witness.example", key=WITNESS_KEY.public)  # of the ledger


@dataclass(slots=True)
class Deployed:
    """Where the parties are, and the operator's key."""

    urls: dict[str, str]
    data: Path
    operator: SigningKey
    apps: dict[str, Any]  # hardened

    def token(self, party: str, *, scope: str | None = None) -> str:
        """Return a token of the operator for one of the parties; without a scope, with all there are."""
        made = make_client_assertion(self.operator, audience=self.urls["bridge"], now=START)
        proof = {"client_assertion_type": ASSERTION, "client_assertion": made}
        form = {"grant_type": "client_credentials", "resource": self.urls[party], **proof}
        form |= {} if scope is None else {"scope": scope}
        answer = httpx2.post(f"{self.urls['bridge']}/token", data=form, trust_env=False)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@contextmanager
def deployed(data: Path, **bridge: Any) -> Iterator[Deployed]:
    """Run every party while the block runs; on PostgreSQL where there is one."""
    initialise(data)
    listeners = [listen("127.0.0.1", 0) for _ in PARTIES]
    urls = {name: f"http://127.0.0.1:{one.getsockname()[1]}" for name, one in zip(PARTIES, listeners, strict=True)}
    started, ended = threading.Event(), asyncio.Event()
    apps: dict[str, Any] = {}
    loops: list[asyncio.AbstractEventLoop] = []
    with ExitStack() as stack:
        cheap_passwords(stack.enter_context(pytest.MonkeyPatch.context()))
        database = stack.enter_context(_database())
        common: dict[str, Any] = {
            "data": data, "bridge_url": urls["bridge"], "issuer_url": urls["issuer"], "ledger_url": urls["ledger"],
            "database_url": database,
        }  # fmt: skip

        async def run() -> None:
            loops.append(asyncio.get_running_loop())
            parties = [
                create_bridge(BridgeSettings(**{**common, "registry_max_age": 0, **bridge}), clock=lambda: START),
                create_issuer(IssuerSettings(**common, vc_api=True), clock=lambda: START),
                create_ledger(LedgerSettings(**common, witnesses=verifier_key(WITNESS)), clock=lambda: START),
                create_vc_api(VCSettings(data=data, vc_api_url=urls["vc_api"]), clock=lambda: START),
            ]
            apps.update(zip(PARTIES, parties, strict=True))
            async with serving(list(zip(parties, listeners, strict=True))):
                started.set()
                await ended.wait()

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        try:
            assert started.wait(30)
            yield Deployed(urls=urls, data=data, operator=load_or_create_key(data / "keys" / "operator.jwk"), apps=apps)
        finally:
            loops[0].call_soon_threadsafe(ended.set)
            thread.join(30)


@contextmanager
def _database() -> Iterator[str | None]:
    url = os.environ.get("DID_AGENT_TEST_POSTGRES")
    if url is None:
        yield None
        return
    name, server = f"deployed_{uuid.uuid4().hex}", url.replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    yield url.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
