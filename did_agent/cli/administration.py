"""`did-agent resource …` and `did-agent user …`: what the bridge issues tokens for, and who may consent."""

from __future__ import annotations

import asyncio

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, table


@click.group()
def resource() -> None:
    """Register MCP servers at the bridge."""


@resource.command()
@click.argument("identifier")
@click.option("--name", required=True, help="What people see at consent.")
@click.option("--tool", "tools", multiple=True, required=True, help="TOOL=what it does, in plain words.")
@json_option
@click.pass_obj
def add(at: Deployment, identifier: str, name: str, tools: tuple[str, ...], as_json: bool) -> None:
    """Register a server, or change what is known of it."""
    words = dict(_pair(tool) for tool in tools)
    added = asyncio.run(at.bridge.put_resource(identifier, name=name, tools=words))
    emit(added, as_json=as_json, text=f"{name} is registered with {len(words)} tools")


@resource.command("list")
@json_option
@click.pass_obj
def list_resources(at: Deployment, as_json: bool) -> None:
    """List registered servers."""
    found = asyncio.run(at.bridge.resources())
    shown = [{**row, "scopes": sorted(row["scopes"])} for row in found]
    emit({"resources": found}, as_json=as_json, text=table(shown, ("resource", "name", "scopes")))


@click.group()
def user() -> None:
    """Keep the bridge's local users."""


@user.command("add")
@click.argument("username")
@click.option("--name", required=True, help="What people see.")
@click.option("--allow", multiple=True, help="RESOURCE=tool,tool: what this person may do there.")
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True, envvar="DID_AGENT_USER_PASSWORD")
@json_option
@click.pass_obj
def add_user(  # options of one command
    at: Deployment, username: str, name: str, allow: tuple[str, ...], password: str, as_json: bool
) -> None:
    """Create or replace a user who can sign in and consent."""
    rights = {place: tools.split(",") for place, tools in map(_pair, allow)}
    added = asyncio.run(at.bridge.put_user(username, password=password, name=name, rights=rights))
    emit(added, as_json=as_json, text=f"{username} can sign in at {at.urls.bridge_url}")


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name or not value:
        raise click.UsageError(f"{text} is not of the form NAME=VALUE")
    return name, value
