"""Whose people of the company's provider are, by rules over what it says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.bridge_world import Browser, Clock, cheap_passwords, world
from tests.fakes.upstream.dishonest import CLIENT_ID, CLIENT_SECRET, Dishonest
from tests.integration.test_bridge_upstream import clock, people, provider, refused, sign_in

__all__ = ["clock", "provider"]

PLACES = [
    {"claim": "org", "value": "acme", "organisation": "acme"},
    {"claim": "groups", "value": "acme-admins", "organisation": "acme", "operates": ["admin"]},
    {"claim": "groups", "value": "globex-admins", "organisation": "globex", "operates": ["admin"]},
]


@pytest.mark.req("WEB-02", "WEB-06", "OAU-09")
async def test_rules_say_whose_a_person_of_the_company_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Dishonest, clock: Clock
) -> None:
    cheap_passwords(monkeypatch)
    asked = {"upstream_issuer": provider.issuer, "upstream_client_id": CLIENT_ID, "upstream_places": PLACES}
    async with world(tmp_path, clock=clock, upstream_client_secret=CLIENT_SECRET, **asked) as w:
        stories: tuple[tuple[dict[str, Any], str, list[str]], ...] = (
            ({"org": "acme", "groups": ["acme-admins"]}, "acme", ["admin"]),
            # The first rule that fits says whose they are; roles elsewhere do not come along.
            ({"org": "acme", "groups": ["globex-admins"]}, "acme", []),
            ({"org": ["x", "acme"], "groups": []}, "acme", []),
            ({"org": "acme ", "groups": ["acme-admins2", "Globex-admins"]}, "home", []),
            ({"org": {"acme": True}, "groups": []}, "home", []),
        )
        for claims, organisation, operates in stories:
            provider.claims, browser = claims, Browser(w)
            assert (await sign_in(browser)).status_code == 303
            (known,) = (await people(w)).values()
            assert (known["organisation"], known["operates"]) == (organisation, operates), claims
        # What the company says is not overruled here, or the next login would take it back unseen.
        body = {"username": known["username"], "organisation": "acme", "operates": ["admin"]}
        put = await w.http.put("/user-organisations", json=body, headers=await w.admin_headers())
        assert (put.status_code, put.json()["code"]) == (409, "state_conflict")
        # Who loses a role loses the sessions that were opened with it.
        provider.claims = {"org": "acme", "groups": ["acme-admins"]}
        first = Browser(w)
        await sign_in(first)
        assert "Sign in" not in (await first.get("/account")).text
        provider.claims = {"org": "acme", "groups": []}
        await sign_in(Browser(w))
        assert "Sign in" in (await first.get("/account")).text


@pytest.mark.req("WEB-02", "OAU-09")
async def test_whom_no_rule_fits_can_be_kept_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Dishonest, clock: Clock
) -> None:
    cheap_passwords(monkeypatch)
    asked: dict[str, Any] = {"upstream_issuer": provider.issuer, "upstream_client_id": CLIENT_ID}
    asked |= {"upstream_places": PLACES, "upstream_admits_others": False}
    async with world(tmp_path, clock=clock, upstream_client_secret=CLIENT_SECRET, **asked) as w:
        provider.claims, browser = {"groups": ["somebody"]}, Browser(w)
        await refused(w, browser, await sign_in(browser), "bad_grant")
        assert await people(w) == {}
        provider.claims = {"org": "acme", "groups": []}
        assert (await sign_in(Browser(w))).status_code == 303
