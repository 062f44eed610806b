"""`did-agent verify` and `did-agent token …`: look into credentials, presentations and tokens, offline."""

from __future__ import annotations

import asyncio
import json
from typing import IO, Any

import click

from did_agent.agent import Agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, grid, json_option
from did_agent.clock import format_timestamp, system_clock
from did_agent.credential.chain import DEFAULT_MAX_DEPTH, verify_chain
from did_agent.credential.model import IDENTITY_TYPE, parse_capability_credential, parse_identity_credential
from did_agent.credential.trust import TrustedIssuers
from did_agent.encoding.strict_json import parse_json
from did_agent.errors import BadCredential, BadJOSE, WrongIssuer
from did_agent.presentation.model import Expected
from did_agent.presentation.verify import ask
from did_agent.proof.data_integrity import verify_proof
from did_agent.proof.jwt import unverified_jws

MAX_FILE = 262_144  # bytes
_DOTS = 2  # of a compact JWS


@click.command("verify")
@click.argument("file", type=click.File("rb"))
@click.option("--audience", help="For a presentation: whom it must be addressed to.")
@json_option
@click.pass_obj
def verify_file(at: Deployment, file: IO[bytes], audience: str | None, as_json: bool) -> None:
    """Check a credential, a list of delegated ones, or a presentation offline: all but revocation."""
    raw = file.read(MAX_FILE + 1).strip()
    trusted = TrustedIssuers.of(*at.trust.issuers)
    if raw[:1] not in (b"{", b"["):
        found = _presentation(_ascii(raw), audience, trusted)
    else:
        content = parse_json(raw)
        documents: list[Any] = content if isinstance(content, list) else [content]
        if not documents or not all(isinstance(one, dict) for one in documents):
            raise BadCredential("a list must hold credentials")
        found = _documents(documents, raw, audience, trusted)
    lines = grid([(f"{key}:", _line(value)) for key, value in found.items()])
    emit(found, as_json=as_json, text=f"verified (revocation was not looked up)\n{lines}")


def _documents(
    documents: list[dict[str, Any]], raw: bytes, audience: str | None, trusted: TrustedIssuers
) -> dict[str, object]:
    types = documents[0].get("type")
    if isinstance(types, list) and "VerifiablePresentation" in types:
        return _presentation(raw.decode(), audience, trusted)
    return (
        _identity(documents[0], trusted)
        if types == IDENTITY_TYPE and len(documents) == 1
        else _chain(documents, trusted)
    )


def _chain(documents: list[dict[str, Any]], trusted: TrustedIssuers) -> dict[str, object]:
    # One delegated credential alone proves only who signed it, so it is a chain without its root: refused.
    leaf = parse_capability_credential(documents[0])
    now = system_clock()
    chain = verify_chain(documents, holder=leaf.subject, now=now, trusted=trusted, max_depth=DEFAULT_MAX_DEPTH)
    until = format_timestamp(chain.valid_until)
    found: dict[str, object] = {"credential": leaf.id, "issuer": leaf.issuer, "subject": leaf.subject, "until": until}
    return (
        found if len(documents) == 1 else {**found, "principal": chain.principal, "chain": list(chain.credential_ids)}
    )


def _identity(document: dict[str, Any], trusted: TrustedIssuers) -> dict[str, object]:
    held, now = parse_identity_credential(document), system_clock()
    verified = verify_proof(document, expected_purpose="assertionMethod", now=now)
    if verified.controller != held.issuer or verified.document["@context"] != document["@context"]:
        raise WrongIssuer(f"{held.id} of {held.issuer} is not what {verified.controller} signed")
    trusted.require(held.issuer)
    held.period.require_current(now, f"credential {held.id}")
    until = format_timestamp(held.period.end)
    named = {"name": held.name, "sponsor": held.sponsor}
    return {"credential": held.id, "issuer": held.issuer, "subject": held.subject, "until": until, **named}


def _presentation(raw: str, audience: str | None, trusted: TrustedIssuers) -> dict[str, object]:
    if audience is None:
        raise click.UsageError("a presentation is addressed to somebody: say --audience")
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


def _ascii(raw: bytes) -> str:
    if not raw.isascii() or raw.count(b".") != _DOTS:
        raise BadJOSE("neither JSON nor a signed token")
    return raw.decode("ascii")


def _line(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


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
    held = Agent.load(agent, path=at.wallet.path)
    text = asyncio.run(held.token(at.urls.bridge_url, resource, scope=scope))
    emit({"access_token": text, "resource": resource}, as_json=as_json, text=text)


@token.command()
@click.argument("file", type=click.File("rb"))
@json_option
def inspect(file: IO[bytes], as_json: bool) -> None:
    """Show what a token says; reads a file or - for standard input.  Nothing is verified."""
    jws, claims = unverified_jws(_ascii(file.read(MAX_FILE).strip()))
    found = {"header": jws.header, "claims": claims}
    emit(found, as_json=as_json, text="not verified:\n" + json.dumps(found, indent=2))
