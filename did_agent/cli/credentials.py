"""`did-agent cred …`: grant, list, revoke and check capability credentials."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal

import click

from did_agent.agent import Agent
from did_agent.cli.agents import find_agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.granting import grants
from did_agent.cli.inspection import verify_file
from did_agent.cli.limits import limit_options, read_limits
from did_agent.cli.output import emit, json_option, table
from did_agent.cli.registry import take
from did_agent.client.grants import GrantsClient
from did_agent.errors import NotFound

_ALL: Final = 100_000  # credentials of one agent, more than it can hold
COLUMNS: Final = ("id", "agent", "state", "valid_until", "tools")


@click.group()
def cred() -> None:
    """Issue, list and revoke capability credentials."""


@cred.command()
@click.argument("agent")
@click.option(
    "--resource", required=True, help="Exact identifier of the MCP server, such as http://127.0.0.1:8405/mcp."
)
@click.option("--tool", "tools", multiple=True, required=True, help="A tool the agent may call; repeat for more.")
@click.option(
    "--valid", "valid_seconds", type=int, help="Seconds it is valid; without it, as long as the organisation allows."
)
@click.option("--max-depth", default=1, show_default=True, help="How often it may be handed on.")
@limit_options
@click.option(
    "--suite",
    type=click.Choice(["eddsa-jcs-2022", "eddsa-rdfc-2022"]),
    default="eddsa-jcs-2022",
    show_default=True,
    help="Cryptosuite of the proof; rdfc for readers that know JSON-LD alone.",
)
@json_option
@click.pass_obj
def issue(  # noqa: PLR0917  # options of one command
    at: Deployment,
    /,
    agent: str,
    resource: str,
    tools: tuple[str, ...],
    valid_seconds: int | None,
    max_depth: int,
    suite: str,
    as_json: bool,
    **limits: Any,
) -> None:
    """Grant tools at a resource to an agent; kept in the wallet if its key is here."""
    capability = {"resource": [resource], "tools": {tool: {} for tool in tools}, **read_limits(limits)}
    options = {"valid_seconds": valid_seconds, "max_depth": max_depth, "cryptosuite": suite}
    issued = asyncio.run(_issue(at, agent, capability, options))
    emit(issued, as_json=as_json, text=f"issued {issued['id']} until {issued['validUntil']}")


async def _issue(at: Deployment, name: str, capability: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    found = await find_agent(at, name)
    answer = await at.issuer.issue_credential(found["agent_id"], capabilities=[capability], **options)
    wallet = at.wallet
    if found["name"] in wallet.names():
        Agent.load(found["name"], path=wallet.path).add_credential(answer["credential"])
    issued: dict[str, Any] = answer["credential"]
    return issued


@cred.command("list")
@click.option("--agent", help="Only this agent's, by name, id or DID.")
@click.option("--state", type=click.Choice(["active", "suspended", "revoked", "expired"]))
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1_000), help="Credentials to show.")
@json_option
@click.pass_obj
def list_credentials(at: Deployment, agent: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List credentials, newest first."""
    found = asyncio.run(_list(at, agent, state, limit))
    shown = [{**row, "tools": _tools(row["credential"])} for row in found]
    emit({"credentials": found}, as_json=as_json, text=table(shown, COLUMNS))


async def _list(at: Deployment, name: str | None, state: str | None, limit: int) -> list[dict[str, Any]]:
    agent = None if name is None else (await find_agent(at, name))["agent_id"]
    client = GrantsClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))
    return await take(client.credentials(agent=agent, state=state), limit)


@cred.command()
@click.argument("identifier", required=False)
@click.option("--agent", help="Revoke every active credential of this agent instead.")
@click.option("--reason", required=True, help="Why; kept in the audit log.")
@json_option
@click.pass_obj
def revoke(at: Deployment, identifier: str | None, agent: str | None, reason: str, as_json: bool) -> None:
    """Revoke a credential, and with it every token made from it."""
    if (identifier is None) == (agent is None):
        raise click.UsageError("name one credential, or --agent")
    done = asyncio.run(_revoke(at, identifier, agent, reason))
    words = [
        f"revoked {row['id']}; " + ("verifiers have heard" if row["propagated"] else "the bridge will be told")
        for row in done
    ]
    emit({"revoked": done}, as_json=as_json, text="\n".join(words))


async def _revoke(at: Deployment, identifier: str | None, name: str | None, reason: str) -> list[dict[str, Any]]:
    ids = [identifier] if identifier is not None else [row["id"] for row in await _list(at, name, "active", _ALL)]
    if not ids:
        raise NotFound(f"{name} has no active credential")
    return [await at.issuer.revoke_credential(one, reason=reason) for one in ids]


def _pause(change: Literal["suspend", "resume"], words: str) -> None:
    @cred.command(change, help=words)
    @click.argument("identifier")
    @click.option("--reason", required=True, help="Why; kept in the audit log.")
    @json_option
    @click.pass_obj
    def command(at: Deployment, identifier: str, reason: str, as_json: bool) -> None:
        changed = asyncio.run(grants(at).change(identifier, change, reason=reason))
        heard = "verifiers have heard" if changed["propagated"] else "the bridge will be told"
        emit(changed, as_json=as_json, text=f"{changed['id']} is {changed['state']}; {heard}")


_pause("suspend", "Suspend a credential, and with it every token made from it.")
_pause("resume", "Take a suspension back.")


@cred.command()
@click.argument("agent")
@json_option
@click.pass_obj
def collect(at: Deployment, agent: str, as_json: bool) -> None:
    """Take what the roles of an agent of the wallet here give it, and keep it."""
    held = Agent.load(agent, path=at.wallet.path)
    made = asyncio.run(held.grants(at.urls.issuer_url).collect())
    for one in made:
        held.add_credential(one)
    shown = [{"id": one["id"], "valid_until": one["validUntil"], "tools": _tools(one)} for one in made]
    emit({"credentials": made}, as_json=as_json, text=table(shown, ("id", "valid_until", "tools")))


@cred.command()
@click.argument("agent")
@click.argument("identifier")
@click.option("--end-old", is_flag=True, help="Revoke the one before at once.")
@json_option
@click.pass_obj
def renew(at: Deployment, agent: str, identifier: str, end_old: bool, as_json: bool) -> None:
    """Renew a credential of an agent of the wallet here, in the last third of its life."""
    held = Agent.load(agent, path=at.wallet.path)
    made = asyncio.run(held.grants(at.urls.issuer_url).renew(identifier, end_old=end_old))
    held.add_credential(made)
    emit(made, as_json=as_json, text=f"renewed as {made['id']} until {made['validUntil']}")


cred.add_command(verify_file, "verify")


def _tools(document: dict[str, Any]) -> list[str]:
    return sorted({tool for entry in document["credentialSubject"]["capability"] for tool in entry["tools"]})
