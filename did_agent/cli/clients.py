"""`did-agent client …` and `did-agent subject …`: programs that are no agents, and the end of what somebody holds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import click

from did_agent.cli.agents import find_agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, table
from did_agent.client.clients import ClientsClient
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import NotFound

METHODS: Final = ("none", "private_key_jwt", "client_secret_basic", "client_secret_post")


@click.group()
def client() -> None:
    """Register programs that act for people without being agents; agents need no registration here."""


@client.command()
@click.argument("client_id")
@click.option("--name", required=True, help="What people see at consent.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where answers go; repeatable.")
@click.option("--auth", "method", type=click.Choice(METHODS), default="none", show_default=True)
@click.option(
    "--jwks",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with its public keys, for private_key_jwt.",
)
@click.option("--agent", help="The agent behind it, by name, id or DID.")
@click.option("--resource", "resources", multiple=True, help="It may ask for these alone; repeatable.")
@click.option("--require-pushed", is_flag=True, help="Its requests must come by /par.")
@json_option
@click.pass_obj
def add(at: Deployment, /, client_id: str, *, method: str, as_json: bool, **options: Any) -> None:
    """Register a client, or replace it; a secret is shown once."""
    answer = asyncio.run(_add(at, client_id, method, options))
    secret = answer.get("client_secret")
    shown = f"{answer['client_id']} is registered" + (f"; its secret, shown once: {secret}" if secret else "")
    emit(answer, as_json=as_json, text=shown)


@client.command("list")
@json_option
@click.pass_obj
def list_clients(at: Deployment, as_json: bool) -> None:
    """List registered clients."""
    found = asyncio.run(_client(at).clients())
    emit({"clients": found}, as_json=as_json, text=table(found, ("client_id", "name", "auth_method", "agent")))


@client.command()
@click.argument("client_id")
@json_option
@click.pass_obj
def show(at: Deployment, client_id: str, as_json: bool) -> None:
    """Show one registered client."""
    found = next((one for one in asyncio.run(_client(at).clients()) if one["client_id"] == client_id), None)
    if found is None:
        raise NotFound(f"no client {client_id} is registered; `did-agent client list` shows who is")
    emit(found, as_json=as_json, text="\n".join(f"{name}: {value}" for name, value in found.items() if value))


@client.command()
@click.argument("client_id")
@json_option
@click.pass_obj
def remove(at: Deployment, client_id: str, as_json: bool) -> None:
    """Remove a client; its tokens end."""
    asyncio.run(_client(at).delete(client_id))
    emit({"client_id": client_id, "removed": True}, as_json=as_json, text=f"{client_id} is removed; its tokens ended")


@click.group()
def subject() -> None:
    """End everything that a user or an agent holds."""


@subject.command()
@click.argument("name")
@json_option
@click.pass_obj
def revoke(at: Deployment, name: str, as_json: bool) -> None:
    """End all tokens, sessions and refresh tokens of NAME: a username, or the DID of an agent."""
    asyncio.run(_client(at).revoke_subject(name))
    emit({"subject": name, "revoked": True}, as_json=as_json, text=f"everything {name} held has ended")


async def _add(at: Deployment, client_id: str, method: str, options: dict[str, Any]) -> dict[str, Any]:
    body = {"name": options["name"], "auth_method": method, "redirect_uris": list(options["redirect_uris"])}
    body |= {"resources": list(options["resources"]), "require_pushed": options["require_pushed"]}
    if (options["jwks"] is not None) != (method == "private_key_jwt"):
        raise click.UsageError("--jwks belongs to --auth private_key_jwt")
    if options["jwks"] is not None:
        body["keys"] = _keys(options["jwks"])
    if options["agent"] is not None:
        body["agent"] = (await find_agent(at, options["agent"]))["did"]
    return await _client(at).put(client_id, body)


def _keys(path: Path) -> list[object]:
    members = parse_object(path.read_bytes())
    keys = members.get("keys", [members])  # a JWK Set, or one JWK
    if not isinstance(keys, list):
        raise click.UsageError(f"{path} holds neither a JWK nor a JWK Set: {json.dumps(members)[:60]}")
    return keys


def _client(at: Deployment) -> ClientsClient:
    return ClientsClient(at.urls.bridge_url, auth=at.operator_auth(at.urls.bridge_url))
