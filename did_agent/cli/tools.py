"""`did-agent tool …`: read what tools say, approve them word for word, and see what changed (LLM-06)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from did_agent.adapters.tool_pins import FILE, MAX_LISTING, SEEN, Listing, load_listing, load_pins, save_pins
from did_agent.agent import Agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import REFUSED, emit, grid, json_option, say
from did_agent.cli.tool_texts import beware, lines_of, shown
from did_agent.cli.visible import visible
from did_agent.clock import format_timestamp, system_clock
from did_agent.did.key import did_key
from did_agent.errors import Misconfigured, StateConflict
from did_agent.keys.ed25519 import SigningKey
from did_agent.policy import tool_review
from did_agent.policy.tool_review import Review, chosen, review
from did_agent.tokens.tool_pins import PINNED, Pin, ToolPins, digest_of

_source: Final = click.option(
    "--from",
    "source",
    help="What lists the tools: a server's URL, or a saved answer to tools/list; else what a guard saw.",
)
_agent: Final = click.option(
    "--agent", "agent_name", help="Ask the server as this agent of the wallet; else as nobody."
)
_resource: Final = click.option("--resource", help="The guarded resource, where the source does not tell it.")
_pins: Final = click.option(
    "--pins",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The approvals; else tools.json in the data folder.",
)
_tools: Final = click.argument("tools", nargs=-1)
_yes: Final = click.option("--yes", is_flag=True, help="Do not ask.")


def _options(*options: Callable[..., Any]) -> Callable[..., Any]:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group()
def tool() -> None:
    """Approve the tools of MCP servers; guards block what is not as it was approved."""


@tool.command("list")
@_options(_source, _agent, _resource, _pins, json_option, click.pass_obj)
def list_tools(at: Deployment, source: str | None, as_json: bool, **where: Any) -> None:
    """List what is approved; with --from, or where a guard saw it, beside what the server lists now."""
    pins = _load(at, where["file"])
    if source is None:
        rows = [_row(resource, one) for resource, reviews in _everything(at, pins).items() for one in reviews]
    else:
        resource, reviews = _reviews(at, pins, source, **where)
        rows = [_row(resource, one) for one in reviews]
    lines = [("RESOURCE", "TOOL", "STATE", "READS", "APPROVED", "DIGEST"), *(_line(row) for row in rows)]
    emit({"tools": rows}, as_json=as_json, text=grid(lines) if rows else "nothing is approved")


@tool.command()
@_options(_tools, _source, _agent, _resource, _pins, json_option, click.pass_obj)
def diff(at: Deployment, tools: Sequence[str], source: str | None, as_json: bool, **where: Any) -> None:
    """Show exactly how tools differ from what was approved; exit 1 when any does."""
    resource, reviews = _reviews(at, _load(at, where["file"]), source, **where)
    different = [one for one in chosen(reviews, tools) if one.state != "approved"]
    text = "\n".join(shown(different)) if different else "all tools are as they were approved"
    emit({"resource": resource, "tools": [_told(resource, one) for one in different]}, as_json=as_json, text=text)
    if different:
        sys.exit(REFUSED)


@tool.command()
@_options(
    _tools,
    _source,
    _agent,
    _resource,
    _pins,
    click.option("--reads", multiple=True, metavar="TOOL", help="This tool changes nothing, whatever the server says."),
    _yes,
    json_option,
    click.pass_obj,
)
def approve(
    at: Deployment,
    tools: Sequence[str],
    source: str | None,
    reads: Sequence[str],
    yes: bool,
    as_json: bool,
    **where: Any,
) -> None:
    """Approve tools as they are now: all that are new or changed, or those named."""
    key = _operator_key(at)
    before = _load(at, where["file"])
    resource, reviews = _reviews(at, before, source, **where)
    chosen(reviews, reads)
    found = [one for one in chosen(reviews, tools) if _needs_approval(one, reads)]
    for line in shown(found):
        say(line) if as_json else click.echo(line)
    if not found:
        emit({"resource": resource, "approved": []}, as_json=as_json, text="there is nothing to approve")
        return
    if not yes:
        click.confirm(f"approve {len(found)} tools of {visible(resource)}?", abort=True, err=True)
    kept = [one.name for one in found if one.state == "approved" and one.pin is not None and one.pin.reads]
    after = tool_review.approve(
        before, resource, found, reads=(*reads, *kept), by=did_key(key.public), at=system_clock()
    )
    _save(at, where["file"], before, after)
    names = [one.name for one in found]
    emit(
        {"resource": resource, "version": after.version, "approved": names},
        as_json=as_json,
        text=f"approved for {resource}: {', '.join(map(visible, names))} (version {after.version})",
    )


@tool.command()
@_options(click.argument("tools", nargs=-1, required=True), _resource, _pins, json_option, click.pass_obj)
def revoke(at: Deployment, tools: Sequence[str], resource: str | None, file: Path | None, as_json: bool) -> None:
    """Take approvals back; guards block these tools at once."""
    before = _load(at, file)
    if before is None:
        raise Misconfigured("no tool was ever approved here")
    resource = resource or _only(before.servers, "--resource")
    key = _operator_key(at)
    after = tool_review.revoke(before, resource, tools, by=did_key(key.public), at=system_clock())
    _save(at, file, before, after)
    emit(
        {"resource": resource, "version": after.version, "revoked": list(tools)},
        as_json=as_json,
        text=f"no longer approved for {resource}: {', '.join(map(visible, tools))} (version {after.version})",
    )


def _operator_key(at: Deployment) -> SigningKey:
    key = at.operator_key
    if did_key(key.public) not in at.trust.operators:
        raise Misconfigured(f"{did_key(key.public)} is no operator in trust.json, so no guard would believe it")
    return key


def _needs_approval(one: Review, reads: Sequence[str]) -> bool:
    if one.state == "approved" and one.pin is not None:
        return one.name in reads and not one.pin.reads
    return one.now is not None


def _reviews(
    at: Deployment,
    pins: ToolPins | None,
    source: str | None,
    *,
    agent_name: str | None,
    resource: str | None,
    file: Path | None,  # noqa: ARG001  # one of the options that go together
) -> tuple[str, Sequence[Review]]:
    listing = _listing(at, source, agent_name, resource)
    named = resource or listing.resource
    if named is None:
        raise Misconfigured("the list does not tell whose tools these are; say --resource")
    return named, review(listing.tools, _servers(pins).get(named, {}))


def _everything(at: Deployment, pins: ToolPins | None) -> Mapping[str, Sequence[Review]]:
    """Return what is approved, beside what guards saw of it."""
    approved = {
        resource: [Review(name=pin.name, now=pin.definition, pin=pin) for pin in of.values()]
        for resource, of in _servers(pins).items()
    }
    seen = {
        one.resource: review(one.tools, _servers(pins).get(one.resource, {}))
        for one in map(_read, _sightings(at))
        if one.resource is not None
    }
    return {**approved, **seen}


def _listing(at: Deployment, source: str | None, agent_name: str | None, resource: str | None) -> Listing:
    if source is None:
        seen = {one.resource or "": one for one in map(_read, _sightings(at))}
        return seen[resource if resource in seen else _only(seen, "--from, or --resource")]
    if not source.startswith(("http://", "https://")):
        return _read(Path(source))
    return asyncio.run(_asked(at, source, agent_name))


async def _asked(at: Deployment, url: str, agent_name: str | None) -> Listing:
    from did_agent.adapters.http import peer_client
    from did_agent.client import tools as client

    auth = None
    if agent_name is not None:
        auth = Agent(agent_name, at.wallet.key(agent_name), at.wallet).auth(url, bridge=at.urls.bridge_url)
    async with peer_client(auth=auth) as http:
        return Listing(resource=url, tools=await client.list_tools(http, url))


def _sightings(at: Deployment) -> list[Path]:
    return sorted((at.data / SEEN).glob("*.json"))


def _read(path: Path) -> Listing:
    with path.open("rb") as file:
        return load_listing(file.read(MAX_LISTING + 1))


def _only(named: Mapping[str, object], option: str) -> str:
    if len(named) != 1:
        raise Misconfigured(f"{'no server was' if not named else 'several servers were'} seen; say {option}")
    return next(iter(named))


def _load(at: Deployment, file: Path | None) -> ToolPins | None:
    return load_pins(file or at.data / FILE, operators=at.trust.operators)


def _save(at: Deployment, file: Path | None, before: ToolPins | None, after: ToolPins) -> None:
    now = _load(at, file)
    if (now.version if now else 0) != (before.version if before else 0):
        raise StateConflict("somebody else approved or revoked tools in the meantime; look again")
    save_pins(file or at.data / FILE, after, key=at.operator_key)


def _servers(pins: ToolPins | None) -> Mapping[str, Mapping[str, Pin]]:
    return {} if pins is None else pins.servers


def _row(resource: str, one: Review) -> dict[str, Any]:
    pin = one.pin
    return {
        "resource": resource,
        "name": one.name,
        "state": one.state,
        "digest": None if one.now is None else digest_of(one.now),
        "approved_digest": None if pin is None else pin.digest,
        "reads": pin is not None and pin.reads,
        "by": None if pin is None else pin.by,
        "at": None if pin is None else format_timestamp(pin.at),
    }


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    digest = row["digest"] or row["approved_digest"]
    reads = "yes" if row["reads"] else "no"
    return visible(row["resource"]), visible(row["name"]), row["state"], reads, row["at"] or "-", digest


def _told(resource: str, one: Review) -> dict[str, Any]:
    before = {} if one.pin is None else one.pin.definition
    changed = {
        member: {"approved": before.get(member), "now": (one.now or {}).get(member)}
        for member in PINNED
        if lines_of(before, member) != lines_of(one.now or {}, member)
    }
    return {**_row(resource, one), "beware": beware(one.now or {}), "changed": changed}
