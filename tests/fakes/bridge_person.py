"""A person with a browser, and the code that their consent brings."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from tests.fakes.bridge_issuer import (
    PASSWORD,
    REDIRECT,
    RESOURCE,
    Actor,
)

if TYPE_CHECKING:
    from tests.fakes.bridge_world import World


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.boxes: list[str] = []
        self.buttons: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "input" and values.get("type") == "checkbox":
            self.boxes.append(values["value"])
        elif tag == "input":
            self.fields[values["name"]] = values.get("value", "")
        elif tag == "button" and "name" in values:
            self.buttons.append(values["value"])


def form_of(page: str) -> _Forms:
    parser = _Forms()
    parser.feed(page)
    return parser


@dataclass(slots=True)
class Question:
    """An authorization request and its PKCE secret."""

    verifier: str
    parameters: dict[str, str]

    @property
    def path(self) -> str:
        return "/authorize?" + urlencode(self.parameters)


def question(agent: Actor, **changes: str | None) -> Question:
    """Return an honest authorization request; None removes a parameter."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    everything: dict[str, str | None] = {
        "response_type": "code",
        "client_id": agent.did,
        "redirect_uri": REDIRECT,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": "st-42",
        "resource": RESOURCE,
        "requested_actor": agent.did,
        **changes,
    }
    return Question(verifier=verifier, parameters={n: v for n, v in everything.items() if v is not None})


@dataclass(slots=True)
class Browser:
    """A person's browser: keeps cookies, sends Origin, follows only our own redirects."""

    world: World
    http: httpx2.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx2.AsyncClient(base_url=self.world.url, trust_env=False, follow_redirects=False)
        self.world.browsers.append(self.http)

    async def get(self, path: str) -> httpx2.Response:
        return await self.http.get(path)

    async def submit(self, path: str, pairs: Iterable[tuple[str, str]], **headers: str) -> httpx2.Response:
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin(self.world.url), **headers}
        return await self.http.post(path, content=urlencode(list(pairs)), headers=sent)

    async def login(self, path: str, *, username: str = "smith", password: str = PASSWORD) -> httpx2.Response:
        """Return the page after the login."""
        fields = form_of((await self.get(path)).text).fields | {"username": username, "password": password}
        answer = await self.submit(path, fields.items())
        if not answer.is_redirect:
            return answer
        assert answer.status_code == 303
        return await self.get(answer.headers["location"])

    async def consent(
        self, path: str, *, ticks: Iterable[str] | None = None, decision: str = "allow", offline: bool = False
    ) -> dict[str, str]:
        """Walk login and consent; return the parameters of the authorization response."""
        page = form_of((await self.login(path)).text)
        offered = [box for box in page.boxes if box != "yes"]
        chosen = [("scope_item", box) for box in (offered if ticks is None else ticks)]
        if offline:
            assert "yes" in page.boxes
            chosen.append(("offline", "yes"))
        return answered(await self.submit(path, [*page.fields.items(), *chosen, ("decision", decision)]))


def answered(response: httpx2.Response) -> dict[str, str]:
    """Return the parameters of an authorization response, which is always a 303."""
    assert response.status_code == 303, response.text
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def code_for(world: World, agent: Actor, **changes: str | None) -> tuple[str, str]:
    """Return a fresh code and its PKCE verifier, given by smith."""
    asked = question(agent, **changes)
    answer = await Browser(world).consent(asked.path)
    return answer["code"], asked.verifier


async def redeem(world: World, agent: Actor, code: str, verifier: str, **changes: str) -> httpx2.Response:
    """Redeem a code in form D: the client assertion is the proof of the actor."""
    return await world.token(
        {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": REDIRECT,
            **world.assertion(agent.key),
            **changes,
        }
    )
