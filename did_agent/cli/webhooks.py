"""`did-agent webhook …`: have others told what happens at the issuer."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, table
from did_agent.client.webhooks import Scheme, WebhooksClient

_HOOKS: Final = ("id", "url", "topics", "scheme", "disabled")
_DELIVERIES: Final = ("id", "type", "state", "attempts", "outcome", "created")


@click.group()
def webhook() -> None:
    """Have others told what happens at the issuer."""


@webhook.command()
@click.argument("url")
@click.option("--on", "topics", multiple=True, default=("*",), show_default=True, help="What it is told; repeatable.")
@click.option("--description", default="", help="Whose it is.")
@click.option(
    "--signed",
    "scheme",
    type=click.Choice(["v1a", "v1"]),
    default="v1a",
    show_default=True,
    help="v1a: checked by a public key.  v1: by a shared secret, shown now and never again.",
)
@json_option
@click.pass_obj
def add(at: Deployment, url: str, topics: tuple[str, ...], description: str, scheme: Scheme, as_json: bool) -> None:
    """Add a webhook."""
    made = asyncio.run(_client(at).add(url, topics, description=description, scheme=scheme))
    emit(made, as_json=as_json, text=f"{made['id']} is told of {', '.join(made['topics'])}\n{_checked_by(made)}")


@webhook.command("list")
@json_option
@click.pass_obj
def list_webhooks(at: Deployment, as_json: bool) -> None:
    """List webhooks."""
    found = asyncio.run(_client(at).all())
    emit({"webhooks": found}, as_json=as_json, text=table(found, _HOOKS))


@webhook.command()
@click.argument("identifier")
@json_option
@click.pass_obj
def rotate(at: Deployment, identifier: str, as_json: bool) -> None:
    """Give a webhook another key; the one before signs as well for a day."""
    made = asyncio.run(_client(at).rotate(identifier))
    emit(made, as_json=as_json, text=f"two keys sign until {made['previous_until']}\n{_checked_by(made)}")


@webhook.command()
@click.argument("identifier")
@json_option
@click.pass_obj
def test(at: Deployment, identifier: str, as_json: bool) -> None:
    """Send a webhook something to try its receiver by."""
    sent = asyncio.run(_client(at).test(identifier))
    emit(sent, as_json=as_json, text=f"{sent['delivery']} is on its way")


def _switch(name: str, enabled: bool, words: str) -> None:
    @webhook.command(name, help=words)
    @click.argument("identifier")
    @json_option
    @click.pass_obj
    def command(at: Deployment, identifier: str, as_json: bool) -> None:
        changed = asyncio.run(_client(at).change(identifier, enabled=enabled))
        emit(changed, as_json=as_json, text=f"{changed['id']} is {name}d")


_switch("enable", True, "Tell a webhook again.")
_switch("disable", False, "Tell a webhook nothing for now.")


@webhook.command()
@click.argument("identifier")
@json_option
@click.pass_obj
def remove(at: Deployment, identifier: str, as_json: bool) -> None:
    """Remove a webhook."""
    removed = asyncio.run(_client(at).remove(identifier))
    emit(removed, as_json=as_json, text=f"{identifier} is removed")


@webhook.command()
@click.argument("identifier")
@click.option("--state", type=click.Choice(["waiting", "delivered", "dead"]))
@json_option
@click.pass_obj
def deliveries(at: Deployment, identifier: str, state: str | None, as_json: bool) -> None:
    """List what was or is on its way to a webhook, newest first."""
    found = asyncio.run(_deliveries(at, identifier, state))
    emit({"deliveries": found}, as_json=as_json, text=table(found, _DELIVERIES))


async def _deliveries(at: Deployment, identifier: str, state: str | None) -> list[dict[str, Any]]:
    return [one async for one in _client(at).deliveries(identifier, state=state)]


@webhook.command()
@click.argument("identifier")
@click.argument("delivery")
@json_option
@click.pass_obj
def resend(at: Deployment, identifier: str, delivery: str, as_json: bool) -> None:
    """Deliver something again."""
    sent = asyncio.run(_client(at).resend(identifier, delivery))
    emit(sent, as_json=as_json, text=f"{sent['delivery']} is on its way again")


def _checked_by(made: dict[str, Any]) -> str:
    return (
        f"secret {made['secret']}" if made["secret"] else "\n".join(f"public key {one}" for one in made["public_keys"])
    )


def _client(at: Deployment) -> WebhooksClient:
    return WebhooksClient(at.urls.issuer_url, auth=at.operator_auth(at.urls.issuer_url))
