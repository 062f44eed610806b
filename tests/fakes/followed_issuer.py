"""An issuer whose keys change, with a guard of another machine that follows its trust list and its status lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from did_agent.adapters.status import StatusLists
from did_agent.adapters.trust_list import PulledTrust
from did_agent.credential.status import VerifiedStatusList
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import PeerUnavailable
from did_agent.presentation.present import present_jwt
from tests.fakes.forms_world import FormsWorld
from tests.fakes.guard_world import NOW, call
from tests.fakes.guard_world import RESOURCE as GUARDED
from tests.fakes.issuer_world import AGENT_KEY, ISSUER_URL, auth, issuer
from verifier.composition import _end
from verifier.streams import OpenStreams

MENU = {"capabilities": [{"resource": [GUARDED], "tools": {"list_menu": {}}}], "valid_seconds": 3_600}


@dataclass
class Fetched:
    """What is fetched from the issuer of the test."""

    http: httpx2.AsyncClient

    async def get_json(self, url: str) -> Mapping[str, object]:
        answer = await self.http.get(url)
        if not answer.is_success:
            raise PeerUnavailable(f"{url} answered {answer.status_code}")
        return parse_object(answer.content)


@dataclass
class Guarding(FormsWorld):
    """A guard with status lists of the issuer's."""

    lists: StatusLists | None = None

    async def get(self, urls: Iterable[str]) -> Mapping[str, VerifiedStatusList]:
        assert self.lists is not None
        return await self.lists.get(urls)


@dataclass
class Followed:
    """The issuer, the moment, and the guard."""

    http: httpx2.AsyncClient
    folder: Path
    anchors: frozenset[str]
    now: datetime = NOW
    trust: PulledTrust = field(init=False)
    guard: Guarding = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin the guard anew on what it left."""
        nobody: Any = None
        self.trust = PulledTrust(
            ISSUER_URL,
            anchors=self.anchors,
            file=self.folder / "guard.list",
            resolver=nobody,
            clock=lambda: self.now,
        )
        fetched: Any = Fetched(self.http)
        lists = StatusLists(fetched, trusted=self.trust, max_age=timedelta(0), clock=lambda: self.now)
        self.guard = Guarding(data=self.folder, trusted=self.trust, lists=lists)
        self.trust.watch(partial(_end, OpenStreams(), self.guard.presentations))

    def forward(self, **time: float) -> None:
        self.now += timedelta(**time)

    async def follow(self) -> None:
        """Have the guard ask for the list."""
        await self.trust.ask(self.http)
        await self.trust.tell()

    def admin(self, organisation: str | None = None) -> dict[str, str]:
        """Return the header of an admin at this moment."""
        times = {"issued_at": self.now, "expires": self.now + timedelta(seconds=300)}
        return auth("issuer:admin", **times, **({} if organisation is None else {"organisation": organisation}))

    async def keys(self, organisation: str | None = None) -> dict[str, str]:
        """Return the states of keys by their DIDs, the oldest first."""
        answer = await self.http.get("/issuer-keys", headers=self.admin(organisation))
        assert answer.status_code == 200, answer.text
        return {key["did"]: key["state"] for key in answer.json()["issuer_keys"]}

    async def rotate(self, organisation: str | None = None) -> str:
        """Return the successor, still pending."""
        answer = await self.http.post("/issuer-keys", json={"reason": "quarterly"}, headers=self.admin(organisation))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["did"])

    async def change(self, did: str, verb: str) -> httpx2.Response:
        body = {"reason": "the backup was stolen"}
        return await self.http.post(f"/issuer-keys/{did}/{verb}", json=body, headers=self.admin())

    async def grant(self, agent: str) -> dict[str, Any]:
        answer = await self.http.post(f"/agents/{agent}/credentials", json=MENU, headers=self.admin())
        assert answer.status_code == 201, answer.text
        return dict(answer.json()["credential"])

    async def calls(self, document: Mapping[str, Any]) -> tuple[int, str]:
        """Return what the guard answers an agent that shows a credential, and why."""
        shown = present_jwt([document], key=AGENT_KEY, audience=GUARDED, now=self.now)
        self.guard.now = self.now
        answer = await self.guard.send(shown, call("list_menu"))
        return answer.status_code, self.guard.events[-1].reason


@asynccontextmanager
async def followed(where: str, folder: Path, *anchors: str) -> AsyncIterator[Followed]:
    """Open an issuer on a database, and a guard in a folder."""
    place: list[Followed] = []
    async with issuer(where, clock=lambda: place[0].now if place else NOW) as (http, world):
        place.append(Followed(http=http, folder=folder, anchors=frozenset(anchors)))
        world.now = NOW
        yield place[0]
