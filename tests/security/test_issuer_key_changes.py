"""Keys organisations sign with: rotated without a refusal, retired when free, revoked so that nothing of them counts."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from did_agent.adapters.sql import open_database
from did_agent.did.key import did_key
from did_agent.errors import KeysUnavailable, Replayed, UntrustedIssuer
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jwt import unverified_jws
from did_agent.tokens.key_handover import make_handover
from did_agent.tokens.trust_list import PATH, TrustList, sign_trust_list, verify_trust_list
from issuer.adapters.sql import SQLStore
from issuer.issuing_keys import PUBLISH_BEFORE
from issuer.service.ring import Ring
from tests.contract.conftest import database_url
from tests.fakes.followed_issuer import Followed, followed
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import KEY, SEALER, auth, issuer, onboard, other_organisation, recorded, sqlite_url
from tests.security.test_issuer_keys_at_rest import everything, spellings

__all__ = ["database_url"]  # every test that names it runs on SQLite and on PostgreSQL

HOME_DID, THIEF = did_key(KEY.public), SigningKey.from_seed(b"e" * 32)
SECOND = auth("issuer:admin", subject="did:key:second", client_id="did:key:second")
WAIT = PUBLISH_BEFORE + timedelta(seconds=1)


def issuer_of(document: dict[str, Any]) -> str:
    return str(document["issuer"])


async def turned(f: Followed) -> str:
    """Rotate the home's key and wait until the successor signs; the guard follows."""
    successor = await f.rotate()
    await f.follow()
    f.now += WAIT
    await f.follow()
    return successor


@pytest.mark.req("KEY-02")
async def test_a_rotation_refuses_nobody(tmp_path: Path) -> None:
    async with followed(sqlite_url(tmp_path), tmp_path, HOME_DID) as f:
        agent = str((await onboard(f.http))["agent_id"])
        before = await f.grant(agent)
        assert await f.calls(before) == (200, "allowed")
        successor = await f.rotate()
        assert await f.keys() == {HOME_DID: "active", successor: "pending"}
        during = await f.grant(agent)
        assert (issuer_of(before), issuer_of(during)) == (HOME_DID, HOME_DID)
        again = await f.http.post("/issuer-keys", json={"reason": "again"}, headers=f.admin())
        assert again.status_code == 409  # one at a time
        await f.follow()
        assert successor in f.trust.own(f.now)  # believed before it signs
        f.now += WAIT - timedelta(seconds=50)
        await f.follow()
        f.forward(seconds=50)
        after = await f.grant(agent)
        assert issuer_of(after) == successor
        for document in (before, during, after):
            assert await f.calls(document) == (200, "allowed")
        await f.follow()
        jws, claims = unverified_jws((await f.http.get(PATH)).text)
        assert (claims["iss"], claims["own"]) == (successor, [successor, HOME_DID])
        assert jws.header["kid"] == f"{successor}#{successor.removeprefix('did:key:')}"
        for document in (before, during, after):
            assert await f.calls(document) == (200, "allowed")
        own = (await f.http.get("/.well-known/did.json")).json()
        assert own["alsoKnownAs"] == [successor, HOME_DID]
        assert len((await f.http.get("/.well-known/jwt-vc-issuer")).json()["jwks"]["keys"]) == 2
        assert await f.keys() == {HOME_DID: "retiring", successor: "active"}


@pytest.mark.req("KEY-02")
async def test_a_key_is_retired_when_nothing_hangs_on_it(tmp_path: Path) -> None:
    async with followed(sqlite_url(tmp_path), tmp_path, HOME_DID) as f:
        agent = str((await onboard(f.http))["agent_id"])
        held = await f.grant(agent)
        assert (await f.change(HOME_DID, "retire")).status_code == 409  # it signs
        successor = await turned(f)
        assert (await f.change(successor, "retire")).status_code == 409
        refused = await f.change(HOME_DID, "retire")
        assert refused.status_code == 409, refused.text
        assert await f.calls(held) == (200, "allowed")
        f.forward(hours=1)
        assert (await f.change(HOME_DID, "retire")).json()["state"] == "retired"
        await f.follow()
        assert f.trust.own(f.now) == {successor}
        assert (await f.change(HOME_DID, "revoke")).status_code == 409  # it is over
        assert (await f.change(HOME_DID, "retire")).status_code == 409
        assert await f.calls(await f.grant(agent)) == (200, "allowed")
        actions = [(e.action, e.decision) for e in await recorded(tmp_path) if e.action.startswith("issuer_key")]
        assert actions.count(("issuer_key.retire", "allow")) == 1
        assert actions.count(("issuer_key.retire", "deny")) == 4


