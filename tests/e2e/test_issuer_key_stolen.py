"""A stolen issuer key, from the command line to a tool call: it ends, another one signs, and a sealed deployment starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from processes import Up

from did_agent.adapters.keystore import is_plain
from did_agent.adapters.trust import FILE, load_trust
from did_agent.clock import system_clock
from did_agent.presentation.present import present_jwt
from did_agent.wallet import Wallet

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_menu", "arguments": {}}}
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}


def admitted(up: Up, credential: str) -> bool:
    headers = {**HEADERS, "Authorization": f"Bearer {credential}"}
    answer = httpx2.post(up.resource, json=CALL, headers=headers, timeout=20, trust_env=False)
    return answer.status_code not in (401, 403)


def shown(up: Up) -> str:
    """Return a presentation of what the agent was given last."""
    wallet = Wallet(up.data / "wallet")
    last = wallet.credentials("buyer")[-1]
    return present_jwt([last], key=wallet.key("buyer"), audience=up.resource, now=system_clock())


def becomes(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 60  # the staleness cap; a list is asked for every ten seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.req("KEY-01", "KEY-03", "REV-01")
def test_a_stolen_key_ends_and_the_sealed_deployment_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DID_AGENT_TRUST_REFRESH", "1")
    up = Up(tmp_path / "data").start()
    try:
        up.run("agent", "create", "buyer", "--sponsor", "Ops")
        issue = ("cred", "issue", "buyer", "--resource", up.resource, "--tool", "list_menu")
        up.run(*issue)
        token = str(up.json("token", "get", "buyer", "--resource", up.resource)["access_token"])
        assert (admitted(up, token), admitted(up, shown(up))) == (True, True)
        (own,) = up.json("issuer-key", "list")["issuer_keys"]
        made = up.json("issuer-key", "rotate")
        assert (made["state"], load_trust(up.data / FILE).issuers) == ("pending", (own["did"], made["did"]))
        assert "1 credentials of 1 agents" in up.run("issuer-key", "impact", own["did"]).stdout
        up.run("issuer-key", "revoke", own["did"], "--reason", "no", stdin="n\n", expected=1)
        ended = up.json("issuer-key", "revoke", own["did"], "--reason", "the backup was stolen", "--yes")
        assert (ended["credentials"], load_trust(up.data / FILE).issuers) == (1, (made["did"],))
        becomes(lambda: not admitted(up, shown(up)))
        becomes(lambda: not admitted(up, token))
        up.stop()
        assert len(up.json("key", "seal")["changed"]) >= 5
        assert not any(is_plain(path) for path in (up.data / "keys").glob("*.jwk"))
        up.start()
        up.run(*issue)
        assert admitted(up, shown(up))
        assert admitted(up, str(up.json("token", "get", "buyer", "--resource", up.resource)["access_token"]))
    finally:
        up.stop()
