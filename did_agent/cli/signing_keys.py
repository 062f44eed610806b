"""`did-agent signing-key …`: the keys that the bridge signs tokens with."""

from __future__ import annotations

import asyncio

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, table
from did_agent.client.signing_keys import SigningKeysClient


@click.group("signing-key")
def signing_key() -> None:
    """Rotate and revoke the keys that the bridge signs tokens with."""


@signing_key.command("list")
@json_option
@click.pass_obj
def list_keys(at: Deployment, as_json: bool) -> None:
    """List keys with their states: pending, active, retiring, retired, revoked."""
    found = asyncio.run(_client(at).keys())
    columns = ("kid", "algorithm", "state", "provider", "activates", "replaced")
    emit({"signing_keys": found}, as_json=as_json, text=table(found, columns))


@signing_key.command()
@click.option("--algorithm", type=click.Choice(("EdDSA", "ES256", "RS256")), default="EdDSA", show_default=True)
@click.option("--reason", default="routine rotation", show_default=True, help="Kept in the audit log.")
@json_option
@click.pass_obj
def rotate(at: Deployment, algorithm: str, reason: str, as_json: bool) -> None:
    """Publish a successor, which signs once every resource can know it."""
    made = asyncio.run(_client(at).rotate(algorithm, reason=reason))
    emit(made, as_json=as_json, text=f"{made['kid']} is published and signs from {made['activates']}")


@signing_key.command()
@click.option("--kid", required=True, help="As `list` shows it; an option, because it may begin with a dash.")
@click.option("--reason", required=True, help="Kept in the audit log.")
@json_option
@click.pass_obj
def revoke(at: Deployment, kid: str, reason: str, as_json: bool) -> None:
    """End a key at once, with every token it signed."""
    asyncio.run(_client(at).revoke(kid, reason=reason))
    emit({"kid": kid, "state": "revoked"}, as_json=as_json, text=f"{kid} is revoked; its tokens have ended")


def _client(at: Deployment) -> SigningKeysClient:
    return SigningKeysClient(at.urls.bridge_url, auth=at.operator_auth(at.urls.bridge_url))
