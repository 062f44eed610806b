"""`did-agent login …`: how people sign in at the bridge."""

from __future__ import annotations

import asyncio
import sys

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.output import REFUSED, emit, json_option, table
from did_agent.client.upstream import examine_upstream


@click.group()
def login() -> None:
    """Look at how people sign in at the bridge."""


@login.command()
@json_option
@click.pass_obj
def test(at: Deployment, as_json: bool) -> None:
    """Try the company's OpenID provider: discovery, keys, client id and secret; say exactly what is wrong."""
    bridge = at.urls.bridge_url
    found = asyncio.run(examine_upstream(bridge, auth=at.operator_auth(bridge)))
    shown = [{"": "ok" if step["ok"] else "WRONG", **step} for step in found["steps"]]
    emit(found, as_json=as_json, text=table(shown, ("", "step", "detail")))
    if not found["ok"]:
        sys.exit(REFUSED)
