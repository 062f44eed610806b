"""`did-agent org lend …` and `did-agent org person …`: whose agents act for whom, and who can own agents."""

from __future__ import annotations

import asyncio

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.organisations import org
from did_agent.cli.output import emit, json_option, table
from did_agent.client.operators import OperatorsClient
from did_agent.client.organisations import OrganisationsClient

__all__ = ["org"]


@org.command()
@click.argument("giver")
@click.argument("taker")
@click.option("--end", is_flag=True, help="Take it back; tokens that were made by it end.")
@json_option
@click.pass_obj
def lend(at: Deployment, giver: str, taker: str, end: bool, as_json: bool) -> None:
    """Let agents of GIVER act for people and agents of TAKER, and not the other way round."""
    client = _bridge(at)
    if end:
        asyncio.run(client.take_back(giver, taker))
        said = {"giver": giver, "taker": taker, "ended": True}
        emit(said, as_json=as_json, text=f"agents of {giver} do not act for {taker} any more")
        return
    emit(asyncio.run(client.lend(giver, taker)), as_json=as_json, text=f"agents of {giver} may act for {taker}")


@org.command()
@json_option
@click.pass_obj
def lendings(at: Deployment, as_json: bool) -> None:
    """List whose agents may act for whom."""
    found = asyncio.run(_bridge(at).lendings())
    emit({"lendings": found}, as_json=as_json, text=table(found, ("giver", "taker", "since")))


@org.command()
@json_option
@click.pass_obj
def people(at: Deployment, as_json: bool) -> None:
    """List who can own agents of your organisation, the first hundred."""
    found = asyncio.run(_issuer(at).principals())["principals"]
    emit({"principals": found}, as_json=as_json, text=table(found, ("principal", "roles", "seen", "sponsors")))


@org.command()
@click.argument("principal")
@click.option(
    "--sponsor", "sponsors", multiple=True, help="Whom they may name as sponsor beside themselves; repeatable."
)
@click.option("--forget", is_flag=True, help="They own nothing new any more.")
@json_option
@click.pass_obj
def person(at: Deployment, principal: str, sponsors: tuple[str, ...], forget: bool, as_json: bool) -> None:
    """Say that PRINCIPAL, a DID or a user name, can own agents of your organisation."""
    client = _issuer(at)
    if forget:
        asyncio.run(client.forget_principal(principal))
        emit({"principal": principal, "forgotten": True}, as_json=as_json, text=f"{principal} is forgotten")
        return
    put = asyncio.run(client.name_principal(principal, sponsors))
    text = f"{principal} can own agents, and names as sponsor: {', '.join([principal, *put['sponsors']])}"
    emit(put, as_json=as_json, text=text)


def _bridge(at: Deployment) -> OperatorsClient:
    return OperatorsClient(at.urls.bridge_url, auth=at.operator_auth(at.urls.bridge_url))


def _issuer(at: Deployment) -> OrganisationsClient:
    return OrganisationsClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))
