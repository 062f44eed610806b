"""`did-agent operator …`: who administers the agents of an organisation."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from did_agent.adapters.keystore import load_or_create_key
from did_agent.cli.deployment import OPERATOR, Deployment
from did_agent.cli.output import emit, json_option, table
from did_agent.client.operators import OperatorsClient
from did_agent.did.key import did_key


@click.group()
def operator() -> None:
    """Let others operate an organisation of this deployment, each with a key and a role of their own."""


@operator.command()
@json_option
@click.pass_obj
def key(at: Deployment, as_json: bool) -> None:
    """Print the DID of this machine's operator key, made if there is none; give it to who adds operators."""
    did = did_key(load_or_create_key(at.data / "keys" / f"{OPERATOR}.jwk").public)
    emit({"did": did}, as_json=as_json, text=did)


@operator.command()
@click.argument("did")
@click.option("--org", "organisation", required=True, help="Short name of the organisation: a-z 0-9 -.")
@click.option("--role", type=click.Choice(["admin", "manager", "auditor", "sponsor"]), required=True)
@click.option("--name", required=True, help="What the record calls them.")
@json_option
@click.pass_obj
def add(at: Deployment, did: str, organisation: str, role: str, name: str, as_json: bool) -> None:
    """Let the holder of DID operate an organisation, or change what they may."""
    put = asyncio.run(_client(at).put(did, name=name, organisation=organisation, role=role))
    emit(put, as_json=as_json, text=f"{name} is {role} of {organisation}")


@operator.command("list")
@json_option
@click.pass_obj
def list_operators(at: Deployment, as_json: bool) -> None:
    """List who operates organisations: holders of keys, and people who sign in."""
    found, people = asyncio.run(_everybody(_client(at)))
    rows = [*found, *({**one, "role": " ".join(one["operates"]), "did": one["username"]} for one in people)]
    shown = table(rows, ("organisation", "role", "name", "did"))
    emit({"operators": found, "people": people}, as_json=as_json, text=shown)


@operator.command()
@click.argument("did")
@json_option
@click.pass_obj
def remove(at: Deployment, did: str, as_json: bool) -> None:
    """Take an operator's role away; the tokens it holds end."""
    asyncio.run(_client(at).remove(did))
    emit({"did": did, "removed": True}, as_json=as_json, text="removed; its tokens have ended")


async def _everybody(client: OperatorsClient) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return await client.operators(), [one for one in await client.people() if one["operates"]]


def _client(at: Deployment) -> OperatorsClient:
    return OperatorsClient(at.urls.bridge_url, auth=at.operator_auth(at.urls.bridge_url))
