"""A sponsor lets its agent act again only where it stopped it itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from did_agent.keys.ed25519 import SigningKey
from tests.fakes.issuer_world import ADMIN, answer_to, auth, issuer

SPONSOR = auth("issuer:sponsor", subject="did:key:sponsor", client_id="did:key:sponsor")
WHY = {"reason": "because"}


@pytest.mark.req("WEB-04")
@pytest.mark.parametrize("way", ["resume", "recovery"])
async def test_a_sponsor_takes_back_its_own_suspension_and_nobody_elses(tmp_path: Path, way: str) -> None:
    async with issuer(tmp_path) as (http, _):
        made = (await http.post("/agents", json={"name": "mine", "sponsor": "did:key:sponsor"}, headers=SPONSOR)).json()
        path = f"/agents/{made['agent_id']}"
        key = SigningKey.from_seed(b"w" * 32)
        assert (await http.post(f"{path}/enrolment", json=answer_to(made, key))).status_code == 201
        assert (await http.post(f"{path}/suspend", json=WHY, headers=SPONSOR)).status_code == 200
        assert (await http.post(f"{path}/resume", json=WHY, headers=SPONSOR)).status_code == 200
        assert (await http.post(f"{path}/suspend", json=WHY, headers=ADMIN)).status_code == 200
        refused = await http.post(f"{path}/{way}", json=WHY, headers=SPONSOR)
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
        assert (await http.get(path, headers=ADMIN)).json()["state"] == "suspended"
        assert (await http.post(f"{path}/{way}", json=WHY, headers=ADMIN)).status_code in (200, 201)
