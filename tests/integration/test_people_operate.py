"""A person signs in at the bridge, brings their role to the console, and operates their organisation with it."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.fakes.bridge_world import PASSWORD, form_of
from tests.fakes.deployment import Deployed, deployed

REDIRECT = "http://127.0.0.1:9/console"


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("people")) as running:
        admin(running, "bridge", "PUT", "/clients/console", name="Console", redirect_uris=[REDIRECT],
              auth_method="none", operates=True)  # fmt: skip
        for name in ("acme", "globex"):
            admin(running, "issuer", "POST", "/organisations", name=name)
        for username, organisation, roles in (
            ("avery", "acme", ["admin"]), ("sam", "acme", ["sponsor"]), ("alex", "acme", ["auditor"]),
            ("jo", "acme", []), ("blair", "globex", ["admin"]), ("robin", "home", ["admin"]),
        ):  # fmt: skip
            admin(running, "bridge", "PUT", f"/users/{username}", name=username, password=PASSWORD, rights={},
                  organisation=organisation, operates=roles)  # fmt: skip
        yield running


def admin(parties: Deployed, party: str, method: str, path: str, **body: Any) -> httpx2.Response:
    answer = call(parties, party, method, path, parties.token(party), json=body)
    assert answer.is_success, answer.text
    return answer


def call(parties: Deployed, party: str, method: str, path: str, token: str, **content: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.request(method, f"{parties.urls[party]}{path}", headers=headers, trust_env=False, **content)


def signed_in(parties: Deployed, username: str, party: str = "issuer") -> dict[str, Any]:
    """Return what the console gets at the end of its authorization code flow with PKCE; an error by its name."""
    bridge, verifier = parties.urls["bridge"], secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code", "client_id": "console", "redirect_uri": REDIRECT, "resource": parties.urls[party],
        "code_challenge": challenge, "code_challenge_method": "S256", "state": "s",
    }  # fmt: skip
    path = f"{bridge}/authorize?{urlencode(query)}"
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(bridge))
    with httpx2.Client(trust_env=False) as browser:

        def submit(pairs: list[tuple[str, str]]) -> httpx2.Response:
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin}
            return browser.post(path, content=urlencode(pairs), headers=headers)

        login = form_of(browser.get(path).text).fields | {"username": username, "password": PASSWORD}
        page = browser.get(submit(list(login.items())).headers["location"])
        if page.status_code == 200:
            form = form_of(page.text)
            boxes = [("scope_item", box) for box in form.boxes]
            page = submit([*form.fields.items(), *boxes, ("decision", "allow")])
    said = parse_qs(urlsplit(page.headers["location"]).query)
    if "error" in said:
        return {"error": said["error"][0]}
    fields = {"grant_type": "authorization_code", "client_id": "console", "code": said["code"][0]}
    fields |= {"code_verifier": verifier, "redirect_uri": REDIRECT}
    return dict(httpx2.post(f"{bridge}/token", data=fields, trust_env=False).json())


@pytest.mark.req("WEB-02", "WEB-04")
def test_a_person_operates_their_organisation_and_no_other(parties: Deployed) -> None:
    avery, blair = (str(signed_in(parties, name)["access_token"]) for name in ("avery", "blair"))
    body = {"name": "orders", "sponsor": "Ops"}
    made = call(parties, "issuer", "POST", "/agents", avery, json=body)
    assert (made.status_code, made.json()["organisation"], made.json()["owner"]) == (201, "acme", "avery"), made.text
    path = f"/agents/{made.json()['agent_id']}"
    assert call(parties, "issuer", "GET", path, avery).status_code == 200
    assert call(parties, "issuer", "GET", path, blair).status_code == 404
    assert call(parties, "issuer", "POST", "/organisations", avery, json={"name": "own"}).status_code == 403
    for party, where in (("bridge", "/users"), ("bridge", "/operators"), ("ledger", "/events")):
        assert call(parties, party, "GET", where, avery).status_code in (401, 403), where


@pytest.mark.req("WEB-04")
def test_a_role_is_what_it_says_for_people_too(parties: Deployed) -> None:
    alex, sam = signed_in(parties, "alex"), signed_in(parties, "sam")
    assert (alex["scope"], sam["scope"]) == ("issuer:audit", "issuer:sponsor")
    body = {"name": "audited", "sponsor": "Ops"}
    assert call(parties, "issuer", "POST", "/agents", alex["access_token"], json=body).status_code == 403
    assert signed_in(parties, "jo") == {"error": "invalid_scope"}
    assert signed_in(parties, "avery", "bridge") == {"error": "invalid_scope"}
    assert signed_in(parties, "sam", "ledger") == {"error": "invalid_scope"}
    assert signed_in(parties, "alex", "ledger")["scope"] == "audit:read"
    robin = signed_in(parties, "robin", "ledger")
    assert call(parties, "ledger", "GET", "/events", robin["access_token"]).status_code == 200


@pytest.mark.req("REV-03", "WEB-04")
def test_a_sponsor_hides_no_agent_from_the_switch_that_is_meant_for_it(parties: Deployed) -> None:
    avery, sam = (str(signed_in(parties, name)["access_token"]) for name in ("avery", "sam"))

    def create(name: str, sponsor: str) -> httpx2.Response:
        return call(parties, "issuer", "POST", "/agents", sam, json={"name": name, "sponsor": sponsor})

    refused = create("hidden", "Somebody")
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    assert create("own", "sam").status_code == 201
    named = call(parties, "issuer", "PUT", "/principals/sam", avery, json={"sponsors": ["Team Nine"]})
    assert named.status_code == 200, named.text
    assert create("given", "Team Nine").status_code == 201
    assert call(parties, "issuer", "PUT", "/principals/sam", sam, json={"sponsors": ["x"]}).status_code == 403
    people = call(parties, "issuer", "GET", "/principals", avery).json()["principals"]
    assert {one["principal"]: one["roles"] for one in people} == {"avery": ["admin"], "sam": ["sponsor"]} | (
        {"alex": ["auditor"]} if len(people) > 2 else {}
    )


@pytest.mark.req("WEB-02", "WEB-04")
def test_an_agent_goes_into_the_hands_of_somebody_who_is_there(parties: Deployed) -> None:
    avery = str(signed_in(parties, "avery")["access_token"])
    for name in ("sam", "alex", "blair"):
        token = str(signed_in(parties, name)["access_token"])
        call(parties, "issuer", "GET", "/agents", token)  # with that the issuer knows them
    made = call(parties, "issuer", "POST", "/agents", avery, json={"name": "handed", "sponsor": "Ops"}).json()
    path = f"/agents/{made['agent_id']}/transfer"
    answers = {
        owner: call(parties, "issuer", "POST", path, avery, json={"owner": owner, "reason": "x"})
        for owner in ("nobody", "blair", "jo", "alex", " ", "sam")
    }  # unknown, of another organisation, never there, one who may own nothing, nothing
    assert {owner: answer.status_code for owner, answer in answers.items()} == {
        "nobody": 400, "blair": 400, "jo": 400, "alex": 400, " ": 400, "sam": 200,
    }  # fmt: skip
    told = [{**answer.json(), "request_id": ""} for owner, answer in answers.items() if owner != "sam"]
    assert all(one == told[0] for one in told)
    home = parties.token("issuer")
    assert call(parties, "issuer", "DELETE", "/principals/sam", avery).status_code == 204
    gone = call(parties, "issuer", "POST", path, avery, json={"owner": "sam", "reason": "x"})
    assert gone.status_code == 400
    assert call(parties, "issuer", "DELETE", "/principals/avery", home).status_code == 404  # of another organisation
