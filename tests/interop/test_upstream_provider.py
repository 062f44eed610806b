"""The provider that stands for a company's own: a standard relying party signs a person in at it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2
import pytest
from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT

from did_agent.clock import system_clock
from tests.fakes.bridge_world import Browser, Clock, world
from tests.fakes.upstream.provider import ALICE, BOB, Upstream, UpstreamPerson, upstream_provider

CALLBACK = "http://127.0.0.1:9/callback"
VERIFIER = "v" * 43


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with upstream_provider(redirect_uris=(CALLBACK,)) as started:
        yield started


def walk(http: httpx2.Client, start: str, callback: str = CALLBACK, **filled: str) -> dict[str, str]:
    """Follow the pages as a browser does, and return the parameters of the answer."""
    response, here = http.get(start), start
    for _ in range(8):
        if response.is_redirect:
            here = urljoin(here, response.headers["location"])
            if here.startswith(callback):
                return {name: values[0] for name, values in parse_qs(urlsplit(here).query).items()}
            response = http.get(here)
        elif "alert" in response.text and filled:
            response, filled = http.post(here, data=filled), {}
        else:
            raise AssertionError(response.text)
    raise AssertionError("no end")


def question(upstream: Upstream, metadata: dict[str, str]) -> str:
    query = {
        "client_id": upstream.client_id,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid profile email groups",
        "state": "st4te",
        "nonce": "n0nce",
        "code_challenge": "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM",
        "code_challenge_method": "S256",
    }
    return str(httpx2.URL(metadata["authorization_endpoint"], params=query))


@pytest.mark.parametrize("person", [ALICE, BOB], ids=lambda person: person.username)
def test_a_person_signs_in_and_the_id_token_names_their_groups(upstream: Upstream, person: UpstreamPerson) -> None:
    with httpx2.Client(trust_env=False) as http:
        metadata = http.get(f"{upstream.issuer}/.well-known/openid-configuration").json()
        answer = walk(http, question(upstream, metadata), username=person.username, password=person.password)
        assert (answer["state"], answer["iss"]) == ("st4te", upstream.issuer)
        made = http.post(
            metadata["token_endpoint"],
            data={
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": CALLBACK,
                "code_verifier": VERIFIER,
            },
            auth=(upstream.client_id, upstream.client_secret),
        )
        keys = JWKSet.from_json(http.get(metadata["jwks_uri"]).text)
    assert made.status_code == 200, made.text
    claims = json.loads(JWT(jwt=made.json()["id_token"], key=keys, algs=["RS256"]).claims)
    assert (claims["sub"], claims["name"], claims["nonce"]) == (person.subject, person.name, "n0nce")
    assert claims["groups"] == list(person.groups)


def test_a_wrong_password_and_a_cancelled_login_give_no_code(upstream: Upstream) -> None:
    with httpx2.Client(trust_env=False) as http:
        metadata = http.get(f"{upstream.issuer}/.well-known/openid-configuration").json()
        with pytest.raises(AssertionError, match="Name or password is wrong"):
            walk(http, question(upstream, metadata), username="alice", password="wrong")
    with httpx2.Client(trust_env=False) as http:
        assert walk(http, question(upstream, metadata), abort="yes")["error"] == "access_denied"


async def test_the_bridge_signs_its_people_in_and_finds_no_fault(tmp_path: Path) -> None:
    with socket.socket() as probe:  # the provider must know the callback before the bridge runs
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with upstream_provider(redirect_uris=(f"http://127.0.0.1:{port}/login/upstream/callback",)) as provider:
        settings = {"upstream_issuer": provider.issuer, "upstream_client_id": provider.client_id}
        async with world(
            tmp_path, port=port, clock=Clock(system_clock()), upstream_client_secret=provider.client_secret, **settings
        ) as w:
            found = (await w.http.post("/upstream/test", headers=await w.admin_headers())).json()
            assert found["ok"], found
            for person in (ALICE, BOB):
                browser = Browser(w)
                assert "Sign in with 127.0.0.1" in (await browser.get("/account")).text
                start = (await browser.get("/login/upstream")).headers["location"]
                query = await asyncio.to_thread(_answered, start, f"{w.url}/login/upstream/callback", person)
                answer = await browser.get(f"/login/upstream/callback?{query}")
                assert answer.headers["location"] == f"{w.url}/account"
                assert person.name in (await browser.get("/account")).text
            users = (await w.http.get("/users", headers=await w.admin_headers())).json()["users"]
            assert {one["name"]: tuple(one["groups"]) for one in users} == {
                person.name: person.groups for person in (ALICE, BOB)
            }


def _answered(start: str, callback: str, person: UpstreamPerson) -> str:
    with httpx2.Client(trust_env=False) as http:
        answer = walk(http, start, callback, username=person.username, password=person.password)
    return urlencode(answer)
