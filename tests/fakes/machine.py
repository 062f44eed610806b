"""A machine with an operator's data folder, a trusted issuer, and the command line run in process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from did_agent.adapters.keystore import load_key
from did_agent.cli.deployment import initialise
from did_agent.cli.main import cli
from did_agent.clock import system_clock
from did_agent.credential.capability import parse_bare_capability
from did_agent.credential.issuance import build_capability_credential, build_identity_credential, issue, new_id
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey

SERVER = "https://mcp.example/mcp"
TEN_MINUTES = timedelta(minutes=10)


def granted(
    issuer: SigningKey,
    subject: str,
    *,
    tools: Sequence[str] = ("update_stock", "list_menu"),
    start: datetime | None = None,
    resource: str = SERVER,
    identifier: str | None = None,
    max_depth: int = 2,
    limits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a root credential that `issuer` signed when it began."""
    capability: dict[str, Any] = {"resource": [resource], "tools": {tool: {} for tool in tools}}
    begins = start or system_clock()
    unsigned = build_capability_credential(
        id=identifier or new_id(),
        issuer=did_key(issuer.public),
        subject=subject,
        valid_from=begins,
        valid_until=begins + TEN_MINUTES,
        capabilities=[parse_bare_capability(capability if limits is None else {**capability, "limits": limits})],
        max_depth=max_depth,
    )
    return issue(unsigned, issuer, now=begins)


def identified(issuer: SigningKey, subject: str, *, start: datetime | None = None) -> dict[str, Any]:
    """Return an identity credential that `issuer` signed when it began."""
    begins = start or system_clock()
    unsigned = build_identity_credential(
        id=new_id(),
        issuer=did_key(issuer.public),
        subject=subject,
        agent_id=new_id(),
        name="stock-agent",
        sponsor="Operations",
        valid_from=begins,
        valid_until=begins + TEN_MINUTES,
    )
    return issue(unsigned, issuer, now=begins)


class Machine:
    """A data folder as `did-agent init` leaves it, and commands run against it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        initialise(self.data)
        self.issuer = load_key(self.data / "keys" / "issuer.jwk")

    def run(self, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> Result:
        """Run one command; what it printed and its exit code."""
        quiet = {"DID_AGENT_WALLET": None, "DID_AGENT_DATA": None, **(env or {})}
        return CliRunner().invoke(cli, ["--data", str(self.data), *arguments], input=stdin, env=quiet)

    def file(self, content: object, name: str = "shown") -> str:
        """Write text, bytes, or JSON to a file and return its path."""
        path = self.folder / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)


def refused(result: Result, code: int, *words: str) -> None:
    """Require a refusal: its exit code, its words on stderr, and no data."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr
    if code != 2:
        assert result.stderr.startswith("did-agent: ")
