"""`did-agent offer …`: offer credentials to agents, decide on offers, and take one (OpenID4VCI 1.0)."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal

import click

from did_agent.agent import Agent
from did_agent.cli.agents import find_agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.limits import limit_options, read_limits
from did_agent.cli.output import emit, json_option, say, table
from did_agent.client.offers import DEFAULT_SECONDS, OffersClient

COLUMNS: Final = ("id", "state", "agent_id", "configurations", "expires")
ISSUER_PATH: Final = "/oid4vci"  # of our credential issuer, below the issuer's URL
_PASSED: Final = (
    "template", "valid_seconds", "max_depth", "copies", "offer_seconds", "tx_code", "needs_approval", "person",
)  # fmt: skip
_FORMS: Final = {"jcs": "", "rdfc": "-rdfc", "sd-jwt": "-sd-jwt"}


@click.group()
def offer() -> None:
    """Offer credentials to agents, and take offers."""


@offer.command()
@click.argument("agent")
@click.option("--resource", help="Exact identifier of the MCP server; without it who the agent is is offered.")
@click.option("--tool", "tools", multiple=True, help="A tool the agent may call there; repeat for more.")
@click.option("--template", help="What a capability template says, instead of --resource and --tool.")
@click.option("--valid", "valid_seconds", type=int, help="Seconds the credential is valid; a day at most.")
@click.option("--max-depth", type=int, help="How often it may be handed on; 1 unless a template says otherwise.")
@limit_options
@click.option(
    "--form",
    "forms",
    type=click.Choice(list(_FORMS)),
    multiple=True,
    default=["jcs"],
    show_default=True,
    help="Data Integrity with JCS or RDFC, or SD-JWT VC; repeat for more than one credential.",
)
@click.option("--identity", is_flag=True, help="Offer the identity credential too.")
@click.option("--copies", default=1, show_default=True, help="Credentials of each form.")
@click.option("--open-for", "offer_seconds", default=DEFAULT_SECONDS, show_default=True, help="Seconds to take it.")
@click.option("--tx-code", is_flag=True, help="Protect it by a second code, which you send on another way.")
@click.option("--approval", "needs_approval", is_flag=True, help="Somebody else has to approve before it is issued.")
@click.option("--person", help="Who takes it by signing in at the bridge, instead of whoever has the link.")
@json_option
@click.pass_obj
def create(  # options of one command
    at: Deployment,
    /,
    agent: str,
    *,
    resource: str | None,
    tools: tuple[str, ...],
    forms: tuple[str, ...],
    identity: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Offer tools at a resource to an agent, and print the link; a pending agent is enrolled by taking it."""
    if (resource is None) == bool(tools) or (resource is not None and options["template"] is not None):
        raise click.UsageError("--resource and --tool come together, or --template without them")
    gives = resource is not None or options["template"] is not None
    kinds = [*(["capability"] if gives else []), *(["identity"] if identity or not gives else [])]
    wanted = {name: options.pop(name) for name in _PASSED}
    wanted["configurations"] = [f"agent-{kind}{_FORMS[form]}" for kind in kinds for form in dict.fromkeys(forms)]
    if resource is not None:
        capability = {"resource": [resource], "tools": {tool: {} for tool in tools}, **read_limits(options)}
        wanted["capabilities"] = [capability]
    made = asyncio.run(_create(at, agent, wanted))
    if made["tx_code"] is not None and not as_json:
        say(f"transaction code, to be sent on another way: {made['tx_code']}")
    emit(made, as_json=as_json, text=made["uri"])


async def _create(at: Deployment, name: str, options: dict[str, Any]) -> dict[str, Any]:
    found = await find_agent(at, name)
    return await _offers(at).create(found["agent_id"], **options)


@offer.command("list")
@click.option("--agent", help="Only those to this agent, by name, id or DID.")
@json_option
@click.pass_obj
def list_offers(at: Deployment, agent: str | None, as_json: bool) -> None:
    """List offers, newest first."""
    found = asyncio.run(_list(at, agent))
    emit({"offers": found}, as_json=as_json, text=table(found, COLUMNS))


async def _list(at: Deployment, name: str | None) -> list[dict[str, Any]]:
    agent = None if name is None else (await find_agent(at, name))["agent_id"]
    return await _offers(at).offers(agent=agent)


@offer.command()
@click.argument("uri")
@click.option("--agent", "name", required=True, help="Name of the agent in the wallet here; its key is made if needed.")
@click.option("--tx-code", help="The code that came on another way.")
@click.option("--issuer", help="Who the offer must be from; by default the issuer of this deployment.")
@click.option("--token", help="Access token of the person an offer was made for.")
@click.option("--wait", "wait_seconds", type=click.IntRange(0, 86_400), default=600, help="Seconds to await approval.")
@json_option
@click.pass_obj
def accept(  # options of one command
    at: Deployment,
    *,
    uri: str,
    name: str,
    tx_code: str | None,
    issuer: str | None,
    token: str | None,
    wait_seconds: int,
    as_json: bool,
) -> None:
    """Take the offer at URI with an agent's key, and keep its credentials in the wallet."""
    path = at.wallet.path
    agent = Agent.load(name, path=path) if name in at.wallet.names() else Agent.create(name, path=path)
    taking = agent.accept_offer(
        uri,
        tx_code=tx_code,
        issuer=issuer or at.urls.issuer_url + ISSUER_PATH,
        token=token,
        wait_seconds=wait_seconds,
    )
    kept = list(asyncio.run(taking))
    said = {"agent": agent.did, "credentials": kept}
    emit(said, as_json=as_json, text=f"{name} holds {len(kept)} more as {agent.did}")


def _decide(decision: Literal["approve", "deny", "withdraw"], words: str) -> None:
    @offer.command(decision, help=words)
    @click.argument("identifier")
    @click.option("--reason", required=True, help="Why; kept in the audit log.")
    @json_option
    @click.pass_obj
    def command(at: Deployment, identifier: str, reason: str, as_json: bool) -> None:
        changed = asyncio.run(_offers(at).decide(identifier, decision, reason=reason))
        emit(changed, as_json=as_json, text=f"{changed['id']} is {changed['verdict'] or changed['state']}")


_decide("approve", "Say yes to an offer somebody else made.")
_decide("deny", "Say no to an offer that needs approval.")
_decide("withdraw", "End an offer; what was issued stays.")


def _offers(at: Deployment) -> OffersClient:
    return OffersClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))
