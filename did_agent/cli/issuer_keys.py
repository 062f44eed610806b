"""`did-agent issuer-key …`: the keys an organisation signs its credentials and lists with."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import click

from did_agent.adapters.trust import FILE, save_trust
from did_agent.cli.deployment import Deployment
from did_agent.cli.organisations import waits
from did_agent.cli.output import emit, json_option, table
from did_agent.client.issuer_keys import IssuerKeysClient

_COLUMNS = ("did", "state", "generation", "origin", "activates", "replaced", "ended")
_did = click.argument("did")
_reason = click.option("--reason", required=True, help="Why; kept in the audit log.")


@click.group("issuer-key")
def issuer_key() -> None:
    """Rotate, retire and revoke the keys your organisation signs credentials and lists with."""


@issuer_key.command("list")
@json_option
@click.pass_obj
def list_keys(at: Deployment, as_json: bool) -> None:
    """List keys with their states: pending, active, retiring, retired, revoked."""
    found = asyncio.run(_client(at).all())
    emit({"issuer_keys": found}, as_json=as_json, text=table(found, _COLUMNS))


@issuer_key.command()
@click.option("--reason", default="routine rotation", show_default=True, help="Kept in the audit log.")
@json_option
@click.pass_obj
def rotate(at: Deployment, reason: str, as_json: bool) -> None:
    """Publish a successor, which signs once every verifier can know it."""
    made = asyncio.run(_rotate(at, reason))
    text = waits(made) or f"{made['did']} is published and signs from {made['activates']}"
    emit(made, as_json=as_json, text=text)


@issuer_key.command()
@_did
@json_option
@click.pass_obj
def impact(at: Deployment, did: str, as_json: bool) -> None:
    """Show what the end of a key would end."""
    found = asyncio.run(_client(at).impact(did))
    emit(found, as_json=as_json, text=_counted(found))


@issuer_key.command()
@_did
@_reason
@json_option
@click.pass_obj
def retire(at: Deployment, did: str, reason: str, as_json: bool) -> None:
    """Believe a key no more that another one signs in place of; refused while credentials hang on it."""
    done = asyncio.run(_retire(at, did, reason))
    emit(done, as_json=as_json, text=waits(done) or f"{did} is retired")


@issuer_key.command()
@_did
@_reason
@click.option("--yes", is_flag=True, help="Do it without the question.")
@json_option
@click.pass_obj
def revoke(at: Deployment, did: str, reason: str, yes: bool, as_json: bool) -> None:
    """End a key at once, with every credential it signed: for a key that somebody else has."""
    asyncio.run(_revoke(at, did, reason, yes=yes, as_json=as_json))


async def _rotate(at: Deployment, reason: str) -> dict[str, Any]:
    client = _client(at)
    made = await client.rotate(reason=reason)
    if "proposal" not in made:
        await _follow(at, client)
    return made


async def _retire(at: Deployment, did: str, reason: str) -> dict[str, Any]:
    client = _client(at)
    done = await client.retire(did, reason=reason)
    if "proposal" not in done:
        await _follow(at, client)
    return done


async def _revoke(at: Deployment, did: str, reason: str, *, yes: bool, as_json: bool) -> None:
    client = _client(at)
    if not yes:
        click.confirm(f"{_counted(await client.impact(did))}\nEnd it?", abort=True, err=True)
    done = await client.revoke(did, reason=reason)
    if "proposal" not in done:
        await _follow(at, client)
    emit(done, as_json=as_json, text=waits(done) or f"ended with {_counted(done)}")


async def _follow(at: Deployment, client: IssuerKeysClient) -> None:
    """Have what starts here from now on be set up with the keys that are believed."""
    states, trust = {str(key["did"]): key["state"] for key in await client.all()}, at.trust
    if not states.keys() & set(trust.issuers):
        return  # another organisation's: nobody here is set up with them
    believed = [did for did, state in states.items() if state not in ("retired", "revoked")]
    issuers = tuple(dict.fromkeys([*(one for one in trust.issuers if one not in states), *believed]))
    save_trust(at.data / FILE, replace(trust, issuers=issuers))


def _counted(found: dict[str, Any]) -> str:
    text = f"{found['credentials']} credentials of {found['agents']} agents, {found['delegations']} delegations"
    names = ", ".join(found["organisations"])
    return f"{len(found['keys'])} keys ({names}): {text}"


def _client(at: Deployment) -> IssuerKeysClient:
    return IssuerKeysClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))
