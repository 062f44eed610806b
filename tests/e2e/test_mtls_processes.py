"""The bridge as a process with TLS: alone at an https URL, and in `did-agent up` beside its plain one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from processes import COMMAND, START_SECONDS, Up, free_base

from did_agent.cli.deployment import initialise
from tests.fakes.certificates import Made, certificate, server_certificate

METADATA = "/.well-known/oauth-authorization-server"


def get(url: str, server: Made, own: Made) -> httpx2.Response:
    """Ask with a client certificate, until somebody answers."""
    deadline = time.monotonic() + START_SECONDS
    with httpx2.Client(verify=own.client(server).context(), trust_env=False) as http:
        while True:
            try:
                return http.get(url)
            except httpx2.ConnectError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


@contextmanager
def running(*command: str, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [*COMMAND, *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        yield
    finally:
        process.terminate()
        _, said = process.communicate(timeout=20)
        assert "Traceback" not in said, said


def test_the_bridge_alone_speaks_tls_at_an_https_url(tmp_path: Path) -> None:
    server, own = server_certificate(tmp_path), certificate(tmp_path, "own")
    up = Up(tmp_path / ".did-agent")
    url = f"https://127.0.0.1:{up.base}"
    said = {
        "DID_AGENT_BRIDGE_URL": url,
        "DID_AGENT_TLS_CERT": str(server.pem),
        "DID_AGENT_TLS_KEY": str(server.key_file),
    }
    initialise(up.data)
    with running("bridge", environment={**up.environment, **said}):
        answer = get(url + METADATA, server, own)
        assert (answer.json()["issuer"], answer.json()["tls_client_certificate_bound_access_tokens"]) == (url, True)


def test_a_deployment_asks_for_certificates_at_a_second_address(tmp_path: Path) -> None:
    server, own, base = server_certificate(tmp_path), certificate(tmp_path, "own"), free_base()
    second = f"https://127.0.0.1:{base + 4}"
    up = _Secured(tmp_path / ".did-agent", base=base, server=server, second=second)
    up.start()
    try:
        aliases = get(second + METADATA, server, own).json()["mtls_endpoint_aliases"]
        assert aliases["token_endpoint"] == f"{second}/token"
        assert httpx2.get(up.url("bridge") + "/livez", trust_env=False).status_code == 200
    finally:
        up.stop()


@dataclass
class _Secured(Up):
    server: Any = None
    second: str = ""

    @property
    def environment(self) -> dict[str, str]:
        tls = {"DID_AGENT_TLS_CERT": str(self.server.pem), "DID_AGENT_TLS_KEY": str(self.server.key_file)}
        return {**super().environment, **tls, "DID_AGENT_MTLS_URL": self.second}