@pytest.mark.req("KEY-03", "VCX-16")
async def test_nothing_of_a_revoked_key_counts_any_more(database_url: str, tmp_path: Path) -> None:
    async with followed(database_url, tmp_path, HOME_DID) as f:
        agent = str((await onboard(f.http))["agent_id"])
        held = await f.grant(agent)
        await f.follow()
        assert await f.calls(held) == (200, "allowed")
        ahead = (await f.http.get(f"/issuer-keys/{HOME_DID}/impact", headers=f.admin())).json()
        assert (ahead["agents"], ahead["credentials"], ahead["organisations"]) == (1, 1, ["home"])
        done = await f.change(HOME_DID, "revoke")
        assert (done.status_code, done.json()["credentials"]) == (200, 1), done.text
        (gone, successor), states = await f.keys(), (await f.keys()).values()
        assert (gone, [*states]) == (HOME_DID, ["revoked", "active"])
        await f.follow()
        assert f.trust.own(f.now) == {successor}
        assert await f.calls(held) == (401, "issuer_not_trusted")
        assert await f.calls(await f.grant(agent)) == (200, "allowed")
        f.forward(hours=2)  # who hears nothing for so long trusts the anchors, but not this one
        assert f.trust.own(f.now) == {successor}
        f.restart()
        assert f.trust.own(f.now) == {successor}
        listed = (await f.http.get("/credentials", headers=f.admin())).json()["credentials"]
        assert {one["id"]: one["state"] for one in listed}[held["id"]] == "revoked"
        (event,) = [e for e in await recorded(database_url) if e.action == "issuer_key.revoke"]
        assert (event.target, event.details["credentials"]) == (HOME_DID, "1")
        assert (await f.http.get("/issuer-keys/did:key:unknown/impact", headers=f.admin())).status_code == 404
        assert (await f.change("did:key:unknown", "revoke")).status_code == 404


@pytest.mark.req("KEY-03", "VCX-05")
async def test_a_thief_of_an_ended_key_signs_no_lists_and_names_no_heir(tmp_path: Path) -> None:
    async with followed(sqlite_url(tmp_path), tmp_path, HOME_DID) as f:
        await f.follow()
        before = (await f.http.get(PATH)).text
        await f.change(HOME_DID, "revoke")
        text = (await f.http.get(PATH)).text
    anchors = frozenset({HOME_DID})
    known = verify_trust_list(text, anchors=anchors, after=None, now=NOW)
    said: dict[str, Any] = {"version": known.version + 1, "issued": NOW, "expires": NOW + timedelta(minutes=5)}
    heir = did_key(THIEF.public)
    handed = make_handover(KEY, successor=heir, now=NOW)
    forged = TrustList(issuer=heir, own=(heir,), ended=known.ended, handovers=(*known.handovers, handed), **said)
    own = TrustList(issuer=HOME_DID, own=(HOME_DID,), **said)
    after = (known.version, known.issued)
    for text_, refusal in (
        (sign_trust_list(forged, key=THIEF), UntrustedIssuer),
        (sign_trust_list(own, key=KEY), UntrustedIssuer),
        (before, UntrustedIssuer),
    ):
        with pytest.raises(refusal):
            verify_trust_list(text_, anchors=anchors, after=after, now=NOW, known=known)
    successor = SigningKey.generate()
    honest = TrustList(
        issuer=did_key(successor.public),
        handovers=(make_handover(KEY, successor=did_key(successor.public), now=NOW),),
        **said,
    )
    signed = sign_trust_list(honest, key=successor)
    assert verify_trust_list(signed, anchors=anchors, after=None, now=NOW).issuer == did_key(successor.public)
    forgets = TrustList(issuer=HOME_DID, own=(HOME_DID,), ended=(heir,), **said)
    with pytest.raises(Replayed):  # what ended stays ended
        remembers = TrustList(issuer=HOME_DID, own=(HOME_DID,), ended=(heir, did_key(successor.public)), **said)
        verify_trust_list(sign_trust_list(forgets, key=KEY), anchors=anchors, after=None, now=NOW, known=remembers)


@pytest.mark.req("KEY-03", "KEY-04")
async def test_with_the_issuers_own_key_end_those_made_from_it(database_url: str, tmp_path: Path) -> None:
    async with followed(database_url, tmp_path, HOME_DID) as f:
        await other_organisation(f.http)
        await other_organisation(f.http, "globex")
        (made,) = await f.keys("acme")
        apart = await f.rotate("globex")
        f.now += WAIT
        (first, _) = await f.keys("globex")
        assert await f.keys("globex") == {first: "retiring", apart: "active"}
        ahead = (await f.http.get(f"/issuer-keys/{HOME_DID}/impact", headers=f.admin())).json()
        assert set(ahead["keys"]) == {HOME_DID, made, first}
        assert set(ahead["organisations"]) == {"home", "acme", "globex"}
        assert (await f.change(made, "revoke")).status_code == 404  # another organisation's
        assert (await f.change(HOME_DID, "revoke")).status_code == 200
        assert [*(await f.keys("acme")).values()] == ["revoked", "active"]
        assert await f.keys("globex") == {first: "revoked", apart: "active"}
        fresh = await other_organisation(f.http, "initech")
        made_later = await f.http.get("/issuer-keys", headers=fresh)
        assert [key["origin"] for key in made_later.json()["issuer_keys"]] == ["sealed"]


