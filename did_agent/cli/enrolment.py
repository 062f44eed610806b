"""`did-agent enrol …` and `did-agent attest …`: who may come in without being registered by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import click

from did_agent.adapters.keystore import write_private
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, say, table
from did_agent.client.enrolment import DEFAULT_SECONDS, EnrolmentClient
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import Misconfigured

TOKENS: Final = ("id", "template", "left", "uses", "expires", "ended", "note")
WAITING: Final = ("id", "agent_id", "asking", "source", "did", "asked", "verdict")
RULES: Final = ("name", "issuer", "template", "agent_name", "rebind", "needs_approval")
_MAX_JWKS: Final = 65_536  # bytes


@click.group()
def enrol() -> None:
    """Let agents in by tokens, and see who waits."""


@enrol.group()
def token() -> None:
    """Tokens that let a number of agents enrol as instances of a blueprint."""


@token.command()
@click.argument("template")
@click.option("--uses", default=1, show_default=True, help="Agents that may come in by it.")
@click.option("--valid", "valid_seconds", default=DEFAULT_SECONDS, show_default=True, help="Seconds it can be used.")
@click.option("--group", "groups", multiple=True, help="A group its agents join; repeat for more.")
@click.option("--owner", help="Principal who owns its agents; you, unless somebody else.")
@click.option("--approval", "needs_approval", is_flag=True, help="The owner has to agree to each agent.")
@click.option("--note", default="", help="What it is for.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a new file, for you alone.")
@json_option
@click.pass_obj
def create(at: Deployment, /, template: str, *, out: Path | None, as_json: bool, **options: Any) -> None:
    """Make a token for agents of TEMPLATE; it is shown this once."""
    made = asyncio.run(client_of(at).create_token(template, **options))
    if out is not None:
        write_new(out, made.pop("token"))
        emit(made, as_json=as_json, text=f"{out} lets {made['uses']} agents in until {made['expires']}")
        return
    if not as_json:
        say(f"lets {made['uses']} agents in until {made['expires']}; it is not shown again")
    emit(made, as_json=as_json, text=made["token"])


@token.command("list")
@json_option
@click.pass_obj
def list_tokens(at: Deployment, as_json: bool) -> None:
    """List tokens, without their secrets."""
    found = asyncio.run(client_of(at).tokens())
    emit({"enrolment_tokens": found}, as_json=as_json, text=table(found, TOKENS))


@token.command()
@click.argument("identifier")
@json_option
@click.pass_obj
def revoke(at: Deployment, identifier: str, as_json: bool) -> None:
    """Withdraw a token; agents that came by it stay."""
    ended = asyncio.run(client_of(at).revoke_token(identifier))
    emit(ended, as_json=as_json, text=f"{ended['id']} lets nobody in any more")


@enrol.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that were decided too.")
@json_option
@click.pass_obj
def list_enrolments(at: Deployment, everything: bool, as_json: bool) -> None:
    """List the keys that wait for their owner's word."""
    found = asyncio.run(client_of(at).enrolments(verdict=None if everything else "waiting"))
    emit({"enrolments": found}, as_json=as_json, text=table(found, WAITING))


@enrol.command()
@click.option("--template", help="For agents of this blueprint; without it for all.")
@click.option("--approval/--no-approval", "needs_approval", required=True, help="Whether owners have to agree.")
@json_option
@click.pass_obj
def policy(at: Deployment, template: str | None, needs_approval: bool, as_json: bool) -> None:
    """Say whether enrolled agents wait until their owner agrees."""
    said = asyncio.run(client_of(at).put_policy(needs_approval=needs_approval, template=template))
    words = "wait for their owner" if needs_approval else "act at once"
    emit(said, as_json=as_json, text=f"agents{'' if template is None else ' of ' + template} {words}")


@click.group()
def attest() -> None:
    """Let workloads in that a platform vouches for."""


@attest.group()
def rule() -> None:
    """Rules that say which workloads are instances of which blueprint."""


@rule.command()
@click.argument("name")
@click.option("--issuer", required=True, help="Exact `iss` of the platform's tokens.")
@click.option("--claim", "claims", multiple=True, required=True, help="NAME=VALUE; * stands inside one part of a name.")
@click.option("--template", required=True, help="The blueprint that such workloads are instances of.")
@click.option("--agent-name", required=True, help="What the agent is called; {claim} stands for a claim.")
@click.option("--jwks", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File with its keys.")
@click.option("--jwks-uri", help="Where its keys are; without it and --jwks they are discovered.")
@click.option("--tag", "tags", multiple=True)
@click.option("--metadata", multiple=True, help="NAME=VALUE; {claim} stands for a claim.")
@click.option("--sponsor", help="Who answers for such agents, instead of the blueprint's sponsor.")
@click.option("--owner", help="Principal who owns such agents; you, unless somebody else.")
@click.option("--approval", "needs_approval", is_flag=True, help="The owner has to agree to each agent.")
@click.option(
    "--rebind",
    type=click.Choice(["allow", "approve", "refuse"]),
    default="refuse",
    show_default=True,
    help="What happens when the same workload comes back with another key.",
)
@json_option
@click.pass_obj
def add(at: Deployment, /, name: str, *, as_json: bool, **options: Any) -> None:
    """Add a rule, or say one anew."""
    jwks = options.pop("jwks")
    wanted = {
        **options,
        "claims": _pairs(options["claims"], "--claim"),
        "metadata": _pairs(options["metadata"], "--metadata"),
        "tags": list(options["tags"]),
        "jwks": None if jwks is None else parse_object(jwks.read_bytes(), max_bytes=_MAX_JWKS),
    }
    kept = asyncio.run(client_of(at).put_rule(name, wanted))
    emit(kept, as_json=as_json, text=f"{kept['name']}: workloads of {kept['issuer']} are {kept['template']}")


@rule.command("list")
@json_option
@click.pass_obj
def list_rules(at: Deployment, as_json: bool) -> None:
    """List rules."""
    found = asyncio.run(client_of(at).rules())
    emit({"attestation_rules": found}, as_json=as_json, text=table(found, RULES))


@rule.command()
@click.argument("name")
@json_option
@click.pass_obj
def remove(at: Deployment, name: str, as_json: bool) -> None:
    """Let no workload in by a rule any more; agents that came by it stay."""
    asyncio.run(client_of(at).remove_rule(name))
    emit({"name": name, "removed": True}, as_json=as_json, text=f"{name} lets nobody in any more")


def client_of(at: Deployment) -> EnrolmentClient:
    """Return the issuer as the operator who lets agents in."""
    return EnrolmentClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))


def write_new(path: Path, secret: str) -> None:
    """Write a secret to a file that is new and readable by its owner alone.

    Raises: Misconfigured.
    """
    try:
        write_private(path, secret.encode(), replace=False)
    except FileExistsError as error:
        raise Misconfigured(f"{path} exists; secrets never replace a file") from error


def _pairs(texts: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if not all(name and equals for name, equals, _ in pairs):
        raise click.UsageError(f"{option} is of the form NAME=VALUE")
    return {name: value for name, _, value in pairs}
