"""`did-agent offer …`: from the operator's link to the agent's wallet, as transcripts."""

from __future__ import annotations

import json

import pytest
from processes import Up


@pytest.fixture(scope="module", autouse=True)
def registered(up: Up) -> None:
    up.run("agent", "create", "packer", "--sponsor", "Operations")


def grant(up: Up, *more: str) -> tuple[str, ...]:
    return ("offer", "create", "packer", "--resource", up.resource, "--tool", "list_menu", *more)


def test_an_offer_is_made_and_taken(up: Up) -> None:
    made = up.json(*grant(up, "--tx-code", "--form", "jcs", "--form", "sd-jwt", "--identity", "--max-calls", "5"))
    assert made["configurations"] == [
        "agent-capability", "agent-capability-sd-jwt", "agent-identity", "agent-identity-sd-jwt",
    ]  # fmt: skip
    assert made["capabilities"][0]["limits"] == {"maxCalls": 5}
    accept = ("offer", "accept", made["uri"], "--agent", "packer")
    refused = up.run(*accept, expected=1)
    assert "transaction code" in refused.stderr
    taken = up.json(*accept, "--tx-code", made["tx_code"])
    assert len(taken["credentials"]) == 4
    listed = up.json("offer", "list", "--agent", "packer")["offers"]
    assert (listed[0]["id"], listed[0]["state"]) == (made["id"], "taken")
    assert "list_menu" in up.run("cred", "list", "--agent", "packer").stdout
    again = up.run(*accept, "--tx-code", made["tx_code"], expected=1)
    assert "invalid_grant" in again.stderr


def test_what_is_printed_is_the_link_and_nothing_else(up: Up) -> None:
    done = up.run(*grant(up, "--tx-code"))
    assert done.stdout.startswith("openid-credential-offer://?credential_offer=")
    assert done.stdout.count("\n") == 1
    assert "transaction code" in done.stderr
    assert up.run("offer", "list").stdout.startswith("ID")


@pytest.mark.parametrize(("decision", "state"), [("withdraw", "withdrawn"), ("deny", "denied")])
def test_an_offer_is_ended(up: Up, decision: str, state: str) -> None:
    made = up.json(*grant(up, "--approval"))
    own = up.run("offer", "approve", made["id"], "--reason", "mine", expected=1)
    assert "insufficient_scope" in own.stderr
    assert state in up.run("offer", decision, made["id"], "--reason", "changed my mind").stdout
    taking = up.run("offer", "accept", made["uri"], "--agent", "packer", expected=1)
    assert "invalid_grant" in taking.stderr


def test_an_offer_of_a_stranger_is_not_taken(up: Up) -> None:
    offer = {"credential_issuer": "https://other.example", "credential_configuration_ids": ["x"], "grants": {}}
    link = f"openid-credential-offer://?credential_offer={json.dumps(offer)}"
    refused = up.run("offer", "accept", link, "--agent", "packer", expected=1)
    assert "the offer is from https://other.example" in refused.stderr
    assert up.run(*grant(up)[:5], expected=2).stderr.startswith("Usage")
