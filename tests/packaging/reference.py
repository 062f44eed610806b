"""Makes docs/reference from the code: `python tests/packaging/reference.py` writes, the tests compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic_settings import BaseSettings

from bridge.settings import BridgeSettings
from console.settings import ConsoleSettings
from did_agent.adapters.listening import ListenerSettings
from did_agent.adapters.log_lines import LogSettings
from did_agent.adapters.observing import ObservingSettings
from did_agent.adapters.web import status_of
from did_agent.audit.event import _OPTIONAL, _REQUIRED
from did_agent.cli.main import cli
from did_agent.errors import DidAgentError
from did_agent.errors.remedies import ERROR_REMEDIES, POLICY_REMEDIES
from issuer.settings import IssuerSettings
from ledger.settings import LedgerSettings
from verifier.demo import DemoSettings
from verifier.settings import VerifierSettings
from verifier.vc_api.settings import VCSettings

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
SETTINGS: Mapping[str, type[BaseSettings]] = {
    "every party": ListenerSettings,
    "all of them": ObservingSettings,
    "each process": LogSettings,
    "issuer": IssuerSettings,
    "bridge": BridgeSettings,
    "ledger": LedgerSettings,
    "console": ConsoleSettings,
    "guard": VerifierSettings,
    "urban-bites": DemoSettings,
    "vc-api": VCSettings,
}


def pages() -> dict[str, str]:
    """Return every generated page by its file name."""
    return {"commands.md": commands(), "settings.md": settings(), "errors.md": errors(), "audit-event.md": event()}


def commands() -> str:
    lines = ["# Commands", "", "Every command takes `--help`; most take `--json`.", ""]
    lines += ["Exit codes: 0 ok, 1 refused, 2 usage, 3 unreachable, 4 not authenticated.", ""]
    for path, command in _walk("did-agent", cli):
        if isinstance(command, click.Group):
            continue
        words = [f"`{path}`", command.get_short_help_str(200)]
        options = [option for one in command.params if isinstance(one, click.Option) for option in one.opts[:1]]
        arguments = [str(one.name).upper() for one in command.params if isinstance(one, click.Argument)]
        lines += [
            f"* {words[0]} {' '.join(arguments)}: {words[1]} {' '.join(f'`{option}`' for option in options)}".rstrip()
        ]
    return "\n".join(lines) + "\n"


def settings() -> str:
    lines = ["# Settings", "", "From the environment, with the prefix `DID_AGENT_`.", ""]
    lines += ["| Setting | Default | Read by |", "|---|---|---|"]
    found: dict[tuple[str, str], list[str]] = {}
    for party, model in SETTINGS.items():
        for name, field in model.model_fields.items():
            found.setdefault((f"DID_AGENT_{name.upper()}", str(field.default)), []).append(party)
    lines += [
        f"| `{name}` | `{default}` | {', '.join(parties)} |" for (name, default), parties in sorted(found.items())
    ]
    lines += [
        "| `DID_AGENT_WALLET` | `wallet` in the data folder | agent |",
        "| `DID_AGENT_BIND` | host of the URL | parties run alone |",
    ]
    return "\n".join(lines) + "\n"


def errors() -> str:
    lines = [
        "# Error codes",
        "",
        "The family says what to do: malformed, fix the request; not verified, bring an honest proof;",
        "",
    ]
    lines[2] += " denied, ask for a capability or consent; unavailable, try again, meanwhile the answer is no."
    lines += ["| Code | HTTP | Public sentence | What to do |", "|---|---|---|---|"]
    rows = sorted({(leaf.code, status_of(leaf.__new__(leaf)), leaf.public) for leaf in _leaves(DidAgentError)})
    lines += [f"| `{code}` | {status} | {public} | {ERROR_REMEDIES.get(code, '')} |" for code, status, public in rows]
    lines += ["", "Policy refuses what was believed; these reasons stand in decisions and audit events.", ""]
    lines += ["| Reason | What to do |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{code}` | {do} |" for code, do in sorted(POLICY_REMEDIES.items()))]) + "\n"


def event() -> str:
    lines = ["# The audit event", "", "Every member is always present; the optional ones may be null.", ""]
    lines += [f"* required: {', '.join(f'`{name}`' for name in (*_REQUIRED, 'time'))}"]
    lines += [f"* optional: {', '.join(f'`{name}`' for name in _OPTIONAL)}"]
    lines += ["* lists and objects: `actors`, `credential_ids`, `details`"]
    return "\n".join(lines) + "\n"


def _walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            yield from _walk(f"{path} {name}", inner)


def _leaves(family: type[Any]) -> Iterator[type[Any]]:
    yield family
    for child in family.__subclasses__():
        if child.__module__.startswith(("did_agent", "verifier", "bridge", "issuer", "ledger", "console")):
            yield from _leaves(child)


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
