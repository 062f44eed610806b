"""`did-agent delegation …`: hand rights on so that they can be taken back, and see who handed what to whom."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import click

from did_agent.agent import Agent
from did_agent.cli.agents import find_agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, table
from did_agent.client.delegations import DelegationsClient

COLUMNS: Final = ("id", "delegator", "subject", "depth", "valid_until", "revoked", "parent")


@click.group()
def delegation() -> None:
    """Hand rights on between agents, with a status that the issuer keeps."""


@delegation.command()
@click.argument("giver")
@click.argument("taker")
@click.option("--resource", required=True, help="Exact identifier of the MCP server.")
@click.option("--tool", "tools", multiple=True, required=True, help="A tool to hand on; repeat for more.")
@click.option("--valid", "valid_seconds", default=3_600, show_default=True, help="Seconds it is valid.")
@json_option
@click.pass_obj
def create(
    at: Deployment,
    /,
    giver: str,
    taker: str,
    *,
    resource: str,
    tools: tuple[str, ...],
    valid_seconds: int,
    as_json: bool,
) -> None:
    """Let GIVER, an agent of the wallet here, hand tools on to TAKER; kept in TAKER's wallet if that is here too."""
    child = asyncio.run(_create(at, giver, taker, resource, tools, valid_seconds))
    emit(child, as_json=as_json, text=f"{giver} delegates to {taker} by {child['id']} until {child['validUntil']}")


async def _create(
    at: Deployment, giver: str, taker: str, resource: str, tools: tuple[str, ...], valid_seconds: int
) -> dict[str, Any]:
    path, found = at.wallet.path, await find_agent(at, taker)
    chain = await Agent.load(giver, path=path).delegate_revocably(
        found["did"],
        issuer=at.urls.issuer_url,
        resource=resource,
        tools={tool: {} for tool in tools},
        valid_seconds=valid_seconds,
    )
    if found["name"] in at.wallet.names():
        Agent.load(found["name"], path=path).add_credential(chain)
    return dict(chain[0])


@delegation.command("list")
@click.option("--agent", help="Only what this agent handed on, by name, id or DID.")
@click.option("--to", help="Only what was handed on to this agent, by name, id or DID.")
@click.option("--parent", help="Only what was made from the credential of this id.")
@json_option
@click.pass_obj
def list_delegations(at: Deployment, agent: str | None, to: str | None, parent: str | None, as_json: bool) -> None:
    """List delegations and what each was made from."""
    found = asyncio.run(_list(at, agent, to, parent))
    emit({"delegations": found}, as_json=as_json, text=table(found, COLUMNS))


async def _list(at: Deployment, agent: str | None, to: str | None, parent: str | None) -> list[dict[str, Any]]:
    ids = [None if name is None else str((await find_agent(at, name))["agent_id"]) for name in (agent, to)]
    return [one async for one in _client(at).all(agent=ids[0], to=ids[1], parent=parent)]


@delegation.command()
@click.argument("identifier")
@click.option("--agent", help="Revoke it as this agent of the wallet here, which made it, and not as operator.")
@click.option("--reason", required=True, help="Why; kept in the audit log.")
@json_option
@click.pass_obj
def revoke(at: Deployment, identifier: str, agent: str | None, reason: str, as_json: bool) -> None:
    """Revoke a delegation, everything made from it, and every token made from those."""
    if agent is None:
        asyncio.run(_client(at).revoke(identifier, reason=reason))
    else:
        own = Agent.load(agent, path=at.wallet.path)
        asyncio.run(own.revoke_delegation(at.urls.issuer_url, identifier, reason=reason))
    emit({"id": identifier, "state": "revoked"}, as_json=as_json, text=f"revoked {identifier} and all made from it")


def _client(at: Deployment) -> DelegationsClient:
    return DelegationsClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))
