"""`did-agent capability …`, `did-agent role …`, `did-agent request …`: what agents may be granted, and who says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import click

from did_agent.agent import Agent
from did_agent.cli.agents import find_agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.limits import limit_options, read_limits
from did_agent.cli.output import emit, json_option, table
from did_agent.client.grants import Decision, GrantsClient, Kind

_CAPABILITIES: Final = ("name", "version", "tools", "valid_seconds", "renewable_seconds", "needs_approval")
_ROLES: Final = ("name", "templates", "description")
_HOLDERS: Final = ("role", "kind", "target", "by", "created")
_REQUESTS: Final = ("id", "state", "wanted", "name", "agent_id", "by", "reason")

_resource = click.option("--resource", help="Exact identifier of the MCP server.")
_tools = click.option("--tool", "tools", multiple=True, help="A tool the agent may call there; repeat for more.")
_reason = click.option("--reason", required=True, help="Why; kept in the audit log.")


@click.group()
def capability() -> None:
    """Prepare, under a name, what agents are granted."""


@capability.command("put")
@click.argument("name")
@click.option("--resource", required=True, help="Exact identifier of the MCP server.")
@click.option("--tool", "tools", multiple=True, required=True, help="A tool the agent may call there; repeat for more.")
@click.option("--description", default="", help="What it is for.")
@click.option("--valid", "valid_seconds", default=86_400, show_default=True, help="Seconds a credential is valid.")
@click.option("--max-depth", default=1, show_default=True, help="How often it may be handed on.")
@click.option("--renewable", "renewable_seconds", default=0, show_default=True, help="Seconds it is renewable in all.")
@click.option("--needs-approval", is_flag=True, help="Nobody grants it alone.")
@click.option("--managers", is_flag=True, help="Managers may grant it too.")
@limit_options
@json_option
@click.pass_obj
def put_capability(  # options of one command
    at: Deployment, /, name: str, *, resource: str, tools: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Add a capability template, or its next version."""
    said = ("description", "valid_seconds", "max_depth", "renewable_seconds", "needs_approval", "managers")
    says = {one: options.pop(one) for one in said}
    wanted = {"resource": [resource], "tools": {tool: {} for tool in tools}, **read_limits(options)}
    made = asyncio.run(grants(at).put_capability(name, [wanted], **says))
    emit(made, as_json=as_json, text=f"{made['name']} is at version {made['version']}")


@capability.command("list")
@json_option
@click.pass_obj
def list_capabilities(at: Deployment, as_json: bool) -> None:
    """List capability templates."""
    found = asyncio.run(_all(grants(at).capabilities()))
    shown = [
        {**one, "tools": sorted({tool for part in one["capabilities"] for tool in part["tools"]})} for one in found
    ]
    emit({"capabilities": found}, as_json=as_json, text=table(shown, _CAPABILITIES))


@capability.command()
@click.argument("name")
@_reason
@json_option
@click.pass_obj
def withdraw(at: Deployment, name: str, reason: str, as_json: bool) -> None:
    """Withdraw a capability template, and revoke what came from it."""
    ended = asyncio.run(grants(at).withdraw_capability(name, reason=reason))
    emit(ended, as_json=as_json, text=f"{name} is withdrawn; {ended['revoked']} credentials revoked")


@capability.command("policy")
@click.option("--max-valid", "max_valid_seconds", type=int, help="Seconds a credential lives at most.")
@click.option("--managers-at", "manager_resources", multiple=True, help="Resource where managers grant any tool.")
@click.option("--separation/--no-separation", default=None, help="Whether approvers must be somebody else.")
@json_option
@click.pass_obj
def granting_policy(
    at: Deployment,
    max_valid_seconds: int | None,
    manager_resources: tuple[str, ...],
    separation: bool | None,
    as_json: bool,
) -> None:
    """Show what managers may grant and who approves, or change what is named."""
    changes: dict[str, Any] = {"max_valid_seconds": max_valid_seconds, "separation": separation}
    changes["manager_resources"] = list(manager_resources) or None
    said = asyncio.run(_policy(at, {name: value for name, value in changes.items() if value is not None}))
    where = ", ".join(said["manager_resources"]) or "no resource"
    who = "somebody else" if said["separation"] else "anybody who may grant it"
    words = f"credentials live {said['max_valid_seconds']} s at most; managers grant any tool at {where}; "
    emit(said, as_json=as_json, text=f"{words}{who} approves requests")


