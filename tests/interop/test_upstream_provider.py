"""The provider that stands for a company's own: a standard relying party signs a person in at it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import pytest
from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT

from tests.fakes.upstream.provider import ALICE, BOB, Upstream, UpstreamPerson, upstream_provider

CALLBACK = "http://127.0.0.1:9/callback"
VERIFIER = "v" * 43


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with upstream_provider(redirect_uris=(CALLBACK,)) as started:
        yield started


def walk(http: httpx2.Client, start: str, **filled: str) -> dict[str, str]:
    """Follow the pages as a browser does, and return the parameters of the answer."""
    response, here = http.get(start), start
    for _ in range(8):
        if response.is_redirect:
            here = urljoin(here, response.headers["location"])
            if here.startswith(CALLBACK):
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
