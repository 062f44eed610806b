"""The servers that are measured, each a process of its own on one core: our bridge with its parties, and the peers."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import httpx2
from installed import NotInstallableError, node_server, python_server
from token_load import request

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

START_SECONDS: Final = 30
RESOURCE: Final = "https://tools.example/mcp"
VP: Final = "https://www.w3.org/2018/credentials#VerifiablePresentation"
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
AGENTS: Final = ("first", "second", "third")  # each hands on to the next
CORE: Final = 0  # of the servers; the load runs on another
COMMAND: Final = (sys.executable, "-c", "from did_agent.cli.main import main; main()")


class Server(Protocol):
    """Something with a token endpoint."""

    name: str
    port: int
    pids: Sequence[int]

    def prepare(self, kind: str, count: int) -> list[bytes]:
        """Return so many requests that will be answered, signed already."""


@dataclass(slots=True)
class Bridge:
    """Our bridge, and three agents that hold keys and credentials."""

    port: int
    pids: Sequence[int]
    keys: Sequence[SigningKey]
    root: Mapping[str, Any]
    database: Path  # where it is SQLite
    name: str = "bridge"

    @property
    def url(self) -> str:
        """Its issuer string."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self, kind: str, count: int) -> list[bytes]:
        """See `Server`."""
        now = system_clock().replace(microsecond=0)
        make = {"cc": self._by_key, "vp": self._by_presentation, "chain": self._by_chain}[kind]
        return [request(self.port, {"resource": RESOURCE, **make(now)}) for _ in range(count)]

    def fill(self, tokens: int) -> None:
        """Put so many live tokens into the database, each made from an agent and a credential, its assertion spent."""
        expires = numeric_date(system_clock()) + 3_600
        with closing(sqlite3.connect(self.database, timeout=60)) as connection, connection:
            names = [f"filler-{number}" for number in range(tokens)]
            connection.executemany(
                "INSERT INTO bridge_tokens (id, expires) VALUES (?, ?)", ((n, expires) for n in names)
            )
            connection.executemany(
                "INSERT INTO bridge_token_dependencies (token_id, depends_on) VALUES (?, ?)",
                ((n, f"{made_from}-{n}") for n in names for made_from in ("agent", "credential")),
            )
            connection.executemany(
                "INSERT INTO bridge_single_use (purpose, key, expires) VALUES ('client_assertion', ?, ?)",
                ((n, expires) for n in names),
            )

    def _by_key(self, now: datetime) -> dict[str, str]:
        assertion = make_client_assertion(self.keys[0], audience=self.url, now=now)
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": assertion,
        }

    def _by_presentation(self, now: datetime) -> dict[str, str]:
        return self._shown([self.root], self.keys[0], now)

    def _by_chain(self, now: datetime) -> dict[str, str]:
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
        return self._shown(documents, self.keys[-1], now)

    def _shown(self, documents: Sequence[Mapping[str, Any]], key: SigningKey, now: datetime) -> dict[str, str]:
        challenge = httpx2.post(f"{self.url}/challenge", trust_env=False).json()["c_nonce"]
        shown = present(documents, key=key, audience=self.url, challenge=challenge, now=now)
        return {"grant_type": EXCHANGE, "subject_token": json.dumps(shown), "subject_token_type": VP}


@dataclass(slots=True)
class Peer:
    """Another authorization server: one client that authenticates by `private_key_jwt`."""

    name: str
    port: int
    pids: Sequence[int]
    key: SigningKey

    def prepare(self, kind: str, count: int) -> list[bytes]:
        """See `Server`; `cc` is all they know."""
        if kind != "cc":
            raise ValueError(kind)
        return [request(self.port, self._form(number)) for number in range(count)]

    def _form(self, number: int) -> dict[str, str]:
        now = numeric_date(system_clock())
        claims = {
            "iss": "bench",
            "sub": "bench",
            "aud": f"http://127.0.0.1:{self.port}",
            "iat": now,
            "exp": now + 60,
            "jti": f"{time.time_ns()}-{number}",
        }
        assertion = sign_jwt(claims, typ="JWT", key=self.key)
        form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "scope": "tool:list_menu"}
        return {**form, "client_id": "bench", "client_assertion": assertion, "resource": RESOURCE}


