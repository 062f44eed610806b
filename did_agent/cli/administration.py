"""`did-agent resource …` and `did-agent user …`: what the bridge issues tokens for, and who may consent."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, table
from did_agent.client.operators import OperatorsClient
from did_agent.client.policy import PolicyClient
from did_agent.tokens.access_token import HOME

ROLES: Final = ("admin", "manager", "auditor", "sponsor")


@click.group()
def resource() -> None:
    """Register MCP servers at the bridge."""


@resource.command()
@click.argument("identifier")
@click.option("--name", required=True, help="What people see at consent.")
@click.option("--tool", "tools", multiple=True, required=True, help="TOOL=what it does, in plain words.")
@click.option(
    "--binding",
    type=click.Choice(("any", "required")),
    default="any",
    show_default=True,
    help="Whether its tokens must be bound to a key of the caller (DPoP, mTLS).",
)
@click.option(
    "--admits",
    type=click.Choice(("agents", "clients")),
    default="agents",
    show_default=True,
    help="Whether programs may act there for a person without an agent.",
)
@click.option(
    "--signing-alg",
    type=click.Choice(("EdDSA", "ES256", "RS256")),
    default="EdDSA",
    show_default=True,
    help="How its tokens are signed.",
)
@click.option("--org", "organisation", default=HOME, show_default=True, help="Whose server it is.")
@click.option("--share-with", "shared_with", multiple=True, help="Another organisation that may use it; repeatable.")
@json_option
@click.pass_obj
def add(at: Deployment, /, identifier: str, *, name: str, tools: tuple[str, ...], as_json: bool, **how: Any) -> None:
    """Register a server, or change what is known of it."""
    words = dict(_pair(tool) for tool in tools)
    added = asyncio.run(at.bridge.put_resource(identifier, name=name, tools=words, **how))
    emit(added, as_json=as_json, text=f"{name} is registered with tools {', '.join(words)}")


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
@click.option("--group", "groups", multiple=True, help="Group the policy knows this person by; repeatable.")
@click.option("--org", "organisation", default=HOME, show_default=True, help="Organisation the person is of.")
@click.option("--role", "operates", type=click.Choice(ROLES), multiple=True, help="Lets them operate it; repeatable.")
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True, envvar="DID_AGENT_USER_PASSWORD")
@json_option
@click.pass_obj
def add_user(at: Deployment, /, username: str, *, allow: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Create or replace a user who can sign in and consent."""
    rights = {place: tools.split(",") for place, tools in map(_pair, allow)}
    added = asyncio.run(at.bridge.put_user(username, rights=rights, **options))
    emit(added, as_json=as_json, text=f"{username} can sign in at {at.urls.bridge_url}")


@user.command("org")
@click.argument("username")
@click.option("--org", "organisation", required=True, help="Organisation the person is of.")
@click.option("--role", "operates", type=click.Choice(ROLES), multiple=True, help="Lets them operate it; repeatable.")
@json_option
@click.pass_obj
def set_organisation(at: Deployment, /, username: str, *, as_json: bool, **place: Any) -> None:
    """Say whose a user is and as what they operate it; without --role as nothing. What they held ends."""
    client = OperatorsClient(at.urls.bridge_url, auth=at.operator_auth(at.urls.bridge_url))
    put = asyncio.run(client.place(username, **place))
    text = f"{username} is of {put['organisation']}, and {', '.join(put['operates']) or 'no operator'} there"
    emit(put, as_json=as_json, text=text)


@user.command("list")
@json_option
@click.pass_obj
def list_users(at: Deployment, as_json: bool) -> None:
    """List people with an account, and whose they are."""
    client = OperatorsClient(at.urls.bridge_url, auth=at.operator_auth(at.urls.bridge_url))
    found = asyncio.run(client.people())
    columns = ("username", "name", "organisation", "operates", "groups")
    emit({"users": found}, as_json=as_json, text=table(found, columns))


@user.command("groups")
@click.argument("username")
@click.option("--group", "groups", multiple=True, help="Group the policy knows this person by; repeatable.")
@json_option
@click.pass_obj
def set_groups(at: Deployment, username: str, groups: tuple[str, ...], as_json: bool) -> None:
    """Say which groups a user is in, and no others; without --group in none."""
    client = PolicyClient(at.urls.bridge_url, auth=at.operator_auth(at.urls.bridge_url))
    changed = asyncio.run(client.put_groups(username, groups))
    emit(changed, as_json=as_json, text=f"{username} is in {', '.join(changed['groups']) or 'no group'}")


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name or not value:
        raise click.UsageError(f"{text} is not of the form NAME=VALUE")
    return name, value