@pytest.mark.req("KEY-02", "KEY-04")
async def test_rotating_one_key_leaves_those_made_from_it(tmp_path: Path) -> None:
    async with followed(sqlite_url(tmp_path), tmp_path, HOME_DID) as f:
        await other_organisation(f.http)
        before = await f.keys("acme")
        await turned(f)
        f.forward(days=1)
        assert (await f.change(HOME_DID, "retire")).status_code == 200
        assert await f.keys("acme") == before


@pytest.mark.req("KEY-01", "KEY-02")
async def test_replicas_and_restarts_agree_and_the_database_gives_nothing_away(
    database_url: str, tmp_path: Path
) -> None:
    async with followed(database_url, tmp_path, HOME_DID) as f, issuer(database_url, lambda: f.now) as (other, _):
        successor = await f.rotate()
        f.now += WAIT
        listed = unverified_jws((await other.get(PATH)).text)[1]  # what the other replica says once it was asked
        assert (listed["iss"], listed["own"]) == (successor, [successor, HOME_DID])
        assert (await other.get("/.well-known/did-agent-issuer")).json()["did"] == successor
        async with issuer(database_url, lambda: f.now) as (again, _):
            assert (await again.get("/.well-known/did-agent-issuer")).json()["did"] == successor
            agent = await onboard(again)
            assert issuer_of(await f.grant(str(agent["agent_id"]))) == successor
        taken = await other.post("/issuer-keys", json={"reason": "at the same time"}, headers=f.admin())
        assert taken.status_code == 201
        assert (await f.http.post("/issuer-keys", json={"reason": "late"}, headers=f.admin())).status_code == 409
    kept = await everything(database_url)
    assert successor in kept
    assert not any(text in kept for text in spellings(KEY.seed()))
    assert '"d":' not in kept
    assert "AGE-SECRET-KEY" not in kept


@pytest.mark.req("KEY-03")
async def test_an_issuer_goes_on_when_its_stolen_file_was_replaced(tmp_path: Path) -> None:
    async with followed(sqlite_url(tmp_path), tmp_path, HOME_DID) as f:
        await other_organisation(f.http)
        await f.rotate()
        engine = open_database(sqlite_url(tmp_path))
        replaced = Ring(THIEF, clock=lambda: f.now, sealer=SEALER)
        with pytest.raises(KeysUnavailable):
            await replaced.prepare(SQLStore(engine))  # the key that signs is not in this file
        await f.change(HOME_DID, "revoke")
        await replaced.prepare(SQLStore(engine))
        for organisation in ("home", "acme"):
            name = None if organisation == "home" else organisation
            (signs,) = [did for did, state in (await f.keys(name)).items() if state == "active"]
            assert did_key(replaced.signer(organisation).public) == signs
        with pytest.raises(KeysUnavailable):
            replaced.find("home", HOME_DID)
        await engine.dispose()


@pytest.mark.req("WEB-04")
async def test_keys_take_two_people_where_that_is_said(tmp_path: Path) -> None:
    async with followed(sqlite_url(tmp_path), tmp_path, HOME_DID) as f:
        for role in ("issuer:manage", "issuer:audit", "issuer:sponsor"):
            refused = await f.http.post("/issuer-keys", json={"reason": "mine"}, headers=auth(role))
            assert refused.status_code == 403
        said = await f.http.put("/dual-control", json={"dual_control": ["keys"]}, headers=f.admin())
        assert said.status_code == 200, said.text
        waits = await f.http.post("/issuer-keys", json={"reason": "quarterly"}, headers=f.admin())
        assert waits.status_code == 202
        assert len(await f.keys()) == 1
        approve = f"/proposals/{waits.json()['proposal']}/approve"
        assert (await f.http.post(approve, headers=f.admin())).status_code == 403
        done = await f.http.post(approve, headers=SECOND)
        assert (done.status_code, done.json()["state"]) == (201, "pending")
        ends = await f.change(HOME_DID, "revoke")
        assert ends.status_code == 202
        assert json.loads(ends.text).keys() == {"proposal", "expires"}
        assert (await f.keys())[HOME_DID] == "active"
