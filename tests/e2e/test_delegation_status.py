"""Handing on and taking back from the command line, against running parties."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.req("DEL-10", "VCX-10")
def test_what_was_handed_on_is_taken_back_and_opens_no_door_from_then_on(up: Any) -> None:
    for name in ("giver", "taker", "third"):
        up.run("agent", "create", name, "--sponsor", "Operations")
    up.run("cred", "issue", "giver", "--resource", up.resource, "--tool", "list_menu", "--max-depth", "2")
    handing = ("--resource", up.resource, "--tool", "list_menu", "--valid", "7200")
    first = up.json("delegation", "create", "giver", "taker", *handing)
    second = up.json("delegation", "create", "taker", "third", *handing)
    asking = ("token", "get", "third", "--resource", up.resource)
    up.run(*asking)
    up.run("delegation", "revoke", first["id"], "--agent", "giver", "--reason", "done")
    up.run(*asking, expected=1)
    listed = up.json("delegation", "list", "--agent", "taker")["delegations"]
    assert [(one["id"], one["parent"], bool(one["revoked"])) for one in listed] == [(second["id"], first["id"], True)]
    again = up.json("delegation", "create", "giver", "taker", *handing)
    assert up.json("delegation", "revoke", again["id"], "--reason", "by the operator")["state"] == "revoked"
    up.run("token", "get", "taker", "--resource", up.resource, expected=1)
