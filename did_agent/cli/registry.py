"""`did-agent agent search|describe|transfer|history|impact`, `did-agent template …` and `did-agent group …`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Literal

import click

from did_agent.cli.agents import COLUMNS, agent, find_agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, table
from did_agent.cli.reach import told
from did_agent.client.registry import RegistryClient

_STATES: Final = ("pending", "active", "suspended", "retired")
_FOUND: Final = ("name", "state", "agent_id", "sponsor", "owner", "tags", "groups")
_MOST: Final = 1_000  # agents that a search prints


def registry_of(at: Deployment) -> RegistryClient:
    """Return the registry, as operator."""
    return RegistryClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))


async def take(found: AsyncIterator[dict[str, Any]], most: int = _MOST) -> list[dict[str, Any]]:
    """Return what a list yields, at most so much of it."""
    rows: list[dict[str, Any]] = []
    async for row in found:
        if len(rows) == most:
            break
        rows.append(row)
    return rows


@agent.command()
@click.argument("text", required=False)
@click.option("--prefix", help="What the name begins with.")
@click.option("--state", type=click.Choice(_STATES))
@click.option("--sponsor", help="Who answers for it.")
@click.option("--owner", help="Who manages it.")
@click.option("--tag")
@click.option("--group")
@click.option("--template", help="The blueprint it was made from.")
@click.option("--did")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, _MOST), help="Agents to show.")
@click.option("--count", is_flag=True, help="Say only how many there are; many are counted as more than 10,000.")
@json_option
@click.pass_obj
def search(at: Deployment, /, limit: int, count: bool, as_json: bool, **filters: str | None) -> None:
    """Find agents; TEXT is words of their name, description or sponsor."""
    client = registry_of(at)
    if count:
        number, is_exact = asyncio.run(client.count(**filters))
        said = {"count": number, "count_exact": is_exact}
        emit(said, as_json=as_json, text=f"{number}" if is_exact else f"more than {number}")
        return
    page = str(min(limit, 100))
    found = asyncio.run(take(client.search(**filters, limit=page), limit))
    emit({"agents": found}, as_json=as_json, text=table(found, _FOUND))


@agent.command()
@click.argument("name")
@click.option("--name", "new_name", help="What it is called from now on.")
@click.option("--description", help="What it is for.")
@click.option("--sponsor", help="Who answers for it from now on.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where users are sent back to; all of them.")
@click.option("--metadata", multiple=True, help="NAME=VALUE; all of it.")
@click.option("--tag", "tags", multiple=True, help="A tag; all of them.")
@click.option("--no-tags", is_flag=True, help="Take all tags away.")
@json_option
@click.pass_obj
def describe(at: Deployment, /, name: str, new_name: str | None, no_tags: bool, as_json: bool, **said: Any) -> None:
    """Say something else of an agent; what is not named stays."""
    pairs = dict(pair(text) for text in said.pop("metadata"))
    changes = {key: list(value) if isinstance(value, tuple) else value for key, value in said.items() if value}
    changes |= {} if new_name is None else {"name": new_name}
    changes |= {"metadata": pairs} if pairs else {}
    changes |= {"tags": []} if no_tags else {}
    if not changes:
        raise click.UsageError("say what changes")

    async def change() -> dict[str, Any]:
        found = await find_agent(at, name)
        return await registry_of(at).describe(found["agent_id"], **changes)

    changed = asyncio.run(change())
    emit(changed, as_json=as_json, text=f"{changed['name']}: {', '.join(sorted(changes))} changed")


@agent.command()
@click.argument("name")
@click.argument("owner")
@click.option("--sponsor", help="Who answers for it from now on.")
@click.option("--reason", required=True, help="Why; kept in its history and in the audit log.")
@json_option
@click.pass_obj
def transfer(at: Deployment, name: str, owner: str, sponsor: str | None, reason: str, as_json: bool) -> None:
    """Hand an agent over to OWNER, another operator of its organisation."""

    async def hand() -> dict[str, Any]:
        found = await find_agent(at, name)
        return await registry_of(at).transfer(found["agent_id"], owner=owner, sponsor=sponsor, reason=reason)

    handed = asyncio.run(hand())
    emit(handed, as_json=as_json, text=f"{handed['name']} is {handed['owner']}'s; {handed['sponsor']} answers for it")


@agent.command()
@click.argument("name")
@json_option
@click.pass_obj
def history(at: Deployment, name: str, as_json: bool) -> None:
    """Tell what happened to an agent, the newest first."""

    async def read() -> list[dict[str, Any]]:
        found = await find_agent(at, name)
        return await take(registry_of(at).history(found["agent_id"]))

    happened = asyncio.run(read())
    columns = ("at", "event", "before", "after", "actor", "reason")
    emit({"history": happened}, as_json=as_json, text=table(happened, columns))


@agent.command()
@click.argument("name")
@click.option("--change", type=click.Choice(("suspend", "retire")), default="suspend", show_default=True)
@json_option
@click.pass_obj
def impact(at: Deployment, name: str, change: Literal["suspend", "retire"], as_json: bool) -> None:
    """Tell how far a change would reach, and change nothing."""

    async def look() -> dict[str, Any]:
        found = await find_agent(at, name)
        return await registry_of(at).impact_of_agent(found["agent_id"], change)

    seen = asyncio.run(look())
    emit(seen, as_json=as_json, text=f"{change} {name} {told(seen)}")


@click.group()
def template() -> None:
    """Keep blueprints of agents, and make many from one."""


@template.command("set")
@click.argument("name")
@click.option("--sponsor", required=True, help="Who answers for agents made from it.")
@click.option("--description", default="", help="What they are for.")
@click.option("--redirect-uri", "redirect_uris", multiple=True)
@click.option("--metadata", multiple=True, help="NAME=VALUE; repeat for more.")
@click.option("--tag", "tags", multiple=True)
@click.option("--group", "groups", multiple=True)
@json_option
@click.pass_obj
def set_template(
    at: Deployment, /, name: str, sponsor: str, metadata: Sequence[str], as_json: bool, **said: Any
) -> None:
    """Write a version of a blueprint; agents made before stay as they are."""
    defaults = {key: list(value) if isinstance(value, tuple) else value for key, value in said.items()}
    defaults["metadata"] = dict(pair(text) for text in metadata)
    kept = asyncio.run(registry_of(at).put_template(name, sponsor=sponsor, **defaults))
    emit(kept, as_json=as_json, text=f"{kept['name']} is at version {kept['version']}")


@template.command("list")
@json_option
@click.pass_obj
def list_templates(at: Deployment, as_json: bool) -> None:
    """List blueprints."""
    found = asyncio.run(take(registry_of(at).templates()))
    columns = ("name", "version", "sponsor", "tags", "groups", "description")
    emit({"templates": found}, as_json=as_json, text=table(found, columns))


@template.command("create-agents")
@click.argument("name")
@click.option("--count", type=click.IntRange(1, 1_000), help="How many, with names made up.")
@click.option("--agent", "names", multiple=True, help="A name; repeat for more.")
@json_option
@click.pass_obj
def create_agents(at: Deployment, name: str, count: int | None, names: Sequence[str], as_json: bool) -> None:
    """Register agents made from a blueprint, all or none; each is pending until it enrols."""
    if (count is None) == (not names):
        raise click.UsageError("either --count, or --agent for each name")
    made = asyncio.run(registry_of(at).instantiate(name, count=count, names=names))
    emit({"agents": made}, as_json=as_json, text=table(made, (*COLUMNS[:2], "agent_id")))


@click.group()
def group() -> None:
    """Keep groups of agents."""


@group.command("create")
@click.argument("name")
@click.option("--description", default="", help="What it is for.")
@json_option
@click.pass_obj
def create_group(at: Deployment, name: str, description: str, as_json: bool) -> None:
    """Create a group, or say anew what it is for."""
    kept = asyncio.run(registry_of(at).put_group(name, description=description))
    emit(kept, as_json=as_json, text=f"group {name} is there")


@group.command("list")
@json_option
@click.pass_obj
def list_groups(at: Deployment, as_json: bool) -> None:
    """List groups."""
    found = asyncio.run(take(registry_of(at).groups()))
    emit({"groups": found}, as_json=as_json, text=table(found, ("name", "description", "created")))


@group.command("delete")
@click.argument("name")
@json_option
@click.pass_obj
def delete_group(at: Deployment, name: str, as_json: bool) -> None:
    """Delete a group nobody is in."""
    gone = asyncio.run(registry_of(at).remove_group(name))
    emit(gone, as_json=as_json, text=f"group {name} is gone")


@group.command()
@click.argument("name")
@click.option("--state", type=click.Choice(_STATES))
@json_option
@click.pass_obj
def members(at: Deployment, name: str, state: str | None, as_json: bool) -> None:
    """List the agents of a group."""
    found = asyncio.run(take(registry_of(at).members(name, state=state)))
    emit({"agents": found}, as_json=as_json, text=table(found, COLUMNS))


def _members(verb: Literal["add", "remove"], words: str) -> None:
    @group.command(verb, help=words)
    @click.argument("name")
    @click.argument("agents", nargs=-1, required=True)
    @json_option
    @click.pass_obj
    def command(at: Deployment, name: str, agents: tuple[str, ...], as_json: bool) -> None:
        async def change() -> dict[str, Any]:
            ids = [(await find_agent(at, one))["agent_id"] for one in agents]
            return await registry_of(at).change_members(name, **{verb: ids})

        changed = asyncio.run(change())
        emit(changed, as_json=as_json, text=f"group {name}: {changed['changed']} agents changed")


_members("add", "Put agents into a group.")
_members("remove", "Take agents out of a group.")


def pair(text: str) -> tuple[str, str]:
    """Return the two halves of NAME=VALUE.

    Raises: click.UsageError.
    """
    name, found, value = text.partition("=")
    if not found or not name:
        raise click.UsageError(f"{text} is not of the form NAME=VALUE")
    return name, value
