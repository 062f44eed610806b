"""What the console's pages are looked at with: organisations with nothing, a little, very much, and with hostile names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import httpx2

from did_agent.adapters.keystore import load_key
from did_agent.audit.delivery import MAX_BATCH, batch_request, fitting
from did_agent.audit.event import AuditEvent
from did_agent.client.registry import MAX_ROWS, RegistryClient
from did_agent.clock import system_clock
from did_agent.credential.issuance import new_id
from did_agent.did.key import did_key
from tests.fakes.console_world import ConsoleWorld

MANY: Final = 10_000
LONG: Final = "Wordsthatneverendandhavenospaceinthem" * 5
HOSTILE: Final = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "Рayments \u202eסוכן\u202c \N{GRINNING FACE}",
    LONG,
)


def furnish(world: ConsoleWorld) -> None:
    """Make four organisations, each with an admin of its name."""
    for name in ("empty", "three", "many", "hostile"):
        if name != "many":  # the deployment's own, which its operator fills
            world.operate("issuer", "POST", "/organisations", name=name)
        world.person(name, "admin", organisation="home" if name == "many" else name)
    with world.browser("three", "/agents/new") as browser:
        for number in range(3):
            browser.post("/agents/new", name=f"agent-{number}", sponsor="Ops", description="One of three")
    with world.browser("hostile", "/agents/new") as browser:
        for number, text in enumerate(HOSTILE):
            browser.post("/agents/new", name=f"hostile-{number}", sponsor=text[:64], description=text)
    _import(world)
    deliver(world, [_event(number) for number in range(MANY)])
    deliver(world, list(_hostile()))


def deliver(world: ConsoleWorld, events: list[AuditEvent]) -> None:
    """Hand events to the ledger as the bridge does."""
    key, url = load_key(world.at.data / "keys" / "bridge.jwk"), world.at.urls.ledger_url
    texts = [replace(one, source=did_key(key.public)).canonical().decode() for one in events]
    with httpx2.Client(trust_env=False, timeout=60) as http:
        while texts:
            some = texts[: fitting(texts[:MAX_BATCH])]
            texts = texts[len(some) :]
            _, headers, body = batch_request(some, ledger_url=url, key=key, now=system_clock())
            answer = http.post(f"{url}/events", content=body, headers=headers)
            assert answer.status_code == 200, answer.text


def _import(world: ConsoleWorld) -> None:
    url = world.at.urls.issuer_url
    client = RegistryClient(url, auth=world.at.operator_auth(url))
    for first in range(0, MANY, MAX_ROWS):
        rows = [{"name": f"worker-{number}", "sponsor": "Ops"} for number in range(first, first + MAX_ROWS)]
        asyncio.run_coroutine_threadsafe(client.import_agents(rows), world.loop).result(60)


def _event(number: int, **changes: Any) -> AuditEvent:
    said: dict[str, Any] = {
        "id": new_id(),
        "time": system_clock(),
        "source": "",
        "party": "bridge",
        "principal": f"person{number % 97}@example.com",
        "principal_kind": "user",
        "actors": (f"did:key:zAgent{number % 31}",),
        "client_id": None,
        "action": "tool.call",
        "target": ("list_menu", "create_order", "assign_delivery")[number % 3],
        "resource": "https://mcp.example/mcp",
        "argument_digest": None,
        "decision": "allow" if number % 5 else "deny",
        "reason": "allowed" if number % 5 else "agent_not_capable",
        "explanation": "every term allows it" if number % 5 else "no capability covers the tool",
        "policy": "intersection/1",
        "credential_ids": (),
        "token_id": None,
        "evidence": None,
        "request_id": f"request-{number}",
        "details": {},
    }
    return AuditEvent(**{**said, **changes})


def _hostile() -> Iterator[AuditEvent]:
    for number, text in enumerate(HOSTILE):
        yield _event(
            number,
            principal=text,
            actors=(text,),
            target=text,
            reason=text[:60],
            explanation=text,
            resource=text,
            details={"organisation": "hostile", "note": json.dumps(text)},
        )