async def _policy(at: Deployment, changes: dict[str, Any]) -> dict[str, Any]:
    known = await grants(at).granting_policy()
    return known if not changes else await grants(at).put_granting_policy(**{**known, **changes})


@click.group()
def role() -> None:
    """Give agents capabilities by roles."""


@role.command("put")
@click.argument("name")
@click.option("--capability", "templates", multiple=True, required=True, help="A capability template; repeat for more.")
@click.option("--description", default="", help="What it is for.")
@json_option
@click.pass_obj
def put_role(at: Deployment, name: str, templates: tuple[str, ...], description: str, as_json: bool) -> None:
    """Create a role, or change what is in it."""
    made = asyncio.run(grants(at).put_role(name, templates, description=description))
    revoked = f"; {made['revoked']} credentials revoked" if made["revoked"] else ""
    emit(made, as_json=as_json, text=f"{name} has {', '.join(made['templates'])}{revoked}")


@role.command("list")
@json_option
@click.pass_obj
def list_roles(at: Deployment, as_json: bool) -> None:
    """List roles."""
    found = asyncio.run(_all(grants(at).roles()))
    emit({"roles": found}, as_json=as_json, text=table(found, _ROLES))


@role.command()
@click.argument("name")
@json_option
@click.pass_obj
def holders(at: Deployment, name: str, as_json: bool) -> None:
    """List who has a role."""
    found = asyncio.run(_all(grants(at).assignments(name)))
    emit({"assignments": found}, as_json=as_json, text=table(found, _HOLDERS))


@role.command()
@click.argument("name")
@_reason
@json_option
@click.pass_obj
def remove(at: Deployment, name: str, reason: str, as_json: bool) -> None:
    """Remove a role, and revoke what came from it."""
    ended = asyncio.run(grants(at).remove_role(name, reason=reason))
    emit(ended, as_json=as_json, text=f"{name} is removed; {ended['revoked']} credentials revoked")


_kind = click.option(
    "--to",
    "kind",
    type=click.Choice(["agent", "group", "template"]),
    default="agent",
    show_default=True,
    help="What TARGET is.",
)


@role.command()
@click.argument("name")
@click.argument("target")
@_kind
@json_option
@click.pass_obj
def assign(at: Deployment, name: str, target: str, kind: Kind, as_json: bool) -> None:
    """Give a role to an agent, a group, or all made from a template of agents."""
    made = asyncio.run(_assign(at, name, kind, target))
    emit(made, as_json=as_json, text=f"{target} has {name}")


async def _assign(at: Deployment, name: str, kind: Kind, target: str) -> dict[str, Any]:
    return await grants(at).assign(name, kind, await _addressed(at, kind, target))


@role.command()
@click.argument("name")
@click.argument("target")
@_kind
@_reason
@json_option
@click.pass_obj
def unassign(at: Deployment, name: str, target: str, kind: Kind, reason: str, as_json: bool) -> None:
    """Take a role away, and revoke what came from it."""
    ended = asyncio.run(_unassign(at, name, kind, target, reason))
    emit(ended, as_json=as_json, text=f"{target} lost {name}; {ended['revoked']} credentials revoked")


async def _unassign(at: Deployment, name: str, kind: Kind, target: str, reason: str) -> dict[str, Any]:
    return await grants(at).unassign(name, kind, await _addressed(at, kind, target), reason=reason)


async def _addressed(at: Deployment, kind: Kind, target: str) -> str:
    return target if kind != "agent" else str((await find_agent(at, target))["agent_id"])


@click.group()
def request() -> None:
    """Ask for rights, and decide on what was asked for."""


