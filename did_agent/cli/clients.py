"""`did-agent client …` and `did-agent subject …`: programs that are no agents, and the end of what somebody holds."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, Final

import click

from did_agent.cli.agents import find_agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, table
from did_agent.client.clients import ClientsClient
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import Malformed, NotFound

METHODS: Final = (
    "none",
    "private_key_jwt",
    "client_secret_basic",
    "client_secret_post",
    "tls_client_auth",
    "self_signed_tls_client_auth",
)
# Which option proves a client of which method; each belongs to its own alone.
_PROOFS: Final = {
    "jwks": "private_key_jwt",
    "certificate": "self_signed_tls_client_auth",
    "certificate_name": "tls_client_auth",
}
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def client() -> None:
    """Register programs that act for people without being agents; agents need no registration here."""


@client.command()
@click.argument("client_id")
@click.option("--name", required=True, help="What people see at consent.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where answers go; repeatable.")
@click.option("--auth", "method", type=click.Choice(METHODS), default="none", show_default=True)
@click.option("--jwks", type=_FILE, help="File with its public keys, for private_key_jwt.")
@click.option("--certificate", type=_FILE, help="PEM file with its certificate, for self_signed_tls_client_auth.")
@click.option("--certificate-name", help="Name in its certificate, such as san_dns=erp.example, for tls_client_auth.")
@click.option("--agent", help="The agent behind it, by name, id or DID.")
@click.option("--resource", "resources", multiple=True, help="It may ask for these alone; repeatable.")
@click.option("--require-pushed", is_flag=True, help="Its requests must come by /par.")
@click.option("--operates", is_flag=True, help="People with a role operate the deployment through it.")
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
    for option, proves in _PROOFS.items():
        if (options[option] is not None) != (method == proves):
            raise click.UsageError(f"--{option.replace('_', '-')} belongs to --auth {proves}")
    if method == "none" and not options["redirect_uris"]:
        raise click.UsageError("a public client is answered by redirect alone: say --redirect-uri")
    body = {"name": options["name"], "auth_method": method, "redirect_uris": list(options["redirect_uris"])}
    body |= {"resources": list(options["resources"]), "require_pushed": options["require_pushed"]}
    body |= {"operates": options["operates"]}
    body |= _proof(**{option: options[option] for option in _PROOFS})
    if options["agent"] is not None:
        body["agent"] = (await find_agent(at, options["agent"]))["did"]
    return await _client(at).put(client_id, body)


def _proof(jwks: Path | None, certificate: Path | None, certificate_name: str | None) -> dict[str, Any]:
    if jwks is not None:
        return {"keys": _keys(jwks)}
    if certificate is not None:
        return {"keys": [{"x5c": [_der(certificate)]}]}
    if certificate_name is not None:
        kind, _, value = certificate_name.partition("=")
        return {"certificate_name": {kind: value}}
    return {}


def _keys(path: Path) -> list[object]:
    try:
        members = parse_object(path.read_bytes())
    except Malformed as error:
        raise click.UsageError(f"{path} holds no JSON object: {error.detail or error.public}") from error
    keys = members.get("keys", [members])  # a JWK Set, or one JWK
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise click.UsageError(f"{path} holds neither a JWK nor a JWK Set")
    if any("d" in key or "k" in key for key in keys):
        raise click.UsageError(f"{path} holds a private key, which stays with the client: give its public part")
    return keys


def _der(path: Path) -> str:
    found = _PEM.findall(path.read_bytes())
    if len(found) != 1:
        raise click.UsageError(f"{path} holds {len(found)} certificates in PEM, not one")
    return b"".join(found[0].split()).decode("ascii")


def _client(at: Deployment) -> ClientsClient:
    return ClientsClient(at.urls.bridge_url, auth=at.operator_auth(at.urls.bridge_url))
