"""`did-agent agent …`: onboard, look at, suspend, resume and retire agents."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal

import click

from did_agent.agent import Agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, grid, json_option, table
from did_agent.cli.reach import confirm, dry_run_option, told, yes_option
from did_agent.client.registry import RegistryClient
from did_agent.errors import NotFound

COLUMNS: Final = ("name", "state", "did", "sponsor")


@click.group()
def agent() -> None:
    """Create, list and change agents."""


@agent.command()
@click.argument("name")
@click.option("--sponsor", required=True, help="Who answers for this agent.")
@click.option("--description", default="", help="What it is for.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where users are sent back to after consent.")
@json_option
@click.pass_obj
def create(  # options of one command
    at: Deployment, name: str, sponsor: str, description: str, redirect_uris: tuple[str, ...], as_json: bool
) -> None:
    """Register an agent, make its key in the wallet here, and enrol it."""
    made = asyncio.run(_create(at, name, sponsor, description, redirect_uris))
    emit(made, as_json=as_json, text=f"{made['name']} is {made['state']} as {made['did']}")


async def _create(at: Deployment, name: str, sponsor: str, description: str, uris: tuple[str, ...]) -> dict[str, Any]:
    # The key first: if the registration fails it is found again, and no half-enrolled agent is left without a key.
    wallet = at.wallet
    held = Agent.load(name, path=wallet.path) if name in wallet.names() else Agent.create(name, path=wallet.path)
    made = await at.issuer.create_agent(name=name, sponsor=sponsor, description=description, redirect_uris=uris)
    await held.enrol(at.urls.issuer_url, made["agent_id"], made["enrolment"]["challenge"])
    return await at.issuer.agent(made["agent_id"])


@agent.command("list")
@click.option("--state", type=click.Choice(["pending", "active", "suspended", "retired"]))
@json_option
@click.pass_obj
def list_agents(at: Deployment, state: str | None, as_json: bool) -> None:
    """List agents."""
    found = asyncio.run(at.issuer.agents(**({} if state is None else {"state": state})))
    emit({"agents": found}, as_json=as_json, text=table(found, COLUMNS))


@agent.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(at: Deployment, name: str, as_json: bool) -> None:
    """Show one agent by name, id or DID."""
    found = asyncio.run(find_agent(at, name))
    emit(found, as_json=as_json, text=grid([(f"{key}:", str(value)) for key, value in found.items() if value]))


def _change(change: Literal["suspend", "resume", "retire"], words: str) -> None:
    @agent.command(change, help=words)
    @click.argument("name")
    @click.option("--reason", required=True, help="Why; kept in the audit log.")
    @dry_run_option
    @yes_option
    @json_option
    @click.pass_obj
    def command(at: Deployment, name: str, reason: str, dry_run: bool, yes: bool, as_json: bool) -> None:
        if change != "resume":
            seen = asyncio.run(_impact(at, name, change))
            if dry_run:
                emit(seen, as_json=as_json, text=f"{change} {name} {told(seen)}")
                return
            confirm(seen, what=f"{change} {name}", yes=yes)
        changed = asyncio.run(_changed(at, name, change, reason))
        heard = "verifiers have heard" if changed["propagated"] else "the bridge has not heard yet; it will be told"
        emit(changed, as_json=as_json, text=f"{changed['name']} is {changed['state']}; {heard}")


async def _changed(
    at: Deployment, name: str, change: Literal["suspend", "resume", "retire"], reason: str
) -> dict[str, Any]:
    found = await find_agent(at, name)
    return await at.issuer.change_agent(found["agent_id"], change, reason=reason)


async def _impact(at: Deployment, name: str, change: Literal["suspend", "retire"]) -> dict[str, Any]:
    found = await find_agent(at, name)
    client = RegistryClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))
    return await client.impact_of_agent(found["agent_id"], change)


_change("suspend", "Stop an agent for now; everything it holds is refused until it is resumed.")
_change("resume", "Let a suspended agent act again.")
_change("retire", "End an agent, for good.")


@agent.command()
@click.argument("name")
@click.argument("person")
@click.option("--resource", required=True, help="Where the agent wants to act for them.")
@click.option("--message", help="What the agent says; shown to the person as its words.")
@click.option("--tool", "tools", multiple=True, help="A tool it asks for; without any, all it may use.")
@click.option("--wait", type=click.IntRange(1, 600), help="Seconds in which the person must answer.")
@json_option
@click.pass_obj
def ask(  # options of one command
    at: Deployment,
    *,
    name: str,
    person: str,
    resource: str,
    message: str | None,
    tools: tuple[str, ...],
    wait: int | None,
    as_json: bool,
) -> None:
    """Ask PERSON, on their account page, to let an agent of the wallet here act for them; print its token."""
    held = Agent.load(name, path=at.wallet.path)
    scope = " ".join(f"tool:{tool}" for tool in tools) or None
    asking = held.ask_person(
        person, bridge=at.urls.bridge_url, resource=resource, message=message, scope=scope, seconds=wait
    )
    token = asyncio.run(asking)
    emit({"access_token": token}, as_json=as_json, text=token)


async def find_agent(at: Deployment, name: str) -> dict[str, Any]:
    """Return an agent by name, id or DID.

    Raises: NotFound.
    """
    if name.startswith(("did:", "urn:")):
        return await at.issuer.agent(name)
    found = await at.issuer.agents(name=name)
    if not found:
        raise NotFound(f"there is no agent called {name}")
    return found[0]
