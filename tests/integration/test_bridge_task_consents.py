"""Tasks that people allow: out of band, through a pushed request, and never for one that is over."""

from __future__ import annotations

import pytest

from did_agent.tokens.task import task_id
from tests.fakes.asking import answer, ask, poll, questions
from tests.fakes.bridge_world import Actor, Browser, World, claims_of, form_of, question, redeem, w

__all__ = ["w"]


def task_of(w: World, agent: Actor, name: str = "tidy-up") -> str:
    return task_id(name, issuer=w.url, principal="smith", principal_kind="user", client=agent.did)


@pytest.mark.req("DEL-06", "DEL-10")
async def test_a_task_asked_out_of_band_is_shown_kept_and_ended(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    started = await ask(w, agent, task="tidy-up")
    assert started.status_code == 200, started.text
    browser = Browser(w)
    (path,) = await questions(browser)
    assert "the task it calls <bdi>tidy-up</bdi>" in (await browser.get(path)).text
    await answer(browser, path)
    refused = await poll(w, agent, started.json()["auth_req_id"], task="another")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    given = (await poll(w, agent, started.json()["auth_req_id"])).json()
    assert claims_of(given["access_token"])["task"] == given["task"] == task_of(w, agent)
    ended = await w.post("/tasks/complete", {"task": "tidy-up", **w.assertion(agent.key)})
    assert ended.status_code == 200, ended.text
    asked = {"token": given["access_token"], **w.assertion(agent.key)}
    assert (await w.post("/introspect", asked)).json() == {"active": False}


@pytest.mark.req("DEL-06")
async def test_a_pushed_request_names_its_task(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    asking = question(agent, task="tidy-up")
    pushed = await w.post("/par", {**asking.parameters, **w.assertion(agent.key)})
    assert pushed.status_code == 201, pushed.text
    path = f"/authorize?client_id={agent.did}&request_uri={pushed.json()['request_uri']}&task=another"
    code = (await Browser(w).consent(path))["code"]
    given = (await redeem(w, agent, code, asking.verifier)).json()
    assert given["task"] == task_of(w, agent)


async def test_a_name_that_is_none_is_refused_before_anybody_is_asked(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    assert (await ask(w, agent, task="a b")).json()["error"] == "invalid_request"
    answered = await Browser(w).get(question(agent, task="a b").path)
    assert (answered.status_code, "error=invalid_request" in answered.headers["location"]) == (303, True)


@pytest.mark.req("DEL-10")
async def test_nobody_allows_anything_for_a_task_that_is_over(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    asking, browser = question(agent, task="tidy-up"), Browser(w)
    assert "code" in await browser.consent(asking.path)
    account = form_of((await browser.get("/account")).text)
    fields = {**account.fields, "complete_task": task_of(w, agent)}
    assert (await browser.submit("/account", fields.items())).status_code == 303
    page = form_of((await browser.get(asking.path)).text)
    ticks = [("scope_item", box) for box in page.boxes]
    refused = await browser.submit(asking.path, [*page.fields.items(), *ticks, ("decision", "allow")])
    assert (refused.status_code, "task_completed" in refused.text) == (403, True)
    asking = question(agent, task="tidy-up-again")
    assert "code" in await Browser(w).consent(asking.path)
