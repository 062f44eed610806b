"""`did-agent agent enrol|approve|reject|rotate|recover|keys|custodial`: which key speaks for an agent."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final, Literal

import click

from did_agent.agent import Agent
from did_agent.cli.agents import agent, find_agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.enrolment import client_of, write_new
from did_agent.cli.output import emit, json_option, table
from did_agent.client.enrolment import HOME
from did_agent.client.wire import text_in
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import AuthorizationPending, Misconfigured, NotFound

__all__ = ["agent"]  # with the commands of this module
KEYS: Final = ("did", "added", "ended", "why")
_MAX_FILE: Final = 65_536  # bytes
_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@agent.command()
@click.argument("name")
@click.option("--token", envvar="DID_AGENT_ENROLMENT_TOKEN", help="An enrolment token.")
@click.option("--token-file", type=_file, help="File with an enrolment token.")
@click.option("--attest-file", type=_file, help="File with the platform's token for this workload.")
@click.option("--invitation", type=_file, help="File that `agent recover --out` wrote.")
@click.option("--new-key", is_flag=True, help="Answer with another key than the wallet has; it replaces that one.")
@click.option("--organisation", default=HOME, show_default=True, help="Whose rules an attestation is judged by.")
@json_option
@click.pass_obj
def enrol(at: Deployment, /, name: str, *, new_key: bool, as_json: bool, **options: Any) -> None:
    """Enrol an agent of the wallet here; its key is made if needed."""
    ways = [way for way in ("token", "token_file", "attest_file", "invitation") if options[way] is not None]
    if len(ways) != 1:
        raise click.UsageError("say one of --token, --token-file, --attest-file and --invitation")
    wallet = at.wallet
    if name not in wallet.names():
        wallet.create(name)
    held = Agent(name, wallet.next_key(name) if new_key else wallet.key(name), wallet)
    try:
        asyncio.run(_enrol(at, held, ways[0], options))
        state = "active"
    except AuthorizationPending:
        state = "waiting"
    if new_key:
        wallet.promote(name)
    words = f"{name} is active as {held.did}" if state == "active" else f"{name} waits for its owner, as {held.did}"
    emit({"name": name, "did": held.did, "state": state}, as_json=as_json, text=words)


async def _enrol(at: Deployment, held: Agent, way: str, options: dict[str, Any]) -> None:
    issuer = at.urls.issuer_url
    if way == "invitation":
        said = parse_object(_read(options[way]).encode())
        await held.enrol(issuer, text_in(said, "agent_id"), text_in(said, "challenge"))
    elif way == "attest_file":
        await held.attest(issuer, _read(options[way]), organisation=options["organisation"])
    else:
        await held.enrol_with(issuer, options["token"] or _read(options["token_file"]))


def _decide(decision: Literal["approve", "reject"], words: str) -> None:
    @agent.command(decision, help=words)
    @click.argument("name")
    @click.option("--reason", required=True, help="Why; kept in the audit log.")
    @json_option
    @click.pass_obj
    def command(at: Deployment, name: str, reason: str, as_json: bool) -> None:
        decided = asyncio.run(_decided(at, name, decision, reason))
        text = f"{decided['agent']['name']} is {decided['agent']['state']}; {decided['did']} is {decided['verdict']}"
        emit(decided, as_json=as_json, text=text)


async def _decided(at: Deployment, name: str, decision: Literal["approve", "reject"], reason: str) -> dict[str, Any]:
    found, client = await find_agent(at, name), client_of(at)
    waiting = [one for one in await client.enrolments() if one["agent_id"] == found["agent_id"]]
    if not waiting:
        raise NotFound(f"no key waits to speak for {name}")
    return await client.decide(waiting[0]["id"], decision, reason=reason)


_decide("approve", "Let the key that waits speak for an agent.")
_decide("reject", "Refuse the key that waits; an agent that never had another is retired.")


@agent.command()
@click.argument("name")
@json_option
@click.pass_obj
def rotate(at: Deployment, name: str, as_json: bool) -> None:
    """Replace the key of an agent of the wallet here; what it holds goes over to the new one."""
    held = Agent.load(name, path=at.wallet.path)
    before = held.did
    asyncio.run(held.rotate(at.urls.issuer_url))
    emit({"name": name, "before": before, "did": held.did}, as_json=as_json, text=f"{name} is {held.did} from now on")


@agent.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the audit log.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a new file, for you alone.")
@json_option
@click.pass_obj
def recover(at: Deployment, name: str, reason: str, out: Path | None, as_json: bool) -> None:
    """End an agent's lost key at once, and print the invitation that its next key answers."""
    made = asyncio.run(_recover(at, name, reason))
    invitation = {"agent_id": made["agent_id"], "challenge": made["enrolment"]["challenge"]}
    if out is None:
        emit({**made, **invitation}, as_json=as_json, text=json.dumps(invitation))
        return
    write_new(out, json.dumps(invitation))
    shown = {key: value for key, value in made.items() if key != "enrolment"}
    emit(shown, as_json=as_json, text=f"the key of {made['name']} is ended; {out} invites the next one")


async def _recover(at: Deployment, name: str, reason: str) -> dict[str, Any]:
    found = await find_agent(at, name)
    return await client_of(at).recover(found["agent_id"], reason=reason)


@agent.command()
@click.argument("name")
@json_option
@click.pass_obj
def keys(at: Deployment, name: str, as_json: bool) -> None:
    """List the keys an agent has and had, the newest first."""
    found = asyncio.run(_keys(at, name))
    emit({"keys": found}, as_json=as_json, text=table(found, KEYS))


async def _keys(at: Deployment, name: str) -> list[dict[str, Any]]:
    found = await find_agent(at, name)
    return await client_of(at).keys(found["agent_id"])


@agent.command()
@click.argument("name")
@click.option("--recipient", help="Seal it for this age recipient.")
@click.option("--passphrase-file", type=_file, help="Seal it by the passphrase in this file.")
@json_option
@click.pass_obj
def custodial(at: Deployment, name: str, recipient: str | None, passphrase_file: Path | None, as_json: bool) -> None:
    """Let the issuer make a pending agent's key, and print it sealed (age); it is shown this once and not kept."""
    if (recipient is None) == (passphrase_file is None):
        raise click.UsageError("say one of --recipient and --passphrase-file")
    passphrase = None if passphrase_file is None else _read(passphrase_file)
    made = asyncio.run(_custodial(at, name, recipient, passphrase))
    emit(made, as_json=as_json, text=made["sealed_key"])


async def _custodial(at: Deployment, name: str, recipient: str | None, passphrase: str | None) -> dict[str, Any]:
    found = await find_agent(at, name)
    return await client_of(at).custodial_key(found["agent_id"], recipient=recipient, passphrase=passphrase)


def _read(path: Path) -> str:
    content = path.read_bytes()[: _MAX_FILE + 1]
    try:
        if len(content) > _MAX_FILE:
            raise Misconfigured(f"{path} is too large")
        return content.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path} is not ASCII") from error
