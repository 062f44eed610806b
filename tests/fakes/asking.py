"""An agent that asks a person out of band, and the person who answers on their account's pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import httpx2

from tests.fakes.bridge_world import RESOURCE, Actor, Browser, World, form_of

CIBA = "urn:openid:params:grant-type:ciba"


async def ask(w: World, agent: Actor, headers: dict[str, str] | None = None, **changes: str | None) -> httpx2.Response:
    """Ask smith; None removes a parameter."""
    form = {"login_hint": "smith", "resource": RESOURCE, **w.assertion(agent.key), **changes}
    sent = {name: value for name, value in form.items() if value is not None}
    return await w.post("/bc-authorize", sent, **(headers or {}))


async def asked(w: World, agent: Actor, **changes: str | None) -> str:
    """Ask, and return the `auth_req_id`."""
    answer = await ask(w, agent, **changes)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["auth_req_id"])


def polling(w: World, agent: Actor, auth_req_id: str, **changes: str) -> dict[str, str]:
    return {"grant_type": CIBA, "auth_req_id": auth_req_id, **w.assertion(agent.key), **changes}


async def poll(w: World, agent: Actor, auth_req_id: str, **changes: str) -> httpx2.Response:
    return await w.token(polling(w, agent, auth_req_id, **changes))


async def questions(browser: Browser, *, username: str = "smith") -> list[str]:
    """Return the paths of the questions on a person's account page."""
    page = (await browser.get("/account")).text
    if 'name="sign_out"' not in page:
        page = (await browser.login("/account", username=username)).text
    return re.findall(r'href="[^"]*(/account/requests/[^"]+)"', page)


async def answer(
    browser: Browser, path: str, decision: str = "allow", *, ticks: Iterable[str] | None = None
) -> httpx2.Response:
    """Answer the question at `path`."""
    page = form_of((await browser.get(path)).text)
    chosen = [("scope_item", box) for box in (page.boxes if ticks is None else ticks)]
    return await browser.submit(path, [*page.fields.items(), *chosen, ("decision", decision)])


async def answered(w: World, agent: Actor, decision: str = "allow", **changes: Any) -> tuple[str, Browser]:
    """Ask smith, let them answer, and return the `auth_req_id` and their browser."""
    ticks = changes.pop("ticks", None)
    auth_req_id, browser = await asked(w, agent, **changes), Browser(w)
    (path,) = await questions(browser)
    done = await answer(browser, path, decision, ticks=ticks)
    assert (done.status_code, done.headers.get("location")) == (303, f"{w.url}/account"), done.text
    return auth_req_id, browser
