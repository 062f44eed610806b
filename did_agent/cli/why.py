"""`did-agent why`: why a call was allowed or refused, and what a token or presentation is worth now."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import click

from did_agent.audit.why import Explanation, Step
from did_agent.cli.deployment import Deployment
from did_agent.cli.inspection import MAX_FILE
from did_agent.cli.output import emit, json_option
from did_agent.client.bundle import reading
from did_agent.client.sources import Parties, Question
from did_agent.client.why import explain
from did_agent.clock import system_clock
from did_agent.encoding.strict_json import parse_object
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadEncoding

_MARKS: Final = {"ok": "ok", "failed": "FAILED", "unknown": "?", "not reached": "-"}
_WIDTH: Final = 22  # characters of the longest name of a step, and two more
_JOINED: Final = 3  # parts of a compact JWS


@click.command("why")
@click.argument("what")
@click.option("--audience", help="Whom a token or presentation was shown to; else whom it says it is for.")
@click.option("--tool", help="Judge a call of this tool too.")
@click.option("--arguments", help="Its arguments, a JSON object.")
@click.option("--now", "moment", help="Judge as of this time, such as 2026-11-23T10:00:00Z, instead of now.")
@json_option
@click.pass_obj
def why(  # options of one command
    at: Deployment,
    /,
    *,
    what: str,
    audience: str | None,
    tool: str | None,
    arguments: str | None,
    moment: str | None,
    as_json: bool,
) -> None:
    """Explain a decision, step by step: what held, what failed, and what to do.

    WHAT is the id of an event, the request id that a party answered with, `last`, or a file with an access token or
    a presentation; - reads it from standard input.  The token itself is never printed.
    """
    question = Question(
        now=system_clock() if moment is None else parse_timestamp(moment),
        audience=audience,
        tool=tool,
        arguments=None if arguments is None else parse_object(arguments),
    )
    found = asyncio.run(explain(_content(what), question, parties_of(at)))
    text = "\n\n".join("\n".join(_lines(one)) for one in found)
    emit({"explanations": [one.to_json() for one in found]}, as_json=as_json, text=text)


def parties_of(at: Deployment) -> Parties:
    """Return the parties as the operator here asks them."""
    urls = at.urls
    ledger = reading("ledger", urls.ledger_url, auth=at.operator_auth(urls.ledger_url))
    anchors = frozenset(at.trust.issuers)
    return Parties(bridge=urls.bridge_url, issuer=urls.issuer_url, ledger=ledger, anchors=anchors)


def _content(what: str) -> str:
    if what.count(".") == _JOINED - 1 and what.startswith("eyJ"):
        raise click.UsageError("a token does not belong on a command line, where others see it: give a file or -")
    if what == "-":
        raw = sys.stdin.buffer.read(MAX_FILE)
    elif Path(what).is_file():
        with Path(what).open("rb") as file:
            raw = file.read(MAX_FILE)
    else:
        return what
    try:
        return raw.decode().strip()
    except UnicodeDecodeError as error:
        raise BadEncoding("the file holds neither a token nor a presentation") from error


def _lines(found: Explanation) -> list[str]:
    lines = [found.title]
    for step in found.steps:
        lines += _step(step)
    if found.failure is None:
        lines.append("allowed" if found.allowed else "nothing that can be told from here speaks against it")
    else:
        lines.append(f"refused at: {found.failure.name}")
    return [*lines, *(f"{name}: {value}" for name, value in found.facts.items())]


def _step(step: Step) -> list[str]:
    lines = [f"  {_MARKS[step.outcome]:7}{step.name:{_WIDTH}}{step.what}".rstrip()]
    return [*lines, f"  {'':7}{'':{_WIDTH}}→ {step.do}"] if step.do and step.outcome == "failed" else lines
