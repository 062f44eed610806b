"""Nobody gives an agent away to approve what was asked for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from did_agent.keys.ed25519 import SigningKey
from tests.fakes.issuer_world import ADMIN, CAPABILITIES, answer_to, auth, issuer, named

MANAGER = auth("issuer:manage", subject="did:key:manager", client_id="did:key:manager")
ANOTHER = auth("issuer:manage", subject="did:key:another", client_id="did:key:another")


@pytest.mark.req("WEB-04")
async def test_who_owned_it_when_it_was_asked_for_does_not_approve_it(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        resources = CAPABILITIES["capabilities"][0]["resource"]
        policy = {"manager_resources": resources}
        assert (await http.put("/granting-policy", json=policy, headers=ADMIN)).status_code == 200
        made = (await http.post("/agents", json={"name": "mine", "sponsor": "Ops"}, headers=MANAGER)).json()
        path, key = f"/agents/{made['agent_id']}", SigningKey.from_seed(b"s" * 32)
        assert (await http.post(f"{path}/enrolment", json=answer_to(made, key))).status_code == 201
        wanted = {"agent": made["agent_id"], "reason": "to work", **CAPABILITIES}
        asked = (await http.post("/requests", json=wanted, headers=ADMIN)).json()
        approve = f"/requests/{asked['id']}/approve"
        assert (await http.post(approve, json={"reason": "ok"}, headers=MANAGER)).status_code == 403
        await named(http, "did:key:friend")
        given = {"owner": "did:key:friend", "reason": "away"}
        assert (await http.post(f"{path}/transfer", json=given, headers=MANAGER)).status_code == 200
        refused = await http.post(approve, json={"reason": "ok"}, headers=MANAGER)
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
        done = await http.post(approve, json={"reason": "ok"}, headers=ANOTHER)
        assert done.status_code == 200, done.text
