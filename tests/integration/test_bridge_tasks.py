"""Tasks at a real bridge: a grant is given for a task, stays with it through every hop, and ends with it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from did_agent.client.auth import TokenAuth
from did_agent.client.tasks import TasksClient
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.task import task_id
from tests.fakes.bridge_world import (
    REDIRECT,
    RESOURCE,
    Actor,
    Browser,
    World,
    capability,
    claims_of,
    form_of,
    question,
    redeem,
    w,
)

__all__ = ["w"]


async def token(w: World, agent: Actor, **form: str) -> dict[str, Any]:
    answer = await w.exchange(await w.vp(agent), **form)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def complete(w: World, key: SigningKey, task: str) -> Any:
    return await w.post("/tasks/complete", {"task": task, **w.assertion(key)})


async def stands(w: World, text: str) -> bool:
    fields = {"token": text, **w.assertion(w.operator)}
    return bool((await w.post("/introspect", fields)).json()["active"])


async def chain(w: World, task: str | None = "tidy-up") -> tuple[Actor, Actor, dict[str, Any], dict[str, Any]]:
    """Return an agent, one it handed on to, and the tokens of both."""
    first, second = w.enrol("orders"), w.enrol("helper")
    parent = w.grant(first, capability("list_menu", "create_order"))
    child = w.hand_on(parent, first, second, "list_menu")
    root = await token(w, first, **({"task": task} if task else {}))
    hop = await w.next_hop(root["access_token"], await w.vp(second, child, parent))
    assert hop.status_code == 200, hop.text
    return first, second, root, dict(hop.json())


@pytest.mark.req("DEL-05")
async def test_a_token_names_the_task_and_is_answered_with_its_id(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    expected = task_id("tidy-up", issuer=w.url, principal=agent.did, principal_kind="agent", client=agent.did)
    for answer in (
        await token(w, agent, task="tidy-up"),
        (await w.client_credentials(agent.key, resource=RESOURCE, task="tidy-up")).json(),
    ):
        assert (answer["task"], claims_of(answer["access_token"])["task"]) == (expected, expected)
    plain = await token(w, agent)
    assert "task" not in plain
    assert "task" not in claims_of(plain["access_token"])


@pytest.mark.parametrize("name", ["", "a b", "a/b", "urn:did-agent:task:" + "A" * 43, "x" * 129, "é"])
async def test_a_name_of_a_task_has_a_safe_alphabet(w: World, name: str) -> None:
    agent = w.agent("orders", "list_menu")
    answer = await w.client_credentials(agent.key, resource=RESOURCE, task=name)
    if not name:  # an empty parameter is an absent one (OAuth 2.1, 3.2)
        assert answer.status_code == 200
        return
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await w.client_credentials(agent.key, resource=RESOURCE, task="x" * 128)).status_code == 200


@pytest.mark.req("DEL-05", "DEL-06")
async def test_every_hop_keeps_the_task_and_none_can_change_it(w: World) -> None:
    first, second, root, hop = await chain(w)
    assert claims_of(hop["access_token"])["task"] == root["task"] == hop["task"]
    child = w.hand_on(first.held[0], first, second, "list_menu")
    for asked, status in ((root["task"], 200), ("tidy-up", 400), ("another", 400)):
        vp = await w.vp(second, child, first.held[0])
        answer = await w.next_hop(root["access_token"], vp, task=asked)
        assert answer.status_code == status, answer.text


@pytest.mark.req("DEL-05")
async def test_a_hop_may_narrow_itself_to_a_task_of_its_own(w: World) -> None:
    first, second, root, _ = await chain(w, task=None)
    child = w.hand_on(first.held[0], first, second, "list_menu")
    vp = await w.vp(second, child, first.held[0])
    answer = await w.next_hop(root["access_token"], vp, task="mine")
    assert answer.status_code == 200, answer.text
    assert (await complete(w, second.key, "mine")).status_code == 200
    assert await stands(w, root["access_token"])
    assert not await stands(w, answer.json()["access_token"])


@pytest.mark.req("DEL-10")
async def test_completing_ends_every_token_of_the_task_and_no_other(w: World) -> None:
    first, _, root, hop = await chain(w)
    other = await token(w, first, task="another")
    answer = await complete(w, first.key, "tidy-up")
    assert answer.json() == {"task": root["task"], "completed": True}
    assert not await stands(w, root["access_token"])
    assert not await stands(w, hop["access_token"])
    assert await stands(w, other["access_token"])
    feed = (await w.http.get("/revocations", params={"after": "0"})).json()["sets"]
    told = {claims_of(item["set"])["sub_id"]["uri"]: claims_of(item["set"])["events"] for item in feed}
    assert [*told[root["task"]]] == ["https://w3id.org/did-agent/event/task-completed"]
    event = next(one for one in await w.events() if one["action"] == "task.complete")
    assert (event["principal"], event["target"], event["details"]["name"]) == (first.did, root["task"], "tidy-up")


@pytest.mark.req("DEL-10")
async def test_nothing_is_issued_for_a_completed_task(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    started = await token(w, agent, task="tidy-up")
    assert (await complete(w, agent.key, started["task"])).status_code == 200
    again = await w.exchange(await w.vp(agent), task="tidy-up")
    assert (again.status_code, again.json()["error"], again.json()["code"]) == (400, "invalid_grant", "task_completed")
    assert (await w.exchange(await w.vp(agent), task="tidy-up-2")).status_code == 200
    assert (await complete(w, agent.key, started["task"])).status_code == 200  # a second time is no error
    assert [one["action"] for one in await w.events()].count("task.complete") == 1


@pytest.mark.req("DEL-10")
async def test_only_who_began_it_the_person_and_operators_complete_a_task(w: World) -> None:
    _, second, root, _ = await chain(w)
    stranger = w.agent("stranger", "list_menu")
    for key, name in ((second.key, root["task"]), (stranger.key, root["task"]), (stranger.key, "tidy-up")):
        answer = await complete(w, key, name)
        assert (answer.status_code, answer.json()["code"]) == (400, "not_found")
    assert await stands(w, root["access_token"])
    refusals = [one for one in await w.events() if one["action"] == "task.complete"]
    assert {(one["decision"], one["reason"]) for one in refusals} == {("deny", "not_found")}
    headers = await w.admin_headers()
    client = TasksClient(w.url, auth=TokenAuth(partial(_given, headers["Authorization"].split()[1]), clock=w.clock))
    assert [one["name"] for one in await client.tasks()] == ["tidy-up"]
    assert await client.complete(root["task"]) == root["task"]
    assert await client.tasks() == []
    assert not await stands(w, root["access_token"])


async def _given(token: str) -> str:
    return token


@pytest.mark.req("DEL-05")
async def test_the_same_name_is_another_task_for_everybody_else(w: World) -> None:
    one, other = w.agent("orders", "list_menu"), w.agent("stranger", "list_menu")
    mine, theirs = await token(w, one, task="tidy-up"), await token(w, other, task="tidy-up")
    assert mine["task"] != theirs["task"]
    assert (await complete(w, other.key, "tidy-up")).status_code == 200
    assert await stands(w, mine["access_token"])
    assert not await stands(w, theirs["access_token"])


async def consented(w: World, agent: Actor, **asked: str) -> dict[str, Any]:
    """Return the answer to a code with its refresh token."""
    asking = question(agent, scope="tool:list_menu offline_access", **asked)
    answer = await Browser(w).consent(asking.path, offline=True)
    fields = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "code_verifier": asking.verifier,
        "redirect_uri": REDIRECT,
        **w.assertion(agent.key),
    }
    redeemed = await w.post("/token", fields)
    assert redeemed.status_code == 200, redeemed.text
    return dict(redeemed.json())


@pytest.mark.req("DEL-06", "DEL-10")
async def test_a_consent_for_a_task_gives_tokens_and_refreshes_for_it_alone(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    asking = question(agent, task="tidy-up")
    page = await Browser(w).login(asking.path)
    assert "the task it calls <bdi>tidy-up</bdi>" in page.text
    first = await consented(w, agent, task="tidy-up")
    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], **w.assertion(agent.key)}
    assert (await w.post("/token", {**refresh, "task": "another"})).json()["error"] == "invalid_request"
    again = await w.post("/token", {**refresh, **w.assertion(agent.key), "task": "tidy-up"})
    assert again.json()["task"] == first["task"] == claims_of(again.json()["access_token"])["task"]
    newest = again.json()["refresh_token"]
    asked = {"token": newest, **w.assertion(agent.key)}
    assert (await w.post("/introspect", asked)).json()["active"]
    assert (await complete(w, agent.key, first["task"])).status_code == 200
    fields = {"grant_type": "refresh_token", "refresh_token": newest, **w.assertion(agent.key)}
    refused = await w.post("/token", fields)
    assert (refused.status_code, refused.json()["code"]) == (400, "task_completed")
    asked = {"token": newest, **w.assertion(agent.key)}
    assert not (await w.post("/introspect", asked)).json()["active"]


@pytest.mark.req("DEL-10")
async def test_a_person_ends_a_task_on_their_page_before_and_after_the_code(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    asking = question(agent, task="tidy-up")
    browser = Browser(w)
    code = (await browser.consent(asking.path))["code"]
    page = form_of((await browser.get("/account")).text)
    task = task_id("tidy-up", issuer=w.url, principal="smith", principal_kind="user", client=agent.did)
    assert task in page.buttons
    fields = {**page.fields, "complete_task": task}
    assert (await browser.submit("/account", {**fields, "complete_task": "x"}.items())).status_code == 404
    assert (await browser.submit("/account", fields.items())).status_code == 303
    answer = await redeem(w, agent, code, asking.verifier)
    assert (answer.status_code, answer.json()["code"]) == (400, "task_completed")
    event = next(one for one in await w.events() if one["action"] == "task.complete")
    assert (event["principal"], event["principal_kind"]) == ("smith", "user")


async def test_operators_list_what_runs(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    started = await token(w, agent, task="tidy-up")
    listed = (await w.http.get("/tasks", headers=await w.admin_headers())).json()["tasks"]
    assert [(row["task"], row["name"], row["client_id"]) for row in listed] == [(started["task"], "tidy-up", agent.did)]
    assert (await complete(w, agent.key, "tidy-up")).status_code == 200
    assert (await w.http.get("/tasks", headers=await w.admin_headers())).json() == {"tasks": []}
    assert (await w.http.get("/tasks")).status_code == 401


@pytest.mark.req("DEL-10")
async def test_no_token_slips_out_while_its_task_is_completed(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    started = await token(w, agent, task="tidy-up")
    presentations = [await w.vp(agent) for _ in range(8)]
    *answers, ended = await asyncio.gather(
        *(w.exchange(vp, task="tidy-up") for vp in presentations), complete(w, agent.key, started["task"])
    )
    assert ended.status_code == 200
    for answer in answers:
        if answer.status_code == 200:
            assert not await stands(w, answer.json()["access_token"])


async def test_a_task_is_named_well_or_not_at_all(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    assert did_key(agent.key.public) == agent.did
    for task, code in (("a b", "invalid_parameter"), ("unknown", "not_found")):
        assert (await complete(w, agent.key, task)).json()["code"] == code
    missing = await w.post("/tasks/complete", w.assertion(agent.key))
    assert missing.json()["code"] == "missing_parameter"
    assert (await w.post("/tasks/complete", {"task": "x"})).status_code == 401
