"""The servers that are measured, each a process of its own on one core: our bridge with its parties, and the peers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from installed import node_server, python_server
from token_databases import own_database
from token_load import bodies, request
from token_processes import CORE, SECOND_CORE, free_port, process, until_ready

from did_agent.clock import numeric_date, system_clock
from did_agent.credential.capability import parse_capability
from did_agent.credential.issuance import attenuate
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import public_jwk
from did_agent.presentation.present import present
from did_agent.proof.jwt import sign_jwt
from did_agent.tokens.client_assertion import make_client_assertion
from did_agent.wallet import Wallet

RESOURCE: Final = "https://tools.example/mcp"
VP: Final = "https://www.w3.org/2018/credentials#VerifiablePresentation"
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
AGENTS: Final = ("first", "second", "third")  # each hands on to the next
USER, PASSWORD = "someone", "correct horse battery staple"  # who signs in while tokens are issued
COMMAND: Final = (sys.executable, "-c", "from did_agent.cli.main import main; main()")


class Server(Protocol):
    """Something with a token endpoint."""

    name: str
    ports: Sequence[int]  # of each of its processes
    pids: Sequence[int]

    def prepare(self, kind: str, count: int) -> list[bytes]:
        """Return so many requests that will be answered, signed already."""


@dataclass(slots=True, kw_only=True)
class Bridge:
    """Our bridge, and three agents that hold keys and credentials."""

    url: str  # its issuer string
    ports: Sequence[int]
    pids: Sequence[int]
    folder: Path
    database: str  # URL
    keys: Sequence[SigningKey]
    root: Mapping[str, Any]
    issuer: str  # URLs
    ledger: str
    name: str = "bridge"

    def prepare(self, kind: str, count: int) -> list[bytes]:
        """See `Server`."""
        now = system_clock().replace(microsecond=0)
        host = urlsplit(self.url).netloc
        if kind == "challenge":
            return [request(host, {}, "/challenge")] * count
        if kind == "cc":
            return [request(host, self._by_key(now)) for _ in range(count)]
        documents = {"vp": self._one, "chain": self._three}[kind]
        asked = asyncio.run(bodies(self.ports[0], self.prepare("challenge", count)))
        challenges = [str(json.loads(body)["c_nonce"]) for body in asked]
        return [request(host, self._shown(*documents(now), challenge, now)) for challenge in challenges]

    def _by_key(self, now: datetime) -> dict[str, str]:
        assertion = make_client_assertion(self.keys[0], audience=self.url, now=now)
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": assertion,
            "resource": RESOURCE,
        }

    def _one(self, _now: datetime) -> tuple[list[Mapping[str, Any]], SigningKey]:
        return [self.root], self.keys[0]

    def _three(self, now: datetime) -> tuple[list[Mapping[str, Any]], SigningKey]:
        documents = [self.root]
        for giver, taker in zip(self.keys, self.keys[1:], strict=False):
            child = attenuate(
                documents[0],
                key=giver,
                subject=did_key(taker.public),
                capabilities=[parse_capability(one) for one in self.root["credentialSubject"]["capability"]],
                valid_until=now + timedelta(minutes=5),
                now=now,
            )
            documents.insert(0, child)
        return documents, self.keys[-1]

    def _shown(
        self, documents: Sequence[Mapping[str, Any]], key: SigningKey, challenge: str, now: datetime
    ) -> dict[str, str]:
        shown = present(documents, key=key, audience=self.url, challenge=challenge, now=now)
        return {
            "grant_type": EXCHANGE,
            "subject_token": json.dumps(shown),
            "subject_token_type": VP,
            "resource": RESOURCE,
        }


@dataclass(slots=True)
class Peer:
    """Another authorization server: one client that authenticates by `private_key_jwt`."""

    name: str
    ports: Sequence[int]
    pids: Sequence[int]
    key: SigningKey

    def prepare(self, kind: str, count: int) -> list[bytes]:
        """See `Server`; `cc` is all they know."""
        if kind != "cc":
            raise ValueError(kind)
        return [request(f"127.0.0.1:{self.ports[0]}", self._form(number)) for number in range(count)]

    def _form(self, number: int) -> dict[str, str]:
        now = numeric_date(system_clock())
        claims = {
            "iss": "bench",
            "sub": "bench",
            "aud": f"http://127.0.0.1:{self.ports[0]}",
            "iat": now,
            "exp": now + 60,
            "jti": f"{time.time_ns()}-{number}",
        }
        assertion = sign_jwt(claims, typ="JWT", key=self.key)
        form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "scope": "tool:list_menu"}
        return {**form, "client_id": "bench", "client_assertion": assertion, "resource": RESOURCE}


@contextmanager
def bridge(*, postgres: str | None = None, workers: int = 1, **settings: str) -> Iterator[Bridge]:
    """Run issuer, ledger and so many workers of a bridge, with enrolled agents; the first of them holds a credential.

    With `postgres` the bridge gets a database of its own there; `settings` are of the bridge alone.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        urls = {party: f"http://127.0.0.1:{free_port()}" for party in ("bridge", "issuer", "ledger")}
        common = {
            **os.environ,
            "DID_AGENT_DATA": name,
            **{f"DID_AGENT_{party.upper()}_URL": url for party, url in urls.items()},
        }

        def run(*words: str) -> None:
            subprocess.run([*COMMAND, *words], env=common, check=True, capture_output=True, text=True, timeout=60)

        run("init")
        database = f"sqlite:///{name}/bridge.db" if postgres is None else stack.enter_context(own_database(postgres))
        for party in ("issuer", "ledger"):
            stack.enter_context(process([*COMMAND, party], common, core=None))
        # Every worker answers under the one URL of the bridge, at a port of its own; the first at the URL's.
        ports = [urlsplit(urls["bridge"]).port or 0, *(free_port() for _ in range(workers - 1))]
        own, pids = {**common, "DID_AGENT_DATABASE_URL": database, **settings}, []
        for core, port in zip((CORE, SECOND_CORE), ports, strict=False):
            environment = {**own, "DID_AGENT_BIND": f"127.0.0.1:{port}"}
            pids.append(stack.enter_context(process([sys.executable, "-m", "bridge"], environment, core=core)))
            until_ready(f"http://127.0.0.1:{port}/readyz", host=urlsplit(urls["bridge"]).netloc)
        for party in ("issuer", "ledger"):
            until_ready(f"{urls[party]}/readyz")
        run("resource", "add", RESOURCE, "--name", "Tools", "--tool", "list_menu=See the menu")
        run("user", "add", USER, "--name", "Someone", "--password", PASSWORD)
        for agent in AGENTS:
            run("agent", "create", agent, "--sponsor", "Benchmark")
        run("cred", "issue", AGENTS[0], "--resource", RESOURCE, "--tool", "list_menu", "--max-depth", "3")
        wallet = Wallet(Path(name) / "wallet")
        held = next(one for one in wallet.credentials(AGENTS[0]) if "AgentCapabilityCredential" in one["type"])
        keys = [wallet.key(agent) for agent in AGENTS]
        yield Bridge(
            url=urls["bridge"],
            ports=ports,
            pids=pids,
            folder=Path(name),
            database=database,
            keys=keys,
            root=held,
            issuer=urls["issuer"],
            ledger=urls["ledger"],
        )


