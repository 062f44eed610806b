"""Tokens of other issuers that name a status list: they count only while the issuer's own list says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from did_agent.credential.token_status import issue_status_list_token, with_status
from did_agent.keys.public import SigningKey
from tests.fakes.foreign_issuer import AuthorizationServer, signing_key
from tests.fakes.forms_world import SCOPES, FormsWorld
from tests.fakes.guard_world import NOW, RESOURCE, call

KEY, OTHER = signing_key("P-256"), signing_key("P-256", "other")


@dataclass
class Stage:
    issuer: AuthorizationServer
    world: FormsWorld
    statuses: bytes = bytes(8)

    @property
    def list_url(self) -> str:
        return f"{self.issuer.issuer}/statuses/1"

    def publish(self, *, key: SigningKey = KEY, kid: str = "one", uri: str | None = None, **changes: Any) -> None:
        given: dict[str, Any] = {
            "uri": uri or self.list_url,
            "statuses": self.statuses,
            "bits": 2,
            "key": key,
            "kid": kid,
            "issued_at": self.world.now,
            "expires": self.world.now + timedelta(hours=1),
            "ttl": 300,
        }
        self.issuer.texts["/statuses/1"] = issue_status_list_token(**(given | changes))

    def token(self, index: int = 3, **changes: Any) -> str:
        status = {"status_list": {"idx": index, "uri": self.list_url}}
        return self.issuer.token(**{"aud": RESOURCE, "scope": "menu", "status": status, **changes})

    async def reason(self, text: str) -> str:
        response = await self.world.send(text, call("list_menu"))
        if response.status_code == 200:
            return "allowed"
        return f"{response.status_code} {self.world.events[-1].reason}"


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    issuer = AuthorizationServer(issuer="", clock=lambda: NOW, keys={"one": KEY})
    async with issuer.serving():
        entry = {"issuer": issuer.issuer, "subject": "user", "scopes": SCOPES}
        stage = Stage(issuer, FormsWorld(data=folder, issuers=[entry]))
        stage.publish()
        yield stage


@pytest.mark.req("VCX-10", "REV-02")
async def test_a_token_counts_while_its_list_says_so_and_no_longer(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        text = stage.token()
        assert await stage.reason(text) == "allowed"
        stage.statuses = with_status(stage.statuses, 3, 1, bits=2)
        stage.publish()
        assert await stage.reason(text) == "allowed"  # the list is in hand for its while
        stage.world.now += timedelta(seconds=31)
        stage.publish()
        assert await stage.reason(text) == "401 revoked"
        assert await stage.reason(stage.token(4)) == "allowed"
        assert stage.issuer.served["/statuses/1"] == 2


@pytest.mark.req("VCX-10")
async def test_a_suspended_token_comes_back_and_an_unknown_status_is_a_no(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        for value, said in ((2, "401 suspended"), (3, "401 status_not_verified"), (0, "allowed")):
            stage.statuses = with_status(bytes(8), 3, value, bits=2)
            stage.world.now += timedelta(seconds=31)
            stage.publish()
            assert await stage.reason(stage.token()) == said


@pytest.mark.req("VCX-10", "NET-10")
async def test_a_list_that_cannot_be_had_or_believed_is_a_no(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        spoiled: list[dict[str, Any]] = [
            {"key": OTHER},
            {"kid": "unknown"},
            {"uri": "https://elsewhere.example/list"},
            {"issuer": "https://elsewhere.example"},
            {"expires": NOW - timedelta(minutes=5)},
        ]
        for number, changes in enumerate(spoiled, 1):
            stage.world.now = NOW + timedelta(seconds=40 * number)
            stage.publish(**changes)
            assert await stage.reason(stage.token()) == "503 status_unavailable", changes
        stage.world.now += timedelta(seconds=40)
        stage.issuer.texts.clear()
        assert await stage.reason(stage.token()) == "503 status_unavailable"
        stage.publish()
        stage.world.now += timedelta(seconds=6)
        assert await stage.reason(stage.token()) == "allowed"


@pytest.mark.req("VCX-10")
@pytest.mark.parametrize(
    "status", [{}, {"other": {}}, {"status_list": {"idx": -1, "uri": "https://x.example"}}, {"status_list": []}, 7]
)
async def test_a_status_that_is_not_understood_refuses_the_token(tmp_path: Path, status: object) -> None:
    async with staged(tmp_path) as stage:
        assert await stage.reason(stage.token(status=status)) == "401 bad_jose"
        assert await stage.reason(stage.token(100)) == "401 status_not_verified"


@pytest.mark.req("NET-10")
async def test_nothing_is_fetched_for_a_token_that_is_not_believed(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        assert await stage.reason(stage.token(key=OTHER)) == "401 bad_signature"
        assert stage.issuer.served["/statuses/1"] == 0
