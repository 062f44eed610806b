"""`did-agent policy …`: look at a policy before it counts, put it in force, and take it back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from did_agent.adapters.cedar import Cedar
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import REFUSED, emit, json_option, say, table
from did_agent.cli.policy_files import policy_file, read_events, read_file
from did_agent.client.policy import PolicyClient
from did_agent.clock import system_clock
from did_agent.policy.active import ActivePolicy, activate
from did_agent.policy.cases import parse_cases, run_cases
from did_agent.policy.document import PolicyDocument, parse_policy
from did_agent.policy.lint import errors_in
from did_agent.policy.lint import lint as find_problems
from did_agent.policy.replay import replay

PAGE: Final = 1_000  # recorded decisions one simulation asks the ledger for
_DECISIONS: Final = ("token.issue", "policy.evaluate")
_note: Final = click.option("--note", default="", help="Why, in a few words; kept with the version.")


@click.group()
def policy() -> None:
    """Keep who may do what through whom."""


@policy.command()
@policy_file
@click.option("--offline", is_flag=True, help="Do not ask the bridge which resources, tools and groups exist.")
@json_option
@click.pass_obj
def lint(at: Deployment, file: Path, offline: bool, as_json: bool) -> None:
    """Find what is wrong with a policy; exit 1 when it could not be published."""
    document = parse_policy(read_file(file))
    known: dict[str, Any] = {"resources": None} if offline else asyncio.run(_known(at))
    found = find_problems(document, language=Cedar(), **known)
    rows = [finding._asdict() for finding in found]
    text = table(rows, ("level", "where", "message")) if rows else "nothing is wrong"
    emit({"digest": document.digest, "findings": rows}, as_json=as_json, text=text)
    if errors_in(found):
        sys.exit(REFUSED)


@policy.command()
@policy_file
@click.argument("cases", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def test(file: Path, cases: Path, as_json: bool) -> None:
    """Decide the saved decisions of CASES by a policy; exit 1 when one comes out otherwise."""
    saved = parse_cases(read_file(cases), now=system_clock())
    different = run_cases(_active(parse_policy(read_file(file))), saved)
    lines = [
        f"{one.name}\n  - expected  {one.expected}\n  + found     {one.found}\n    because   {one.explanation}"
        for one in different
    ]
    lines.append(f"{len(saved) - len(different)} of {len(saved)} saved decisions hold")
    emit({"cases": len(saved), "different": [asdict(one) for one in different]}, as_json=as_json, text="\n".join(lines))
    if different:
        sys.exit(REFUSED)


@policy.command()
@policy_file
@click.option(
    "--from",
    "recorded",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of audit events; without it the newest are asked of the ledger.",
)
@json_option
@click.pass_obj
def simulate(at: Deployment, file: Path, recorded: Path | None, as_json: bool) -> None:
    """Decide recorded decisions again by a policy, and tell which would come out otherwise."""
    candidate = _active(parse_policy(read_file(file)))
    events = asyncio.run(_recorded(at)) if recorded is None else read_events(recorded)
    found = replay(candidate, events)
    rows = [asdict(change) for change in found.changes]
    said = f"{len(rows)} of {found.replayed} recorded decisions would change; {found.skipped} events carry no facts"
    shown = table(rows, ("time", "principal", "resource", "was", "becomes")) + "\n" if rows else ""
    members = {"replayed": found.replayed, "skipped": found.skipped, "changes": rows}
    emit(members, as_json=as_json, text=shown + said)


@policy.command()
@policy_file
@json_option
@click.pass_obj
def approve(at: Deployment, file: Path, as_json: bool) -> None:
    """Approve a policy with a union in it; two different operators must, before it can be published."""
    found = asyncio.run(_client(at).approve(read_file(file)))
    emit(found, as_json=as_json, text=f"{found['digest']} is approved by {len(found['approvers'])}")


@policy.command()
@policy_file
@click.option("--cases", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Saved decisions to keep.")
@click.option("--acknowledge", is_flag=True, help="Saved decisions of the version in force may change.")
@click.option("--follows", type=int, help="Only when this version is in force.")
@_note
@json_option
@click.pass_obj
def publish(at: Deployment, /, file: Path, *, cases: Path | None, as_json: bool, **options: Any) -> None:
    """Put a policy in force."""
    saved = None if cases is None else read_file(cases)
    _tell(asyncio.run(_client(at).publish(read_file(file), cases=saved, **options)), as_json=as_json)


@policy.command()
@click.argument("version", type=click.IntRange(1))
@_note
@json_option
@click.pass_obj
def rollback(at: Deployment, version: int, note: str, as_json: bool) -> None:
    """Put VERSION in force again, under a new number."""
    _tell(asyncio.run(_client(at).roll_back(version, note=note)), as_json=as_json)


@policy.command()
@click.argument("version", type=click.IntRange(1), required=False)
@click.option("--history", is_flag=True, help="List what was published instead.")
@json_option
@click.pass_obj
def show(at: Deployment, version: int | None, history: bool, as_json: bool) -> None:
    """Show the policy in force, or VERSION; as JSON it can be edited and published."""
    if history:
        rows = asyncio.run(_client(at).history())
        columns = ("version", "published", "restores", "digest", "note")
        emit({"versions": rows}, as_json=as_json, text=table(rows, columns) if rows else "nothing was published")
        return
    found = asyncio.run(_client(at).version(version))
    if not as_json:
        say(f"version {found['version']}, {len(found['cases'])} saved decisions")
    emit(found if as_json else found["policy"], as_json=as_json)


async def _known(at: Deployment) -> dict[str, Any]:
    client = _client(at)
    resources, users = await client.resources(), await client.users()
    served = {
        row["resource"]: frozenset(str(scope).removeprefix("tool:") for scope in row["scopes"])
        for row in resources
        if not row["built_in"]
    }
    return {"resources": served, "groups": frozenset(group for row in users for group in row["groups"])}


async def _recorded(at: Deployment) -> Sequence[Mapping[str, Any]]:
    pages = [await at.ledger.events(action=action, limit=str(PAGE), newest="true") for action in _DECISIONS]
    return [row["event"] for page in pages for row in page]


def _active(document: PolicyDocument) -> ActivePolicy:
    rules = Cedar().compile(document.rules) if document.rules else None
    return activate(document, version=0, rules=rules)


def _tell(record: Mapping[str, Any], *, as_json: bool) -> None:
    restored = f" (again what {record['restores']} was)" if record["restores"] else ""
    emit(record, as_json=as_json, text=f"policy {record['version']} is in force{restored}; digest {record['digest']}")


def _client(at: Deployment) -> PolicyClient:
    return PolicyClient(at.urls.bridge_url, auth=at.operator_auth(at.urls.bridge_url))
