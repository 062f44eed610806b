"""`did-agent federation …`: identity providers and platforms whose signed word the bridge takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import click

from did_agent.cli.agents import find_agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, table
from did_agent.client.federation import FederationClient


@click.group()
def federation() -> None:
    """Keep whom else the bridge believes."""


@federation.command()
@click.argument("issuer")
@click.option("--name", required=True, help="What operators see.")
@click.option("--jwks", help="URL of its keys; without it they are discovered from the issuer URL.")
@click.option("--vouches-for-users", is_flag=True, help="Take its identity assertions (ID-JAG).")
@click.option("--workload", help="SUBJECT of its workload tokens; * stands for one part of a name.")
@click.option("--agent", help="The agent that such a workload is, by name, id or DID.")
@click.option("--claim", "claims", multiple=True, help="NAME=VALUE that the workload token must have as well.")
@click.option("--scope", "scopes", multiple=True, help="At most this scope; repeatable.")
@click.option("--reusable", is_flag=True, help="A workload token may be used until it expires, as in Kubernetes.")
@json_option
@click.pass_obj
def trust(at: Deployment, /, issuer: str, *, as_json: bool, **options: Any) -> None:
    """Trust an issuer, or add a workload to one that is trusted."""
    answer = asyncio.run(_trust(at, issuer, options))
    emit(answer, as_json=as_json, text=f"{answer['name']} is trusted; {len(answer['rules'])} workloads")


@federation.command("list")
@json_option
@click.pass_obj
def list_issuers(at: Deployment, as_json: bool) -> None:
    """List trusted issuers."""
    found = asyncio.run(_client(at).issuers())
    shown = [{**row, "workloads": len(row["rules"])} for row in found]
    emit(
        {"trusted_issuers": found},
        as_json=as_json,
        text=table(shown, ("issuer", "name", "vouches_for_users", "workloads")),
    )


@federation.command()
@click.argument("issuer")
@json_option
@click.pass_obj
def distrust(at: Deployment, issuer: str, as_json: bool) -> None:
    """Trust an issuer no more; the tokens made from its word end."""
    asyncio.run(_client(at).delete(issuer))
    emit({"issuer": issuer, "trusted": False}, as_json=as_json, text=f"{issuer} is trusted no more")


@federation.command()
@click.argument("issuer")
@click.argument("subject")
@click.argument("username")
@json_option
@click.pass_obj
def link(at: Deployment, issuer: str, subject: str, username: str, as_json: bool) -> None:
    """Say which account is the person whom ISSUER calls SUBJECT."""
    asyncio.run(_client(at).link(issuer, subject, username))
    linked = {"issuer": issuer, "subject": subject, "username": username}
    emit(linked, as_json=as_json, text=f"{subject} of {issuer} is {username}")


async def _trust(at: Deployment, issuer: str, options: Mapping[str, Any]) -> dict[str, Any]:
    client, rule = _client(at), _rule(options)
    if rule is not None:
        rule["agent"] = (await find_agent(at, rule["agent"]))["did"]
    known: Mapping[str, Any] = next((row for row in await client.issuers() if row["issuer"] == issuer), {"rules": []})
    # The newest rule for a subject replaces the one before; all others stay.
    kept = [other for other in known["rules"] if rule is None or other["subject"] != rule["subject"]]
    return await client.put(
        {
            "issuer": issuer,
            "name": options["name"],
            "jwks_uri": options["jwks"] or known.get("jwks_uri"),
            "vouches_for_users": options["vouches_for_users"] or known.get("vouches_for_users", False),
            "rules": kept if rule is None else [*kept, rule],
        }
    )


def _rule(options: Mapping[str, Any]) -> dict[str, Any] | None:
    if (options["workload"] is None) != (options["agent"] is None):
        raise click.UsageError("--workload and --agent come together")
    if options["workload"] is None:
        return None
    pairs = [claim.partition("=") for claim in options["claims"]]
    if not all(name and equals and value for name, equals, value in pairs):
        raise click.UsageError("--claim is of the form NAME=VALUE")
    return {
        "subject": options["workload"],
        "agent": options["agent"],
        "claims": {name: value for name, _, value in pairs},
        "scopes": list(options["scopes"]) or None,
        "reusable": options["reusable"],
    }


def _client(at: Deployment) -> FederationClient:
    return FederationClient(at.urls.bridge_url, auth=at.operator_auth(at.urls.bridge_url))
