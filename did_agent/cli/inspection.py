"""`did-agent verify` and `did-agent token …`: look into credentials, presentations and tokens, offline."""

from __future__ import annotations

import asyncio
import json
from typing import IO, Any

import click

from did_agent.agent import Agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option
from did_agent.clock import format_timestamp, system_clock
from did_agent.credential.chain import DEFAULT_MAX_DEPTH, verify_chain
from did_agent.credential.model import parse_capability_credential
from did_agent.credential.trust import TrustedIssuers
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import InvalidParameter
from did_agent.presentation.model import Expected
from did_agent.presentation.verify import ask
from did_agent.proof.data_integrity import verify_proof
from did_agent.proof.jwt import unverified_jws

MAX_FILE = 262_144  # bytes


@click.command("verify")
@click.argument("file", type=click.File("rb"))
@click.option("--audience", help="For a presentation: whom it must be addressed to.")
@json_option
@click.pass_obj
def verify_file(at: Deployment, file: IO[bytes], audience: str | None, as_json: bool) -> None:
    """Check a credential or presentation offline: proofs, chain, times and trust, not revocation."""
    raw = file.read(MAX_FILE + 1).strip()
    trusted = TrustedIssuers.of(*at.trust.issuers)
    if not raw.startswith(b"{"):
        found = _presentation(raw.decode("ascii", "replace"), audience, trusted)
    else:
        document = parse_object(raw)
        types = document.get("type")
        shown = isinstance(types, list) and "VerifiablePresentation" in types
        found = _presentation(raw.decode(), audience, trusted) if shown else _credential(document, trusted)
    lines = [f"{key + ':':12}{value}" for key, value in found.items()]
    emit(found, as_json=as_json, text="\n".join(["verified (revocation was not looked up)", *lines]))


def _credential(document: dict[str, Any], trusted: TrustedIssuers) -> dict[str, object]:
    held = parse_capability_credential(document)
    now = system_clock()
    if held.parent_id is None:
        verify_chain([document], holder=held.subject, now=now, trusted=trusted, max_depth=DEFAULT_MAX_DEPTH)
    else:
        # A child alone proves who signed it; whether that agent had it to give needs the chain, in a presentation.
        verify_proof(document, expected_purpose="assertionMethod", now=now)
    until = format_timestamp(held.valid_until)
    return {"credential": held.id, "issuer": held.issuer, "subject": held.subject, "until": until}


def _presentation(raw: str, audience: str | None, trusted: TrustedIssuers) -> dict[str, object]:
    if audience is None:
        raise InvalidParameter("a presentation is addressed to somebody: say --audience")
    expected = Expected(
        audience=frozenset({audience}),
        now=system_clock(),
        trusted=trusted,
        max_depth=DEFAULT_MAX_DEPTH,
        challenge="jti",
    )
    asked = ask(raw, expected)
    chain = asked.chain
    return {"holder": asked.holder, "credentials": list(chain.credential_ids) if chain else []}


@click.group()
def token() -> None:
    """Get access tokens as an agent of this machine, and look into them."""


@token.command()
@click.argument("agent")
@click.option("--resource", required=True, help="Exact identifier of the MCP server.")
@click.option("--scope", help="Scopes, separated by spaces; all the agent may have if left out.")
@json_option
@click.pass_obj
def get(at: Deployment, agent: str, resource: str, scope: str | None, as_json: bool) -> None:
    """Present the agent's credential to the bridge and print the access token."""
    held = Agent.load(agent, path=at.data / "wallet")
    text = asyncio.run(held.token(at.urls.bridge_url, resource, scope=scope))
    emit({"access_token": text, "resource": resource}, as_json=as_json, text=text)


@token.command()
@click.argument("file", type=click.File("r"))
@json_option
def inspect(file: IO[str], as_json: bool) -> None:
    """Show what a token says; reads a file or - for standard input.  Nothing is verified."""
    jws, claims = unverified_jws(file.read(MAX_FILE).strip())
    found = {"header": jws.header, "claims": claims}
    emit(found, as_json=as_json, text="not verified:\n" + json.dumps(found, indent=2))
