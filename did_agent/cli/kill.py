"""`did-agent kill …` and `did-agent unkill`: stop many agents at once, and let them go."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.organisations import waits
from did_agent.cli.output import emit, json_option, table
from did_agent.cli.reach import confirm, dry_run_option, told, yes_option
from did_agent.cli.registry import registry_of, take
from did_agent.client.registry import Scope

_COLUMNS: Final = ("id", "scope", "target", "stopped", "at", "by", "lifted", "reason")
_reason: Final = click.option("--reason", required=True, help="Why; kept in the audit log.")


@click.group()
def kill() -> None:
    """Stop all agents of a sponsor, a blueprint, a group or the organisation, until `did-agent unkill`."""


def _kill(scope: Scope, words: str) -> None:
    argument = () if scope == "organisation" else (click.argument("target"),)

    @_reason
    @dry_run_option
    @yes_option
    @json_option
    @click.pass_obj
    def command(at: Deployment, /, reason: str, dry_run: bool, yes: bool, as_json: bool, target: str = "") -> None:
        client = registry_of(at)
        seen = asyncio.run(client.impact_of_kill(scope, target))
        what = f"stopping {scope} {target}".rstrip()
        if dry_run:
            emit(seen, as_json=as_json, text=f"{what} {told(seen)}")
            return
        confirm(seen, what=what, yes=yes, always=True)
        on = asyncio.run(client.kill(scope, target, reason=reason))
        emit(on, as_json=as_json, text=waits(on) or _stopped(on))

    for option in argument:
        command = option(command)
    kill.command(scope, help=words)(command)


_kill("sponsor", "Stop all agents a sponsor answers for.")
_kill("template", "Stop all agents made from a blueprint.")
_kill("group", "Stop all agents of a group.")
_kill("organisation", "Stop all agents there are.")


@kill.command("list")
@click.option("--all", "every", is_flag=True, help="Show those that were lifted too.")
@json_option
@click.pass_obj
def list_switches(at: Deployment, every: bool, as_json: bool) -> None:
    """List what is stopped."""
    found = asyncio.run(take(registry_of(at).switches(on=None if every else True)))
    emit({"switches": found}, as_json=as_json, text=table(found, _COLUMNS))


@click.command()
@click.argument("identifier")
@_reason
@json_option
@click.pass_obj
def unkill(at: Deployment, identifier: str, reason: str, as_json: bool) -> None:
    """Let go what a kill switch stopped; what something else stopped stays stopped.

    IDENTIFIER is the switch's id, or its scope and target as in sponsor:Finance or organisation.
    """
    off = asyncio.run(_lift(at, identifier, reason))
    emit(off, as_json=as_json, text=waits(off) or f"{off['resumed']} agents act again; {_heard(off)}")


async def _lift(at: Deployment, identifier: str, reason: str) -> dict[str, Any]:
    client = registry_of(at)
    if not identifier.startswith("urn:"):
        scope, _, target = identifier.partition(":")
        for one in await take(client.switches(on=True)):
            if (one["scope"], one["target"]) == (cast("Scope", scope), target):
                identifier = one["id"]
    return await client.lift(identifier, reason=reason)


def _stopped(on: dict[str, Any]) -> str:
    return f"{on['stopped']} agents are stopped; {_heard(on)}\nundo: unkill {on['id']}"


def _heard(answer: dict[str, Any]) -> str:
    return "verifiers have heard" if answer["propagated"] else "the bridge has not heard of all yet; it will be told"