@contextmanager
def bridge(*, database: str | None = None) -> Iterator[Bridge]:
    """Run issuer, ledger and bridge, with three enrolled agents, the first of which holds a credential."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, ports = Path(name), {party: _free_port() for party in ("bridge", "issuer", "ledger")}
        places = {party: f"http://127.0.0.1:{port}" for party, port in ports.items()}
        environment = {
            **os.environ,
            "DID_AGENT_DATA": name,
            **{f"DID_AGENT_{party.upper()}_URL": url for party, url in places.items()},
        }

        def run(*words: str) -> None:
            subprocess.run([*COMMAND, *words], env=environment, check=True, capture_output=True, text=True, timeout=60)

        run("init")
        stack.enter_context(_process([*COMMAND, "issuer"], environment, core=None))
        stack.enter_context(_process([*COMMAND, "ledger"], environment, core=None))
        own = environment if database is None else {**environment, "DID_AGENT_DATABASE_URL": database}
        started = stack.enter_context(_process([sys.executable, "-m", "bridge"], own, core=CORE))
        for url in places.values():
            _until_ready(f"{url}/readyz")
        run("resource", "add", RESOURCE, "--name", "Tools", "--tool", "list_menu=See the menu")
        for agent in AGENTS:
            run("agent", "create", agent, "--sponsor", "Benchmark")
        run("cred", "issue", AGENTS[0], "--resource", RESOURCE, "--tool", "list_menu", "--max-depth", "3")
        wallet = Wallet(folder / "wallet")
        held = next(one for one in wallet.credentials(AGENTS[0]) if "AgentCapabilityCredential" in one["type"])
        yield Bridge(
            port=ports["bridge"],
            pids=[started],
            keys=[wallet.key(agent) for agent in AGENTS],
            root=held,
            database=folder / "bridge.db",
        )


@contextmanager
def oidc_provider() -> Iterator[Peer]:
    """Run node oidc-provider.

    Raises: NotInstallableError.
    """
    folder, node = node_server("oidc_provider", "oidc-provider")
    port, key = _free_port(), SigningKey.generate()
    with _process([node, "oidc_provider.mjs", _given(port, key)], dict(os.environ), core=CORE, folder=folder) as pid:
        _until_ready(f"http://127.0.0.1:{port}/.well-known/openid-configuration")
        yield Peer("oidc-provider", port, [pid], key)


@contextmanager
def authlib() -> Iterator[Peer]:
    """Run Authlib under Flask and gunicorn, one worker.

    Raises: NotInstallableError.
    """
    folder, python = python_server("authlib", "authlib", "flask", "gunicorn")
    port, key = _free_port(), SigningKey.generate()
    with tempfile.TemporaryDirectory() as name:
        given = _given(port, key, database=str(Path(name) / "used.db"))
        command = [python, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "-k", "gthread", "--threads", "1"]
        command += ["--keep-alive", "30", "--log-level", "error", "authlib_server:app"]
        with _process(command, {**os.environ, "BENCH_GIVEN": given}, core=CORE, folder=folder) as pid:
            _until_ready(f"http://127.0.0.1:{port}/none", also=404)
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            yield Peer("authlib", port, [pid, *map(int, children)], key)


PEERS: Final = (oidc_provider, authlib)


def _given(port: int, key: SigningKey, **more: str) -> str:
    jwk = {**public_jwk(key.public), "kid": "bench", "alg": "EdDSA", "use": "sig"}
    return json.dumps({"port": port, "client_id": "bench", "jwk": jwk, "resource": RESOURCE, **more})


@contextmanager
def _process(
    command: Sequence[str], environment: Mapping[str, str], *, core: int | None, folder: Path | None = None
) -> Iterator[int]:
    pinned = ["taskset", "-c", str(core), *command] if core is not None else list(command)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(pinned, env=dict(environment), cwd=folder, stdout=log, stderr=log)
        try:
            yield process.pid
        finally:
            if process.poll() is not None:
                log.seek(0)
                sys.stderr.write(log.read().decode(errors="replace")[-2_000:])
            else:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=20)


def _until_ready(url: str, *, also: int = 200) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx2.get(url, trust_env=False, timeout=2).status_code in (200, also):
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.05)
    raise NotInstallableError(f"{url} does not answer")


def _free_port() -> int:
    """Return a port below those that outgoing connections get, or one of them could take it meanwhile."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
