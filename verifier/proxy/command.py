"""`did-agent guard`: protects an MCP server written in any language without touching it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from did_agent.adapters.keystore import load_or_create_key
from did_agent.adapters.listening import places, watched
from did_agent.adapters.log_lines import set_up_logs
from did_agent.adapters.party import serving
from did_agent.cli.output import emit, json_option, say
from did_agent.cli.up import asked_to_end
from did_agent.clock import system_clock
from did_agent.errors import Misconfigured
from verifier.mcp.guard import protect
from verifier.proxy.authorization import authorization_service
from verifier.proxy.forward import PATIENCE, Forward
from verifier.settings import GuardOptions, VerifierSettings
from verifier.statement import Statements

MAX_CONNECTIONS = 20_000  # most of them idle: clients keep them


@click.command()
@click.option("--upstream", envvar="DID_AGENT_UPSTREAM", help="URL of the MCP server that is to be protected.")
@click.option("--ext-authz", is_flag=True, help="Answer a proxy's questions instead of being the proxy.")
@click.option("--resource", envvar="DID_AGENT_RESOURCE", required=True, help="Identifier and URL clients know.")
@click.option("--bridge", envvar="DID_AGENT_BRIDGE_URL", help="Issuer of the tokens that count.")
@click.option("--ledger", envvar="DID_AGENT_LEDGER_URL", help="Where the records go.")
@click.option("--name", help="The server's name for people.")
@click.option("--scope", "scopes", multiple=True, help="A scope that clients should ask for at first.")
@click.option("--hide-tools", is_flag=True, help="Let a tool the caller may not see answer as if there were none.")
@click.option("--tell-caller", is_flag=True, help="Tell the server who calls, in the header Did-Agent-Caller.")
@click.option(
    "--patience",
    type=click.FloatRange(min=0.1),
    default=PATIENCE,
    show_default=True,
    help="Seconds until the server must begin to answer.",
)
@click.option("--bind", envvar="DID_AGENT_BIND", help="Address to listen on instead of the resource's host.")
@json_option
@click.pass_context
def guard(context: click.Context, /, *, bind: str | None, as_json: bool, ext_authz: bool, **said: Any) -> None:
    """Protect an MCP server that is not touched: as a reverse proxy, or asked by one with --ext-authz."""
    data: Path = context.obj.data
    upstream = said.pop("upstream")
    if ext_authz == (upstream is not None):
        raise click.UsageError("give --upstream URL, or --ext-authz")
    create = partial(_app, upstream=upstream, data=data, **said)
    asyncio.run(_run(create, said["resource"], bind=bind, as_json=as_json, what=upstream or "ext-authz"))


def _app(*, upstream: str | None, resource: str, patience: float, tell_caller: bool = False, **said: Any) -> Any:
    options = GuardOptions(data=said.pop("data"), ledger=said.pop("ledger"))
    if upstream is None:
        if said.pop("hide_tools") or tell_caller:
            raise Misconfigured("only a guard that hands requests on itself hides tools, or tells who calls")
        return authorization_service(resource=resource, **said, **options)
    if upstream.rstrip("/") == resource.rstrip("/"):
        raise Misconfigured("the server behind has the address of the guard itself")
    statements = None
    if tell_caller:
        key = load_or_create_key(VerifierSettings.load(options).key_file)
        statements = Statements(resource=resource, audience=upstream, key=key, clock=system_clock)
    forward = Forward(upstream, path=urlsplit(resource).path or "/", patience=patience, statements=statements)
    return protect(forward, resource=resource, **said, **options)


async def _run(create: Callable[[], Any], resource: str, *, bind: str | None, as_json: bool, what: str) -> None:
    asked = asked_to_end()
    set_up_logs()
    found = places(create, resource, bind=bind, asks=True)
    async with serving([*found, *watched(found)], most=MAX_CONNECTIONS):
        emit({"resource": resource, "upstream": what}, as_json=as_json, text=f"guarding {what} as {resource}")
        await asked.wait()
    say("stopped")
