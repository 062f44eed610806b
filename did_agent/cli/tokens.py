"""`did-agent token …`: get access tokens, look into them, ask the bridge about them, and end them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import IO, Any, Final

import click

from did_agent.agent import Agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.inspection import MAX_FILE, compact
from did_agent.cli.output import REFUSED, emit, grid, json_option
from did_agent.client.bridge import BridgeClient
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE
from did_agent.policy.decide import short_did
from did_agent.proof.jwt import unverified_jws

_INACTIVE: Final = (
    "not active: it ended, or expired, or is not for whoever asks; `did-agent token inspect` shows its end"
)


@click.group()
def token() -> None:
    """Get access tokens as an agent of this machine, look into them, and end them."""


@token.command()
@click.argument("agent")
@click.option("--resource", required=True, help="Exact identifier of the MCP server.")
@click.option("--scope", help="Scopes, separated by spaces; all the agent may have if left out.")
@click.option("--task", help="What it is for, in the agent's words; `did-agent task complete` ends it.")
@json_option
@click.pass_obj
def get(at: Deployment, /, agent: str, *, resource: str, scope: str | None, task: str | None, as_json: bool) -> None:
    """Present the agent's credential to the bridge and print the access token."""
    held = Agent.load(agent, path=at.wallet.path)
    text = asyncio.run(held.token(at.urls.bridge_url, resource, scope=scope, task=task))
    emit({"access_token": text, "resource": resource}, as_json=as_json, text=text)


@token.command()
@click.argument("file", type=click.File("rb"))
@json_option
def inspect(file: IO[bytes], as_json: bool) -> None:
    """Show what a token says; reads a file or - for standard input.  Nothing is verified."""
    jws, claims = unverified_jws(compact(file.read(MAX_FILE).strip()))
    found = {"header": dict(jws.header), "claims": claims}
    emit(found, as_json=as_json, text="not verified:\n" + json.dumps(found, indent=2))


@token.command()
@click.argument("file", type=click.File("rb"))
@click.option("--agent", help="Ask as this agent of the wallet here instead: about its own tokens, refresh tokens too.")
@json_option
@click.pass_obj
def introspect(at: Deployment, file: IO[bytes], agent: str | None, as_json: bool) -> None:
    """Ask the bridge, as operator, whether an access token stands; reads a file or - for standard input.

    Ends with 1 when it does not stand, or is none of the asking party's business.
    """
    text, key = _token_in(file), at.operator_key if agent is None else at.wallet.key(agent)
    answer = asyncio.run(BridgeClient(at.urls.bridge_url).introspect(key, text))
    stands = answer.get("active") is True
    emit(answer, as_json=as_json, text=_told(answer) if stands else _INACTIVE)
    if not stands:
        sys.exit(REFUSED)


@token.command()
@click.argument("agent")
@click.argument("file", type=click.File("rb"))
@json_option
@click.pass_obj
def revoke(at: Deployment, agent: str, file: IO[bytes], as_json: bool) -> None:
    """End a token that AGENT, of the wallet here, was given; reads a file or - for standard input.

    A refresh token takes along all that can come of it.  An operator ends what is not theirs by `cred revoke`,
    `agent suspend` or `subject revoke`.
    """
    key = at.wallet.key(agent)
    asyncio.run(BridgeClient(at.urls.bridge_url).revoke(key, _token_in(file)))
    emit({"agent": agent, "revoked": True}, as_json=as_json, text=f"if it was a token of {agent}, it has ended")


def _token_in(file: IO[bytes]) -> str:
    raw = file.read(MAX_FILE).strip()
    if raw.startswith(b"drt_") and raw.isascii():  # a refresh token is no JWT
        return raw.decode("ascii")
    return compact(raw)


def _told(answer: Mapping[str, Any]) -> str:
    rows = [("who:", answer.get("sub")), ("through:", " ◂ ".join(short_did(actor) for actor in _actors(answer)))]
    rows += [("client:", answer.get("client_id")), ("for:", answer.get("aud")), ("scope:", answer.get("scope"))]
    rows += [("shown as:", answer.get("token_type")), ("until:", _moment(answer.get("exp")))]
    return "\n".join(["active", grid([(name, str(value)) for name, value in rows if value])])


def _actors(answer: Mapping[str, Any]) -> list[str]:
    actors, act = [], answer.get("act")
    while isinstance(act, dict):
        actors.append(str(act.get("sub")))
        act = act.get("act")
    return actors


def _moment(seconds: object) -> str:
    if not isinstance(seconds, int):
        raise BadJOSE("the answer does not say when the token ends")
    return f"{from_numeric_date(seconds):%FT%TZ}"
