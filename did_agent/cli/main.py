"""The entry point of `did-agent`: global options, the commands, and what every error ends with."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import click

from did_agent.cli.administration import resource, user
from did_agent.cli.agent_keys import agent
from did_agent.cli.auditing import audit
from did_agent.cli.backup import backup, restore
from did_agent.cli.clients import client, subject
from did_agent.cli.console_client import console_client
from did_agent.cli.credentials import cred
from did_agent.cli.database import database
from did_agent.cli.delegations import delegation
from did_agent.cli.deployment import DEFAULT_DATA, Deployment, Urls, initialise
from did_agent.cli.doctor import doctor
from did_agent.cli.enrolment import attest, enrol
from did_agent.cli.erasing import erase
from did_agent.cli.evidence import make_bundle, verify_bundle
from did_agent.cli.federation import federation
from did_agent.cli.granting import capability, request, role
from did_agent.cli.importing import import_agents
from did_agent.cli.inspection import verify_file
from did_agent.cli.issuer_keys import issuer_key
from did_agent.cli.keys import did, key
from did_agent.cli.kill import kill, unkill
from did_agent.cli.login import login
from did_agent.cli.offers import offer
from did_agent.cli.operators import operator
from did_agent.cli.organisations import proposal
from did_agent.cli.output import REFUSED, emit, fail, json_option, say
from did_agent.cli.people import org
from did_agent.cli.policy import policy
from did_agent.cli.proving import prove
from did_agent.cli.registry import group as agent_group
from did_agent.cli.registry import template
from did_agent.cli.signing_keys import signing_key
from did_agent.cli.tasks import signal, task
from did_agent.cli.tokens import token
from did_agent.cli.tools import tool
from did_agent.cli.trusting import trust
from did_agent.cli.up import asked_to_end, run_alone, running
from did_agent.cli.webhooks import webhook
from did_agent.cli.why import why
from did_agent.cli.witness import cosignatures, witness
from did_agent.errors import DidAgentError, Misconfigured

DEFAULT_PORT = 8_400
GROUP = "did_agent.commands"
_HIGHEST_BASE = 65_529  # the last party listens six ports above


class Commands(click.Group):
    """The root group: every error of a command ends with one line, a hint, and its exit code.

    Parties bring commands of their own; they are loaded when they are called for.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *(entry.name for entry in entry_points(group=GROUP))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, ours or a party's."""
        found = super().get_command(ctx, cmd_name)
        for entry in () if found is not None else entry_points(group=GROUP, name=cmd_name):
            try:
                found = entry.load()
            except ImportError as error:
                found = _not_installed(cmd_name, error)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except DidAgentError as error:
            fail(error)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # the reader of our output went away, as `head` does; click ends quietly
            fail(Misconfigured(f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}"))
        except Exception as error:  # the outermost handler
            if "DID_AGENT_DEBUG" in os.environ:
                raise
            say(f"did-agent: unexpected {type(error).__name__}: {error}")
            say("hint: this is a defect of did-agent or of the server it talks to; DID_AGENT_DEBUG=1 shows where")
            sys.exit(REFUSED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("did-agent"), prog_name="did-agent")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="DID_AGENT_DATA",
    default=DEFAULT_DATA,
    show_default=True,
    help="Folder of keys, wallet and databases.",
)
@click.pass_context
def cli(context: click.Context, data: Path) -> None:
    """Verifiable identity for AI agents."""
    context.obj = Deployment(urls=Urls(), data=data)


@cli.command()
@json_option
@click.pass_obj
def init(at: Deployment, as_json: bool) -> None:
    """Make the keys of a deployment and its trust.json; what exists stays."""
    trust = initialise(at.data)
    operator = trust.operators[0] if trust.operators else None
    emit({"data": str(at.data), "operator": operator}, as_json=as_json, text=f"{at.data} is ready; operator {operator}")


@cli.command()
@click.option(
    "--data", "folder", type=click.Path(file_okay=False, path_type=Path), help="Folder to keep everything in."
)
@click.option(
    "--port",
    type=click.IntRange(1, _HIGHEST_BASE),
    default=DEFAULT_PORT,
    show_default=True,
    help="First port; the parties take those above it.",
)
@click.option("--vc-api", is_flag=True, help="Offer the W3C VC-API too: for interop, without authentication.")
@json_option
@click.pass_obj
def up(at: Deployment, folder: Path | None, port: int, vc_api: bool, as_json: bool) -> None:
    """Run bridge, issuer, ledger, console and the demo MCP server until Ctrl-C."""
    asyncio.run(_up(folder or at.data, port, vc_api=vc_api, as_json=as_json))


async def _up(data: Path, port: int, *, vc_api: bool, as_json: bool) -> None:
    from did_agent.adapters.log_lines import set_up_logs

    asked = asked_to_end()
    set_up_logs()
    async with running(data, port, vc_api=vc_api) as deployment:
        if as_json:
            emit({"data": str(data), **deployment.urls.model_dump()}, as_json=True)
        say("did-agent is up. Stop with Ctrl-C.")
        for label, url in deployment.urls.model_dump().items():
            if vc_api or label != "vc_api_url":
                say(f"  {label.removesuffix('_url'):8}{url}")
        say(f"  data    {data} (you are the operator: its key is in {data / 'keys'})")
        await asked.wait()
    say("stopped")


@cli.command()
@json_option
def demo(as_json: bool) -> None:
    """Walk the whole story on loopback and end."""
    from did_agent.cli.demo import run

    sys.exit(run(as_json=as_json))


def _not_installed(name: str, error: ImportError) -> click.Command:
    def refuse() -> None:
        raise Misconfigured(f"{name} cannot be loaded ({error}); it needs more: pip install 'did-agent[server]'")

    return click.Command(name, callback=refuse, help="Needs 'did-agent[server]', which is not installed.")


def _party_command(name: str, words: str) -> None:
    @cli.command(name, help=words)
    @click.option("--bind", envvar="DID_AGENT_BIND", help="Address to listen on instead of the URL's host.")
    def command(bind: str | None) -> None:
        asyncio.run(run_alone(name, host=bind))


_party_command("bridge", "Run the bridge alone.")
_party_command("issuer", "Run the issuer alone.")
_party_command("ledger", "Run the ledger alone.")
_party_command("console", "Run the console alone.")
_party_command("vc-api", "Run the VC-API of verifier and holder alone.")
_party_command("urban-bites", "Run the demo MCP server alone.")
for group in (
    agent,
    cred,
    token,
    tool,
    audit,
    resource,
    user,
    capability,
    client,
    delegation,
    federation,
    issuer_key,
    login,
    offer,
    operator,
    org,
    policy,
    proposal,
    request,
    role,
    signal,
    signing_key,
    subject,
    task,
    trust,
    webhook,
    key,
    did,
    doctor,
    template,
    agent_group,
    attest,
    enrol,
    kill,
    unkill,
    database,
    backup,
    restore,
):
    cli.add_command(group)
cli.add_command(verify_file, "verify")
agent.add_command(import_agents)
audit.add_command(make_bundle)
audit.add_command(verify_bundle)
audit.add_command(witness)
audit.add_command(cosignatures)
audit.add_command(erase)
audit.add_command(prove)
client.add_command(console_client)
cli.add_command(why)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    cli.main(args=None if arguments is None else list(arguments), prog_name="did-agent")
