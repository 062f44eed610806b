"""`did-agent verify` on consent receipts: what is told, and which are refused and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from did_agent.adapters.keystore import load_key
from did_agent.clock import numeric_date
from did_agent.did.key import did_key, verification_method
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jwt import sign_jwt
from tests.fakes.machine import Machine, refused

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
AT = ("--now", "2026-11-23T10:00:00Z")
LATER = ("--now", "2027-03-01T10:00:00Z")
AGENT = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
STRANGER = SigningKey.from_seed(b"\x07" * 32)
CLAIMS = {
    "iss": "https://bridge.example",
    "sub": "smith",
    "jti": "c-1",
    "iat": numeric_date(NOW),
    "exp": numeric_date(NOW) + 3_600,
    "client_id": AGENT,
    "client_name": "orders",
    "agent": AGENT,
    "resource": "https://mcp.example/mcp",
    "scopes": {"tool:list_menu": "Read the menu"},
}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def receipt(
    machine: Machine, *, key: SigningKey | None = None, typ: str = "consent-receipt+jwt", **changed: Any
) -> str:
    """Return a receipt as the bridge signs it; a claim that is None is left out."""
    own = key or load_key(machine.data / "keys" / "bridge.jwk")
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not None}
    text = sign_jwt(claims, typ=typ, key=own, kid=verification_method(did_key(own.public)))
    return machine.file(text + "\n", "receipt.jwt")


def test_a_receipt_tells_who_allowed_what_to_whom(machine: Machine) -> None:
    shown = machine.run("verify", receipt(machine), *AT)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines()[0] == "verified (revocation was not looked up)"
    for told in (
        "person:    smith",
        AGENT,
        "https://mcp.example/mcp",
        "tool:list_menu: Read the menu",
        "not yet ended",
    ):
        assert told in shown.stdout
    found = json.loads(machine.run("verify", receipt(machine), *AT, "--json").stdout)
    assert (found["verified"], found["person"], found["agent"]) == (True, "smith", AGENT)
    assert (found["given"], found["until"]) == ("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z")


def test_a_receipt_outlives_its_consent(machine: Machine) -> None:
    shown = machine.run("verify", receipt(machine), *LATER)
    assert shown.exit_code == 0, shown.output
    assert "ended 2026-11-23T11:00:00Z" in shown.stdout


def test_a_receipt_for_a_program_names_no_agent(machine: Machine) -> None:
    found = json.loads(machine.run("verify", receipt(machine, agent=None), *AT, "--json").stdout)
    assert found["verified"] is True
    assert "agent" not in found


def not_verified(machine: Machine, file: str, code: str) -> None:
    """Require that the receipt is refused for this reason alone, and that nothing in it is told."""
    shown = machine.run("verify", file, *AT, "--json")
    assert shown.exit_code == 1, shown.output
    found = json.loads(shown.stdout)
    assert found["verified"] is False
    assert "person" not in found
    assert found["steps"][0]["code"] == code


@pytest.mark.req("VCX-05")
def test_a_receipt_of_a_stranger_is_refused(machine: Machine) -> None:
    file = receipt(machine, key=STRANGER)
    not_verified(machine, file, "issuer_not_trusted")
    assert "hint: trust.json" in machine.run("verify", file, *AT).stderr


def test_a_receipt_that_was_changed_is_refused(machine: Machine) -> None:
    head, _, tail = Path(receipt(machine)).read_text().strip().split(".")
    _, body, _ = Path(receipt(machine, sub="jones")).read_text().strip().split(".")
    not_verified(machine, machine.file(f"{head}.{body}.{tail}", "changed.jwt"), "bad_signature")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"sub": None}, "bad_jose"),
        ({"scopes": None}, "bad_jose"),
        ({"scopes": ["tool:list_menu"]}, "bad_jose"),
        ({"scopes": {"tool:list_menu": 1}}, "bad_jose"),
        ({"agent": 7}, "bad_jose"),
        ({"exp": "soon"}, "bad_jose"),
        ({"iat": True}, "bad_jose"),
        ({"iat": numeric_date(NOW) + 31}, "not_yet_valid"),
    ],
)
def test_a_receipt_that_says_something_else_is_refused(machine: Machine, changed: dict[str, Any], code: str) -> None:
    not_verified(machine, receipt(machine, **changed), code)


def test_a_receipt_may_be_as_early_as_two_clocks_may_differ(machine: Machine) -> None:
    assert machine.run("verify", receipt(machine, iat=numeric_date(NOW) + 30), *AT).exit_code == 0


def test_an_access_token_is_not_judged_here(machine: Machine) -> None:
    refused(machine.run("verify", receipt(machine, typ="at+jwt"), *AT), 1, "did-agent token introspect")
