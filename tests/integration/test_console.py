"""The console as a person uses it without script: every page, changes by forms, and what each role sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.e2e.processes import free_base
from tests.fakes.bridge_world import form_of
from tests.fakes.console_world import PASSWORD, ConsoleWorld, console_world

PAGES = (
    "/", "/agents", "/agents/new", "/credentials", "/delegations", "/requests", "/audit", "/why", "/policy",
    "/consents", "/trust", "/keys", "/people", "/switches", "/settings", "/reference",
)  # fmt: skip
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
MOST = 100_000  # bytes of a page


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleWorld]:
    with console_world(tmp_path_factory.mktemp("console") / "data", free_base()) as made:
        made.person("robin", "admin")
        made.person("avery", "auditor")
        made.person("jo")
        yield made


def agent(world: ConsoleWorld, name: str, **more: object) -> dict[str, object]:
    return world.operate("issuer", "POST", "/agents", name=name, sponsor="Ops", **more)


def test_every_page_opens_when_there_is_nothing_and_shows_no_trouble(world: ConsoleWorld) -> None:
    with world.browser("robin", "/agents?state=active") as browser:
        assert str(browser.landed.url) == f"{world.url}/agents?state=active"
        for path in PAGES:
            page = browser.get(path)
            assert (page.status_code, 'class="trouble"' in page.text) == (200, False), (path, page.text[-600:])
            assert len(page.content) <= MOST, path
            assert "<h1" in page.text
            assert 'lang="en"' in page.text


@pytest.mark.req("WEB-05")
def test_hostile_names_stay_text_and_no_page_has_script_or_style_of_its_own(world: ConsoleWorld) -> None:
    made = agent(world, "hostile-agent", description=HOSTILE)
    with world.browser("robin") as browser:
        for path in (*PAGES, f"/agents/{made['agent_id']}", f"/agents/{made['agent_id']}/grant"):
            page = browser.get(path, said=HOSTILE)
            assert page.status_code == 200, path
            assert [mark for mark in ("<script>alert", "<img src=x") if mark in page.text] == [], path
            assert re.findall(r"<script(?! src=\"/static/htmx.min.js\" defer)", page.text) == []
            assert re.search(r"<[^>]+\s(style|on[a-z]+)=", page.text) is None, path
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
        shown = browser.get(f"/agents/{made['agent_id']}").text
        assert "&lt;script&gt;alert(1)" in shown
        assert "{{7*7}}" in shown


def test_an_agent_is_made_suspended_and_retired_by_forms(world: ConsoleWorld) -> None:
    with world.browser("robin") as browser:
        invited = browser.post("/agents/new", name="by-form", sponsor="Ops", tags="one, two")
        assert invited.status_code == 201
        assert "Challenge" in invited.text
        (made,) = world.operate("issuer", "GET", "/agents?name=by-form")["agents"]
        assert (made["owner"], made["tags"]) == ("robin", ["one", "two"])
        again = browser.post("/agents/new", name="by-form", sponsor="Kept Sponsor")
        assert again.status_code == 400
        assert "state_conflict" in again.text
        assert "Kept Sponsor" in again.text
        retired = browser.post(f"/agents/{made['agent_id']}/retire", reason="done")
        assert retired.status_code == 200
        assert "Retired for good" in retired.text
        assert world.operate("issuer", "GET", f"/agents/{made['agent_id']}")["state"] == "retired"
        refused = browser.post(f"/agents/{made['agent_id']}/suspend", reason="too late")
        assert refused.status_code == 409
        assert "state_conflict" in refused.text


@pytest.mark.req("WEB-05")
def test_a_form_from_elsewhere_changes_nothing(world: ConsoleWorld) -> None:
    made = agent(world, "safe-agent")
    path = f"/agents/{made['agent_id']}/retire"
    with world.browser("robin") as browser:
        body = "reason=x"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert browser.http.post(world.url + path, content=body, headers=headers).status_code == 403
        mark = re.search(r'name="mark" value="([0-9a-f]+)"', browser.get("/agents/new").text)
        assert mark is not None
        foreign = {**headers, "Origin": "https://evil.example"}
        sent = browser.http.post(world.url + path, content=f"{body}&mark={mark[1]}", headers=foreign)
        assert sent.status_code == 403
    with world.browser("avery") as other:
        sent = other.http.post(
            world.url + path, content=f"{body}&mark={mark[1]}", headers={**headers, "Origin": world.url}
        )
        assert sent.status_code == 403
    assert world.operate("issuer", "GET", f"/agents/{made['agent_id']}")["state"] == "pending"


@pytest.mark.req("WEB-06")
def test_a_sign_in_that_began_elsewhere_ends_here(world: ConsoleWorld) -> None:
    with world.browser("robin") as browser:
        page = browser.get("/signed-in", code="x", state="y")
        assert page.status_code == 403
        assert "did not start a sign-in" in page.text
        browser.http.get(f"{world.url}/sign-in", params={"to": "//evil.example"}, follow_redirects=False)
        page = browser.get("/signed-in", code="x", state="not-ours")
        assert page.status_code == 403
        assert "another sign-in" in page.text
    with world.browser("robin", "/sign-in?to=//evil.example") as browser:
        assert str(browser.landed.url) == f"{world.url}/"


@pytest.mark.req("WEB-06")
def test_signing_out_ends_the_session_and_the_database_holds_no_token(world: ConsoleWorld) -> None:
    with world.browser("robin") as browser:
        cookie = browser.http.cookies["did-agent-console"]
        browser.post("/sign-out")
        stolen = browser.http.get(
            f"{world.url}/agents", headers={"Cookie": f"did-agent-console={cookie}"}, follow_redirects=False
        )
        assert (stolen.status_code, stolen.headers["location"][:9]) == (303, "/sign-in?")
    with world.browser("robin") as browser:
        cookie = browser.http.cookies["did-agent-console"]
        content = b"".join(path.read_bytes() for path in sorted(world.at.data.glob("console.db*")))
        assert len(content) > 4096
        assert cookie.encode() not in content
        assert b"eyJ" not in content


@pytest.mark.req("WEB-04")
def test_each_role_sees_and_changes_what_it_may(world: ConsoleWorld) -> None:
    made = agent(world, "seen-by-auditor")
    with world.browser("avery") as browser:
        page = browser.get(f"/agents/{made['agent_id']}")
        assert page.status_code == 200
        assert "Change its state" not in page.text
        sent = browser.post(f"/agents/{made['agent_id']}/retire", reason="x")
        assert sent.status_code in (403, 409)
        assert "insufficient_scope" in sent.text
        assert browser.get("/audit").status_code == 200
        assert "insufficient_scope" in browser.get("/people").text
    with world.browser("jo") as browser:
        assert browser.landed.status_code == 403
        assert "no role here" in browser.landed.text
    assert world.operate("issuer", "GET", f"/agents/{made['agent_id']}")["state"] == "pending"


def test_the_trail_is_filtered_exported_and_explained(world: ConsoleWorld) -> None:
    agent(world, "traced")
    with world.browser("robin") as browser:
        page = browser.get("/audit", action="agent.create", decision="allow")
        found = re.search(r'href="/audit/(urn%3Auuid%3A[0-9a-f-]+)"', page.text)
        assert found is not None
        assert "agent.create" in page.text
        event = browser.get(f"/audit/{found[1]}")
        assert event.status_code == 200
        assert "That it is in the log" in event.text
        assert "Row " in event.text
        assert browser.get("/audit", reason="no_such_reason").text.count("Nothing that was recorded fits") == 1
        table = browser.get("/audit-export", format="csv", action="agent.create")
        assert table.headers["content-type"].startswith("text/csv")
        assert "agent.create" in table.text
        identifier = found[1].replace("%3A", ":")
        why = browser.post("/why", text=identifier)
        assert why.status_code == 200
        assert 'class="steps"' in why.text
        assert browser.post("/why", text="urn:uuid:00000000-0000-4000-8000-000000000000").status_code == 404


def test_a_policy_is_checked_simulated_published_and_rolled_back(world: ConsoleWorld) -> None:
    good = (
        '{"roles": {"cook": {"groups": [], "tools": {}}}, "resources": {}, "agents": [], "rules": "", "arguments": {}}'
    )
    with world.browser("robin") as browser:
        wrong = browser.post("/policy", text="{", step="check")
        assert wrong.status_code == 400
        assert 'role="alert"' in wrong.text
        checked = browser.post("/policy", text=good, step="check")
        assert "roles.cook" in checked.text, checked.text[-2000:]
        before = world.operate("bridge", "GET", "/policy")["version"]
        published = browser.post("/policy", text=good, step="publish", note="first", follows=str(before))
        assert "Published" in published.text, published.text[-2000:]
        assert world.operate("bridge", "GET", "/policy")["version"] == before + 1
        assert browser.get(f"/policy/{before + 1}").status_code == 200


@pytest.mark.req("WEB-06")
def test_signing_in_again_asks_for_the_password_though_the_bridge_knows_the_browser(world: ConsoleWorld) -> None:
    with world.browser("robin") as browser:
        assert browser.get("/sign-in", to="/keys").url.path == "/keys"  # known, and nobody is asked
        asked = browser.get("/sign-in", to="/keys", again="yes")
        assert asked.url.host == "127.0.0.1"
        fields = form_of(asked.text).fields | {"username": "robin", "password": PASSWORD}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": world.at.urls.bridge_url}
        landed = browser.http.post(str(asked.url), content=urlencode(fields), headers=headers)
        assert str(landed.url) == f"{world.url}/keys"
