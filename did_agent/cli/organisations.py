"""`did-agent org …` and `did-agent proposal …`: who shares the deployment, and what takes two people."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, table
from did_agent.client.organisations import OrganisationsClient

CONTROLS: Final = ("trust", "switch", "keys", "control")
_COLUMNS: Final = ("name", "title", "state", "did", "granted", "controlled")
_PROPOSED: Final = ("id", "verdict", "action", "by", "proposed", "expires", "decided_by")
_resources: Final = click.option(
    "--resource", "resources", multiple=True, help="Exact identifier at which it may grant; repeatable."
)


@click.group()
def org() -> None:
    """Let several organisations share this deployment, each with agents, lists and a key of its own."""


@org.command()
@click.argument("name")
@click.option("--title", default="", help="What people call it.")
@_resources
@json_option
@click.pass_obj
def create(at: Deployment, name: str, title: str, resources: tuple[str, ...], as_json: bool) -> None:
    """Make an organisation; NAME is short: a-z 0-9 -."""
    made = asyncio.run(_client(at).create(name, title=title, resources=resources))
    text = waits(made) or f"{name} issues as {made['did']}\nnext: did-agent operator add DID --org {name}"
    emit(made, as_json=as_json, text=text)


@org.command()
@click.argument("name")
@_resources
@json_option
@click.pass_obj
def entrust(at: Deployment, name: str, resources: tuple[str, ...], as_json: bool) -> None:
    """Say at which resources an organisation may grant from now on; without any at none."""
    said = asyncio.run(_client(at).entrust(name, resources))
    text = waits(said) or f"{name} may grant at {', '.join(said['resources']) or 'nothing here'}"
    emit(said, as_json=as_json, text=text)


@org.command("list")
@json_option
@click.pass_obj
def list_organisations(at: Deployment, as_json: bool) -> None:
    """List the organisations you may know of."""
    found = asyncio.run(_client(at).list())
    rows = [
        {**one, "controlled": " ".join(one["dual_control"]), "granted": " ".join(one["resources"])} for one in found
    ]
    emit({"organisations": found}, as_json=as_json, text=table(rows, _COLUMNS))


@org.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the audit log.")
@json_option
@click.pass_obj
def suspend(at: Deployment, name: str, reason: str, as_json: bool) -> None:
    """Stop all agents of an organisation and refuse its operators, until `did-agent org resume`."""
    done = asyncio.run(_client(at).suspend(name, reason=reason))
    emit(done, as_json=as_json, text=f"{name} is {done['state']}")


@org.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the audit log.")
@json_option
@click.pass_obj
def resume(at: Deployment, name: str, reason: str, as_json: bool) -> None:
    """Let an organisation go on."""
    done = asyncio.run(_client(at).resume(name, reason=reason))
    emit(done, as_json=as_json, text=waits(done) or f"{name} is {done['state']}")


@org.command()
@click.option(
    "--two",
    "controls",
    type=click.Choice(CONTROLS),
    multiple=True,
    help="What takes two people: trust list, stopping it, its keys, this setting; repeatable. None: nothing.",
)
@json_option
@click.pass_obj
def control(at: Deployment, controls: tuple[str, ...], as_json: bool) -> None:
    """Say what takes two people in your own organisation."""
    said = asyncio.run(_client(at).control(controls))
    emit(said, as_json=as_json, text=waits(said) or f"two people for: {', '.join(said['dual_control']) or 'nothing'}")


@click.group()
def proposal() -> None:
    """Decide what another admin proposed."""


@proposal.command("list")
@click.option("--all", "every", is_flag=True, help="Show those that were decided too.")
@json_option
@click.pass_obj
def list_proposals(at: Deployment, every: bool, as_json: bool) -> None:
    """List what waits for a second admin."""
    found = asyncio.run(_proposals(at, every=every))
    emit({"proposals": found}, as_json=as_json, text=table(found, _PROPOSED))


async def _proposals(at: Deployment, *, every: bool) -> list[dict[str, Any]]:
    return [one async for one in _client(at).proposals() if every or one["verdict"] == "open"]


@proposal.command()
@click.argument("identifier")
@json_option
@click.pass_obj
def approve(at: Deployment, identifier: str, as_json: bool) -> None:
    """Approve what another admin proposed, and do it."""
    done = asyncio.run(_client(at).approve(identifier))
    emit(done, as_json=as_json, text="approved and done")


@proposal.command()
@click.argument("identifier")
@json_option
@click.pass_obj
def reject(at: Deployment, identifier: str, as_json: bool) -> None:
    """Reject a proposal, your own too."""
    emit(asyncio.run(_client(at).reject(identifier)), as_json=as_json, text="rejected; nothing was changed")


def waits(answer: dict[str, Any]) -> str | None:
    """Return the words for what waits for a second admin; None when it was done."""
    if "proposal" not in answer:
        return None
    return f"waits for a second admin until {answer['expires']}: did-agent proposal approve {answer['proposal']}"


def _client(at: Deployment) -> OrganisationsClient:
    return OrganisationsClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))
