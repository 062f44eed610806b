"""A bridge whose issuer changes its key: what the successor signs counts, what an ended key signs does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from did_agent.adapters import trust_list as pulling
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.key_handover import make_handover
from did_agent.tokens.trust_list import PATH
from tests.fakes.bridge_world import RESOURCE, Clock, World, capability, cheap_passwords, claims_of, world

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


async def heard(w: World) -> None:
    """Wait until the bridge has the issuer's list as it is now."""
    for _ in range(200):
        text = (await w.http.get(PATH)).text
        if text.count(".") == 2 and claims_of(text)["version"] == w.issuer.version:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the bridge did not hear of it")


@pytest.mark.req("KEY-03", "VCX-05", "REV-01")
async def test_the_word_of_an_ended_key_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_passwords(monkeypatch)
    monkeypatch.setattr(pulling, "RETRY", 0.05)
    async with world(tmp_path, clock=Clock(), trust_refresh=1) as w:
        await w.put_resource()
        agent, old, new = w.enrol("keeper"), w.issuer.key, SigningKey.generate()
        before = w.grant(agent, capability("list_menu"), register=False)

        async def asks(document: object) -> int:
            vp = w.vp_jwt(agent, document)  # type: ignore[arg-type]
            return (await w.token({"grant_type": GRANT, "assertion": vp, "resource": RESOURCE})).status_code

        assert await asks(before) == 200
        assert (await w.push("credential-revoked", "urn:uuid:1", key=new)).status_code == 400  # nobody knows it
        w.issuer.key, w.issuer.version = new, 1
        w.issuer.ended = (did_key(old.public),)
        w.issuer.handovers = (make_handover(old, successor=did_key(new.public), now=w.clock()),)
        await heard(w)
        assert await asks(before) == 400
        assert await asks(w.grant(agent, capability("list_menu"), register=False)) == 200
        assert (await w.push("credential-revoked", "urn:uuid:2", key=old)).status_code == 400
        assert (await w.push("credential-revoked", "urn:uuid:3")).status_code == 202
        w.issuer.key, w.issuer.version, w.issuer.ended, w.issuer.handovers = old, 2, (), ()  # the thief's list
        await asyncio.sleep(0.2)
        assert await asks(before) == 400