@contextmanager
def oidc_provider() -> Iterator[Peer]:
    """Run node oidc-provider.

    Raises: NotInstallableError.
    """
    folder, node = node_server("oidc_provider", "oidc-provider")
    port, key = free_port(), SigningKey.generate()
    environment = {**os.environ, "NODE_ENV": "production"}
    with process([node, "oidc_provider.mjs", _given(port, key)], environment, core=CORE, folder=folder) as pid:
        until_ready(f"http://127.0.0.1:{port}/.well-known/openid-configuration")
        yield Peer("oidc-provider", [port], [pid], key)


@contextmanager
def authlib() -> Iterator[Peer]:
    """Run Authlib under Flask and gunicorn, one worker.

    Raises: NotInstallableError.
    """
    folder, python = python_server("authlib", "authlib", "flask", "gunicorn")
    port, key = free_port(), SigningKey.generate()
    with tempfile.TemporaryDirectory() as name:
        given = _given(port, key, database=str(Path(name) / "used.db"))
        command = [python, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "-k", "gthread", "--threads", "1"]
        command += ["--keep-alive", "30", "--log-level", "error", "authlib_server:app"]
        with process(command, {**os.environ, "BENCH_GIVEN": given}, core=CORE, folder=folder) as pid:
            until_ready(f"http://127.0.0.1:{port}/none", also=404)
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            yield Peer("authlib", [port], [pid, *map(int, children)], key)


PEERS: Final = (oidc_provider, authlib)


def _given(port: int, key: SigningKey, **more: str) -> str:
    jwk = {**public_jwk(key.public), "kid": "bench", "alg": "EdDSA", "use": "sig"}
    return json.dumps({"port": port, "client_id": "bench", "jwk": jwk, "resource": RESOURCE, **more})
