"""Singles that come at once share a transaction: who may grant what is judged for each, and recorded for each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from did_agent.encoding.strict_json import parse_object
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jose import MAX_TOKEN, parse_compact
from tests.contract.conftest import database_url
from tests.fakes.granting_desk import LESS, MORE, TEMPLATE, Desk, desk
from tests.fakes.issuer_world import other_organisation, recorded

__all__ = ["database_url"]  # on SQLite and on PostgreSQL

OTHER = SigningKey.from_seed(b"o" * 32)
TOO_LONG = {"capabilities": [LESS], "valid_seconds": 10_000_000}


async def _crowd(at: Desk) -> tuple[list[tuple[str, dict[str, str], dict[str, Any]]], list[str]]:
    """Return requests, and what each is answered with."""
    one, two = await at.onboard(), await at.onboard("other-agent", OTHER)
    admin, manager, auditor = (at.person(role) for role in ("admin", "manager", "auditor"))
    await at.do("/capabilities", admin, TEMPLATE)
    await at.do(f"/agents/{two['agent_id']}/suspend", admin, {"reason": "odd"})
    stranger = await other_organisation(at.http)
    path, still, nobody = (
        f"/agents/{name}/credentials" for name in (one["agent_id"], two["agent_id"], "urn:uuid:nobody")
    )
    by_did = f"/agents/{one['did']}/credentials"
    table: list[tuple[str, dict[str, str], dict[str, Any], str]] = [
        (path, admin, {"capabilities": [MORE]}, ""),
        (path, manager, {"capabilities": [MORE]}, "insufficient_scope"),
        (by_did, manager, {"capabilities": [LESS]}, ""),
        (path, auditor, {"capabilities": [LESS]}, "insufficient_scope"),
        (still, admin, {"capabilities": [LESS]}, "state_conflict"),
        (nobody, admin, {"capabilities": [LESS]}, "not_found"),
        ("/agents/%00/credentials", admin, {"capabilities": [LESS]}, "cannot"),
        (path, stranger, {"capabilities": [LESS]}, "not_found"),
        (path, admin, TOO_LONG, "invalid_parameter"),
        (path, manager, {"template": "menu"}, ""),
        (path, manager, {"template": "none"}, "not_found"),
        (path, admin, {}, "invalid_parameter"),
    ] * 3
    return [row[:3] for row in table], [row[3] for row in table]


@pytest.mark.req("WEB-04", "WEB-02", "AUD-01")
async def test_each_has_its_own_verdict_and_record(database_url: str) -> None:
    async with desk(database_url) as at:
        requests, expected = await _crowd(at)
        before = len(await recorded(at.where))
        answers = await asyncio.gather(*(at.ask("POST", *one) for one in requests))
        codes = ["" if one.is_success else str(one.json()["code"]) for one in answers]
        # What PostgreSQL cannot store SQLite does not know; neither is anybody else's refusal.
        unsaid = {"cannot": {"not_found", "invalid_parameter"}}
        assert all(code in unsaid.get(meant, {meant}) for code, meant in zip(codes, expected, strict=True)), codes
        made = [one.json()["credential"]["id"] for one in answers if one.is_success]
        events = (await recorded(at.where))[before:]
        assert sorted(one.target or "" for one in events if one.decision == "allow") == sorted(made)
        assert len([one for one in events if one.decision == "deny"]) == len(answers) - len(made)
        asked_by = [by for (_, by, _), answer in zip(requests, answers, strict=True) if answer.is_success]
        recorded_for = {one.target: (one.principal, one.token_id) for one in events}
        assert [recorded_for[one] for one in made] == [_said_by(by) for by in asked_by]
        places = {(one["statusListCredential"], one["statusListIndex"]) for one in _entries(answers)}
        assert len(places) == 2 * len(made)
        for identifier in made:
            assert await at.state({"id": identifier}) == "active"


def _said_by(headers: dict[str, str]) -> tuple[str, str]:
    token = parse_compact(headers["Authorization"].removeprefix("Bearer "), max_bytes=MAX_TOKEN)
    claims = parse_object(token.payload)
    return str(claims["sub"]), str(claims["jti"])


def _entries(answers: Any) -> list[dict[str, Any]]:
    return [entry for one in answers if one.is_success for entry in one.json()["credential"]["credentialStatus"]]
