"""Whom an organisation trusts: added, removed and recorded by operators, published signed; and did:web documents."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from did_agent.adapters.trust_list import PulledTrust
from did_agent.did.document import parse_did_document
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jwt import unverified_jws
from did_agent.tokens.trust_list import MEDIA_TYPE, PATH, verify_trust_list
from tests.contract.conftest import database_url
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import (
    ADMIN,
    AGENT_KEY,
    ISSUER_URL,
    KEY,
    READER,
    RESOURCE,
    auth,
    issuer,
    onboard,
    recorded,
)

__all__ = ["database_url"]  # every test here runs on SQLite and on PostgreSQL

PARTNER = did_key(SigningKey.from_seed(b"p" * 32).public)
LINE = {
    "issuer": PARTNER,
    "url": "https://issuer.partner.example",
    "resources": [RESOURCE],
    "tools": ["a"],
    "note": "tour",
}
ISSUER = did_key(KEY.public)
BECAUSE = {"reason": "because"}


async def added(http: httpx2.AsyncClient, **changes: Any) -> dict[str, Any]:
    made = await http.post("/trust", json=LINE | changes, headers=ADMIN)
    assert made.status_code == 201, made.text
    return dict(made.json())


@pytest.mark.req("VCX-05", "AUD-01")
async def test_lines_are_kept_published_and_recorded(database_url: str) -> None:
    moment = [NOW]
    async with issuer(database_url, clock=lambda: moment[0]) as (http, _):
        first = await added(http)
        assert (first["version"], first["types"], first["tools"]) == (1, ["capability", "status"], ["a"])
        second = await added(http, tools=None, valid_until="2027-01-01T00:00:00Z")
        assert second["version"] == 2
        listed = (await http.get("/trust", headers=ADMIN)).json()
        assert ([one["id"] for one in listed["trust"]], listed["version"]) == ([first["id"], second["id"]], 2)
        assert (await http.get(f"/trust/{first['id']}", headers=auth("issuer:audit"))).json()["note"] == "tour"

        answer = await http.get(PATH)
        assert answer.headers["content-type"] == MEDIA_TYPE
        found = verify_trust_list(answer.text, anchors=frozenset({ISSUER}), after=None, now=moment[0])
        assert (found.version, found.own) == (2, (ISSUER,))
        assert [one.tools for one in found.entries] == [frozenset({"a"}), None]
        assert "tour" not in str(unverified_jws(answer.text)[1])  # why is nobody else's business
        same = await http.get(PATH, headers={"If-None-Match": answer.headers["etag"]})
        assert same.status_code == 304
        moment[0] += timedelta(seconds=5)  # signed anew, so that it shows to be fresh
        assert (await http.get(PATH, headers={"If-None-Match": answer.headers["etag"]})).status_code == 200

        gone = await http.delete(f"/trust/{first['id']}", headers=ADMIN)
        assert (gone.json()["issuer"], gone.json()["version"]) == (PARTNER, 3)
        assert (await http.delete(f"/trust/{first['id']}", headers=ADMIN)).status_code == 404
    async with issuer(database_url, clock=lambda: moment[0]) as (http, _):
        after = (found.version, found.issued)
        again = verify_trust_list((await http.get(PATH)).text, anchors=frozenset({ISSUER}), after=after, now=moment[0])
        assert (again.version, [one.id for one in again.entries]) == (3, [second["id"]])
    told = [(event.action, event.decision, event.details.get("version")) for event in await recorded(database_url)]
    assert told == [
        ("trust.add", "allow", "1"),
        ("trust.add", "allow", "2"),
        ("trust.remove", "allow", "3"),
        ("trust.remove", "deny", None),
    ]


@pytest.mark.req("WEB-04", "VCX-05")
async def test_only_admins_change_trust_and_what_is_no_line_is_refused_and_recorded(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        for headers in ({}, READER, auth("issuer:manage"), auth("issuer:sponsor"), auth("issuer:audit")):
            assert (await http.post("/trust", json=LINE, headers=headers)).status_code in (401, 403)
            assert (await http.delete("/trust/x", headers=headers)).status_code in (401, 403)
        for changes in (
            {"issuer": ISSUER},
            {"url": ISSUER_URL},
            {"issuer": "did:web:127.0.0.1"},
            {"resources": ["https://mcp.example/*"]},
            {"resources": []},
            {"types": ["anchor"]},
            {"valid_until": "2020-01-01T00:00:00Z"},
            {"organisation": "home"},
        ):
            assert (await http.post("/trust", json=LINE | changes, headers=ADMIN)).status_code == 400, changes
        assert (await http.get("/trust", headers=ADMIN)).json() == {"trust": [], "version": 0}
    assert {event.decision for event in await recorded(database_url)} == {"deny"}


@pytest.mark.req("WEB-02")
async def test_an_organisation_without_a_list_looks_like_none(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        assert (await http.get(f"/organisations/other{PATH}")).status_code == 404
        assert (await http.get(f"/organisations/home{PATH}")).status_code == 200


@pytest.mark.req("VCX-05", "REV-01")
async def test_a_guard_takes_it_up_and_gives_it_up(database_url: str, tmp_path: Any) -> None:
    resolver: Any = None
    moment = [NOW]
    async with issuer(database_url, clock=lambda: moment[0]) as (http, _):
        trust = PulledTrust(
            ISSUER_URL,
            anchors=frozenset({ISSUER}),
            file=tmp_path / "list",
            resolver=resolver,
            clock=lambda: moment[0],
        )
        await trust.ask(http)
        assert not trust.current(moment[0]).foreign
        line = await added(http)
        await trust.ask(http)
        assert trust.current(moment[0]).foreign == {PARTNER}
        await http.delete(f"/trust/{line['id']}", headers=ADMIN)
        await trust.ask(http)
        assert not trust.current(moment[0]).foreign


@pytest.mark.req("VCX-13", "VCX-04")
async def test_documents_show_the_key_that_counts_now(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        own = parse_did_document((await http.get("/.well-known/did.json")).json(), expected_id="did:web:issuer.example")
        (method,) = own.methods
        assert own.method_for(method.id, relationship="assertionMethod") == KEY.public
        linked = (await http.get("/.well-known/did-configuration.json")).json()
        jws, claims = unverified_jws(linked["linked_dids"][0])
        assert set(jws.header) == {"alg", "kid", "typ"}
        assert claims["vc"]["credentialSubject"] == {"id": ISSUER, "origin": ISSUER_URL}

        agent = await onboard(http)
        slug = agent["agent_id"].removeprefix("urn:uuid:")
        place, kept = f"/agents/{slug}/did.json", f"/agents/{agent['agent_id']}/did-web"
        assert (await http.get(place)).status_code == 404  # nobody asked for one
        assert (await http.put(kept, headers=READER)).status_code == 403
        did = (await http.put(kept, headers=ADMIN)).json()["did"]
        assert did == f"did:web:issuer.example:agents:{slug}"
        document = (await http.get(place)).json()
        shown = parse_did_document(document, expected_id=did)
        assert shown.method_for(shown.methods[0].id, relationship="authentication") == AGENT_KEY.public
        assert document["alsoKnownAs"] == [did_key(AGENT_KEY.public)]

        await http.post(f"/agents/{agent['agent_id']}/suspend", json=BECAUSE, headers=ADMIN)
        assert parse_did_document((await http.get(place)).json(), expected_id=did).methods == ()
        await http.post(f"/agents/{agent['agent_id']}/resume", json=BECAUSE, headers=ADMIN)
        assert len((await http.get(place)).json()["verificationMethod"]) == 1
        assert (await http.delete(kept, headers=ADMIN)).status_code == 204
        assert (await http.get(place)).status_code == 404
        assert (await http.put(kept, headers=ADMIN)).status_code == 200
        await http.post(f"/agents/{agent['agent_id']}/retire", json=BECAUSE, headers=ADMIN)
        assert (await http.get(place)).status_code == 404
