"""Custodial keys: only when asked for, sealed for who asked, shown once, and nowhere in the database (KEY-01)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx2
import pyrage
import pytest

from did_agent.did.key import did_key
from did_agent.keys.jwk import parse_private_jwk
from did_agent.presentation.present import present_jwt
from tests.contract.conftest import database_url
from tests.contract.test_enrolment import everything
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import (
    ADMIN,
    ISSUER_URL,
    answer_to,
    auth,
    issuer,
    onboard,
    other_organisation,
    recorded,
    register,
)

__all__ = ["database_url"]  # fixtures count as names of the module

OWNER = pyrage.x25519.Identity.generate()
RECIPIENT = {"recipient": str(OWNER.to_public())}


async def asked(http: httpx2.AsyncClient, agent: dict[str, Any], body: Any, headers: Any = ADMIN) -> httpx2.Response:
    return await http.post(f"/agents/{agent['agent_id']}/custodial-key", json=body, headers=headers)


@pytest.mark.req("KEY-01")
async def test_a_custodial_key_is_handed_out_once_sealed_and_not_kept(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        made = await register(http)
        answer = await asked(http, made, RECIPIENT)
        assert answer.status_code == 201, answer.text
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert (body["state"], body["custody"]) == ("active", "issuer")
        secret = json.loads(pyrage.decrypt(body["sealed_key"].encode(), [OWNER]))
        key = parse_private_jwk(secret)
        assert did_key(key.public) == body["did"]
        proof = present_jwt([], key=key, audience=ISSUER_URL, now=NOW)
        own = await http.get("/self", headers={"Authorization": f"Bearer {proof}"})
        assert (own.status_code, own.json()["custody"]) == (200, "issuer")
        # Once: neither a second one, nor the invitation that waited.
        assert (await asked(http, made, RECIPIENT)).status_code == 409
        assert (await http.post(f"/agents/{made['agent_id']}/enrolment", json=answer_to(made))).status_code == 401
    rows = await everything(database_url)
    raw = base64.urlsafe_b64decode(secret["d"] + "==")
    for kept in (secret["d"], raw.hex(), base64.b64encode(raw).decode(), body["sealed_key"][:64]):
        assert kept not in rows
    assert "agent.custody" in [event.action for event in await recorded(database_url)]


async def test_a_passphrase_seals_it_too(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        made = await register(http)
        sealed = (await asked(http, made, {"passphrase": "correct horse battery"})).json()["sealed_key"]
        assert json.loads(pyrage.passphrase.decrypt(sealed.encode(), "correct horse battery"))["kty"] == "OKP"
    assert "correct horse battery" not in await everything(f"sqlite:///{tmp_path / 'issuer.db'}")


@pytest.mark.parametrize(
    "body",
    [{}, {"recipient": "age1nobody"}, {"passphrase": "short"}, {**RECIPIENT, "passphrase": "correct horse battery"}],
)
async def test_a_key_is_sealed_for_exactly_one(tmp_path: Path, body: dict[str, str]) -> None:
    async with issuer(tmp_path) as (http, _):
        made = await register(http)
        assert (await asked(http, made, body)).status_code == 400
        assert (await http.get(f"/agents/{made['agent_id']}", headers=ADMIN)).json()["custody"] == "agent"


@pytest.mark.req("KEY-01", "WEB-02")
async def test_nobody_gets_a_key_for_an_agent_that_has_its_own(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        assert (await asked(http, agent, RECIPIENT)).status_code == 409
        await http.post(f"/agents/{agent['agent_id']}/recovery", json={"reason": "lost"}, headers=ADMIN)
        assert (await asked(http, agent, RECIPIENT)).status_code == 409
        other = await register(http, "other")
        for headers, status in (
            (auth("issuer:sponsor", subject="did:key:stranger"), 404),
            (await other_organisation(http), 404),
            (auth("issuer:audit"), 403),
            ({}, 401),
        ):
            assert (await asked(http, other, RECIPIENT, headers)).status_code == status
