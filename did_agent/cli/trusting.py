"""`did-agent trust …`: which other deployments' issuers count here, and for what."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import click

from did_agent.cli.agents import agent, find_agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.organisations import waits
from did_agent.cli.output import emit, json_option, say, table
from did_agent.client.trust import TrustClient, issuer_did
from did_agent.clock import format_timestamp, system_clock
from did_agent.errors import UntrustedIssuer
from did_agent.tokens.trust_list import TrustList, entry_to_json

COLUMNS: Final = ("id", "issuer", "url", "types", "resources", "tools", "valid_until", "note")


@click.group()
def trust() -> None:
    """Say which other deployments' issuers count here."""


@trust.command()
@click.argument("issuer")
@click.option("--resource", "resources", multiple=True, required=True, help="Exact identifier of ours; repeatable.")
@click.option("--tool", "tools", multiple=True, help="Tool it may grant there; none: all.")
@click.option("--did", help="The DID it must have; then nothing is asked.")
@click.option("--yes", is_flag=True, help="Believe the DID that the address answers with.")
@click.option("--url", help="Address of its issuer, where ISSUER is a DID: its status lists lie there.")
@click.option("--key", "keys", multiple=True, help="did:key that a did:web may use; none: all its document lists.")
@click.option(
    "--type",
    "types",
    type=click.Choice(("capability", "identity", "status")),
    multiple=True,
    default=("capability", "status"),
    show_default=True,
    help="What it may say: who may do what, on whose behalf, and what was taken back.",
)
@click.option("--from", "valid_from", help="When it begins, as 2027-01-31T00:00:00Z.")
@click.option("--until", "valid_until", help="When it ends by itself.")
@click.option("--note", help="Why; kept here, not published.")
@json_option
@click.pass_obj
def add(at: Deployment, /, issuer: str, *, did: str | None, yes: bool, as_json: bool, **said: Any) -> None:
    """Trust the issuer at an https address, or with a DID, for servers of ours."""
    added = asyncio.run(_add(at, issuer, did, sure=yes, said=said))
    emit(added, as_json=as_json, text=waits(added) or _granted(added))


@trust.command()
@click.argument("identifier")
@json_option
@click.pass_obj
def remove(at: Deployment, identifier: str, as_json: bool) -> None:
    """Take a line out by its id, or all lines of an issuer by its DID or address; access ends within a minute."""
    removed = asyncio.run(_remove(at, identifier))
    lines = (waits(one) or f"{one['issuer']} is trusted no more" for one in removed)
    emit({"removed": removed}, as_json=as_json, text="\n".join(lines))


@trust.command("list")
@json_option
@click.pass_obj
def list_trust(at: Deployment, as_json: bool) -> None:
    """List whom this deployment trusts."""
    found = asyncio.run(_client(at).list())
    shown = [{**row, "types": " ".join(row["types"]), "resources": " ".join(row["resources"])} for row in found]
    emit({"trust": found}, as_json=as_json, text=table(shown, COLUMNS))


@trust.command()
@click.argument("identifier")
@json_option
@click.pass_obj
def show(at: Deployment, identifier: str, as_json: bool) -> None:
    """Show one line."""
    found = asyncio.run(_client(at).show(identifier))
    emit(found, as_json=as_json, text=table([found], COLUMNS))


@trust.command()
@json_option
@click.pass_obj
def verify(at: Deployment, as_json: bool) -> None:
    """Read the published list as a guard does, and check that an issuer of trust.json signed it."""
    now = system_clock()
    found = asyncio.run(TrustClient(at.urls.issuer_url).published(anchors=frozenset(at.trust.issuers), now=now))
    emit(_told(found), as_json=as_json, text=f"version {found.version}, {len(found.entries)} lines, by {found.issuer}")


@agent.command("did-web")
@click.argument("name")
@click.option("--withdraw", is_flag=True, help="Publish it no more.")
@json_option
@click.pass_obj
def did_web(at: Deployment, name: str, withdraw: bool, as_json: bool) -> None:
    """Publish the DID document of an agent under the issuer's name, for those who know it by did:web."""
    did = asyncio.run(_did_web(at, name, withdraw=withdraw))
    emit({"did": did}, as_json=as_json, text=did or f"{name} has no did:web")


async def _add(at: Deployment, issuer: str, did: str | None, *, sure: bool, said: Mapping[str, Any]) -> dict[str, Any]:
    url = said["url"]
    if not issuer.startswith("did:"):
        if url is not None:
            raise click.UsageError("--url belongs to a DID")
        url, issuer = issuer, await _confirmed(issuer, did, sure=sure)
    elif did not in (None, issuer):
        raise click.UsageError("--did is another DID than ISSUER")
    elif url is None and issuer.startswith("did:key:"):
        say("without --url its status lists lie nowhere: credentials that can be revoked will be refused")
    return await _client(at).add(
        issuer,
        url=url,
        types=list(said["types"]),
        resources=list(said["resources"]),
        tools=list(said["tools"]) or None,
        keys=list(said["keys"]),
        **{name: said[name] for name in ("valid_from", "valid_until", "note")},
    )


def _granted(line: Mapping[str, Any]) -> str:
    tools, resources = ", ".join(line["tools"] or ["every tool"]), ", ".join(line["resources"])
    return f"{line['issuer']} may grant {tools} at {resources} ({line['id']})"


async def _confirmed(url: str, did: str | None, *, sure: bool) -> str:
    found = await issuer_did(url)
    if did is not None and did != found:
        raise UntrustedIssuer(f"{url[:200]} says it is {found}, not {did[:200]}")
    if did is None and not sure:
        say(f"{url} says it is\n  {found}")
        click.confirm("Do its people say the same?", abort=True, err=True)
    return found


async def _remove(at: Deployment, identifier: str) -> list[dict[str, Any]]:
    client = _client(at)
    if not identifier.startswith(("did:", "http")):
        return [await client.remove(identifier)]
    named = [one for one in await client.list() if identifier in (one["issuer"], one["url"])]
    if not named:
        return [await client.remove(identifier)]  # which says that there is none
    return [await client.remove(one["id"]) for one in named]


async def _did_web(at: Deployment, name: str, *, withdraw: bool) -> str | None:
    found, client = await find_agent(at, name), _client(at)
    if withdraw:
        await client.withdraw_did(found["agent_id"])
        return None
    return await client.publish_did(found["agent_id"])


def _told(found: TrustList) -> dict[str, Any]:
    return {
        "issuer": found.issuer,
        "version": found.version,
        "issued": format_timestamp(found.issued),
        "expires": format_timestamp(found.expires),
        "own": list(found.own),
        "entries": [entry_to_json(entry) for entry in found.entries],
    }


def _client(at: Deployment) -> TrustClient:
    return TrustClient(at.urls.issuer_url, at.operator_auth(at.urls.issuer_url))