@request.command()
@click.argument("agent")
@click.option("--role", "role_name", help="Ask for a role.")
@click.option("--capability", "template", help="Ask for a capability template.")
@_resource
@_tools
@_reason
@json_option
@click.pass_obj
def create(
    at: Deployment,
    *,
    agent: str,
    role_name: str | None,
    template: str | None,
    resource: str | None,
    tools: tuple[str, ...],
    reason: str,
    as_json: bool,
) -> None:
    """Ask for rights of AGENT: for a role, a capability template, or tools at a resource."""
    if (resource is None) == bool(tools) or [role_name, template, resource].count(None) != 2:
        raise click.UsageError("ask for --role, for --capability, or for --tool at --resource")
    wanted: dict[str, Any] = {"role": role_name, "template": template}
    if resource is not None:
        wanted["capabilities"] = [{"resource": [resource], "tools": {tool: {} for tool in tools}}]
    said = {name: value for name, value in wanted.items() if value is not None}
    made = asyncio.run(_create(at, agent, reason, said))
    emit(made, as_json=as_json, text=f"{made['id']} is {made['state']} until {made['expires']}")


async def _create(at: Deployment, agent: str, reason: str, wanted: dict[str, Any]) -> dict[str, Any]:
    path = at.wallet.path
    if agent in at.wallet.names():  # its key is here: it asks for itself
        return await Agent.load(agent, path=path).grants(at.urls.issuer_url).request(reason=reason, **wanted)
    found = await find_agent(at, agent)
    return await grants(at).request(found["agent_id"], reason=reason, **wanted)


@request.command("list")
@click.option("--state", type=click.Choice(["pending", "approved", "denied", "withdrawn", "expired"]))
@json_option
@click.pass_obj
def list_requests(at: Deployment, state: str | None, as_json: bool) -> None:
    """List requests, newest first."""
    found = asyncio.run(_all(grants(at).requests(state=state)))
    emit({"requests": found}, as_json=as_json, text=table(found, _REQUESTS))


@request.command()
@click.argument("identifier")
@click.option("--tool", "tools", multiple=True, help="Only this tool of those asked for; repeat for more.")
@click.option("--valid", "valid_seconds", type=int, help="Seconds it is valid, if less than was asked for.")
@_reason
@json_option
@click.pass_obj
def approve(
    at: Deployment, identifier: str, tools: tuple[str, ...], valid_seconds: int | None, reason: str, as_json: bool
) -> None:
    """Give what was asked for, or less of it; an agent of the wallet here keeps its credential."""
    decided = asyncio.run(_approved(at, identifier, tools, valid_seconds, reason))
    emit(decided, as_json=as_json, text=f"{decided['id']} is {decided['state']}")


async def _approved(
    at: Deployment, identifier: str, tools: tuple[str, ...], valid_seconds: int | None, reason: str
) -> dict[str, Any]:
    less: dict[str, Any] = {} if valid_seconds is None else {"valid_seconds": valid_seconds}
    if tools:
        asked = (await grants(at).show_request(identifier))["capabilities"]
        kept = [{**one, "tools": {name: one["tools"][name] for name in tools if name in one["tools"]}} for one in asked]
        less["capabilities"] = [one for one in kept if one["tools"]]
        if not less["capabilities"]:
            raise click.UsageError("no tool of these was asked for")
    decided = await grants(at).decide(identifier, "approve", reason=reason, **less)
    if decided.get("credential"):
        found = await at.issuer.agent(decided["agent_id"])
        if found["name"] in at.wallet.names():
            Agent.load(found["name"], path=at.wallet.path).add_credential(decided["credential"])
    return decided


def _decide(decision: Decision, words: str) -> None:
    @request.command(decision, help=words)
    @click.argument("identifier")
    @_reason
    @json_option
    @click.pass_obj
    def command(at: Deployment, identifier: str, reason: str, as_json: bool) -> None:
        decided = asyncio.run(grants(at).decide(identifier, decision, reason=reason))
        emit(decided, as_json=as_json, text=f"{decided['id']} is {decided['state']}")


_decide("deny", "Say no.")
_decide("withdraw", "Take back what one asked for oneself.")


def grants(at: Deployment) -> GrantsClient:
    """Return the client of an operator."""
    return GrantsClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))


async def _all(found: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one async for one in found]
