"""`did-agent client console`: the bridge knows the console of this deployment by its key."""

from __future__ import annotations

import asyncio

import click

from did_agent.adapters.keystore import load_key
from did_agent.cli.deployment import CONSOLE, Deployment
from did_agent.cli.output import emit, json_option
from did_agent.client.clients import ClientsClient
from did_agent.did.key import did_key, verification_method
from did_agent.keys.jwk import public_jwk


@click.command("console")
@json_option
@click.pass_obj
def console_client(at: Deployment, as_json: bool) -> None:
    """Register this deployment's console, so that people bring their roles to it; `did-agent up` does it by itself."""
    asyncio.run(register_console(at))
    answer = {"client_id": CONSOLE, "url": at.urls.console_url}
    emit(answer, as_json=as_json, text=f"people sign in at {at.urls.console_url}")


async def register_console(deployment: Deployment) -> None:
    """Let people bring their roles to the console: the bridge knows it by its key from now on."""
    key = load_key(deployment.data / "keys" / f"{CONSOLE}.jwk")
    url = deployment.urls.bridge_url
    clients = ClientsClient(url, auth=deployment.operator_auth(url))
    body = {
        "name": "Console",
        "redirect_uris": [f"{deployment.urls.console_url}/signed-in"],
        "auth_method": "private_key_jwt",
        "keys": [public_jwk(key.public, kid=verification_method(did_key(key.public)))],
        "operates": True,
    }
    await clients.put(CONSOLE, body)
