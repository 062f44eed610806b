"""Opaque tokens at the guard: what their issuer says counts, once it is believed; and when it says nothing, nobody enters."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from did_agent.clock import numeric_date
from did_agent.did.key import did_key
from did_agent.errors import Misconfigured
from did_agent.keys.jwk import thumbprint
from did_agent.policy.caller import Principal
from did_agent.tokens.client_assertion import verify_client_assertion
from tests.fakes.foreign_issuer import CLIENT_ID, SECRET, AuthorizationServer, signing_key
from tests.fakes.forms_world import SCOPES, FormsWorld
from tests.fakes.guard_world import AGENT_KEY, NOW, OTHER_KEY, RESOURCE, call

NAME = "opaque-1"


@asynccontextmanager
async def there(
    tmp_path: Path, changes: dict[str, Any] | None = None, **asking: Any
) -> AsyncIterator[tuple[FormsWorld, AuthorizationServer]]:
    """Serve an authorization server over HTTP and yield a guard that asks it."""
    server = AuthorizationServer(issuer="", clock=lambda: NOW, keys={"one": signing_key("Ed25519")})
    async with server.serving():
        introspection = {"endpoint": f"{server.issuer}/introspect", **asking}
        entry = {"issuer": server.issuer, "subject": "user", "scopes": SCOPES, "introspection": introspection}
        world = FormsWorld(data=tmp_path, issuers=[{**entry, **(changes or {})}])
        try:
            yield world, server
        finally:
            for close in world.forms.closing:
                await close()


def grant(server: AuthorizationServer, **changes: Any) -> str:
    return server.grant(NAME, **{"aud": RESOURCE, "scope": "menu", "token_type": "Bearer", **changes})


async def test_an_active_token_is_the_caller_its_issuer_names(tmp_path: Path) -> None:
    async with there(tmp_path) as (world, server):
        assert (await world.send(grant(server), call("list_menu"))).status_code == 200
        caller = world.callers[0]
        assert caller.principal == Principal(kind="user", id="smith", namespace=server.issuer)
        assert caller.scopes == caller.entitlements == {"tool:list_menu"}
        assert world.events[-1].details["form"] == "opaque"
        assert world.events[-1].details["issuer"] == server.issuer
        headers, form = server.asked[0]
        assert form["token"] == NAME
        assert form["token_type_hint"] == "access_token"
        proven = verify_client_assertion(form["client_assertion"], expected_audience=server.issuer, now=NOW)
        assert proven.client_id == did_key(OTHER_KEY.public)
        assert "authorization" not in headers


async def test_a_signed_token_of_the_same_issuer_is_asked_about_too(tmp_path: Path) -> None:
    async with there(tmp_path) as (world, server):
        text = server.token(aud=RESOURCE, scope="everything")
        server.grant(text, aud=RESOURCE, scope="menu")
        assert (await world.send(text, call("list_menu"))).status_code == 200
        assert (await world.send(text, call("delete_order"))).status_code == 403  # the answer counts, not the text
        del server.opaque[text]
        assert (await world.send(text, call("list_menu"))).status_code == 401


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another resource": ({"aud": "https://other.example"}, "wrong_audience"),
    "no audience": ({"aud": None}, "wrong_audience"),
    "us and another": ({"aud": [RESOURCE, "https://other.example"]}, "wrong_audience"),
    "another issuer": ({"iss": "https://other.example"}, "wrong_issuer"),
    "over": ({"exp": numeric_date(NOW)}, "expired"),
    "no end": ({"exp": None}, "bad_jose"),
    "not yet": ({"nbf": numeric_date(NOW) + 31}, "not_yet_valid"),
    "a refresh token": ({"token_type": "refresh_token"}, "wrong_type"),
    "a kind that is none": ({"token_type": 7}, "wrong_type"),
    "DPoP without a key": ({"token_type": "DPoP"}, "bad_jose"),
    "bound, shown as bearer": ({"cnf": {"jkt": thumbprint(AGENT_KEY.public)}}, "sender_not_proven"),
    "nobody": ({"sub": None}, "bad_jose"),
    "active as text": ({"active": "true"}, "revoked"),
    "active as a number": ({"active": 1}, "revoked"),
    "not active": ({"active": False}, "revoked"),
}


@pytest.mark.req("TOK-07", "TOK-08", "TOK-09", "TOK-12")
@pytest.mark.parametrize("name", WRONG)
async def test_an_answer_that_is_not_believed_admits_nobody(tmp_path: Path, name: str) -> None:
    changes, reason = WRONG[name]
    async with there(tmp_path) as (world, server):
        response = await world.send(grant(server, **changes), call("list_menu"))
        assert response.status_code == 401
        assert world.events[-1].reason == reason
        assert world.received == []
        world.now = NOW + timedelta(seconds=3)
        assert (await world.send(grant(server), call("list_menu"))).status_code == 200


@pytest.mark.req("TOK-10")
async def test_a_bound_opaque_token_takes_a_proof_for_it_alone(tmp_path: Path) -> None:
    async with there(tmp_path) as (world, server):
        text = grant(server, cnf={"jkt": thumbprint(AGENT_KEY.public)}, token_type="DPoP")
        proof = world.proof(text)
        assert (await world.send(text, call("list_menu"), scheme="DPoP", headers=[proof])).status_code == 200
        assert (await world.send(text, call("list_menu"), scheme="DPoP", headers=[proof])).status_code == 401
        other = world.proof(text, key=OTHER_KEY)
        assert (await world.send(text, call("list_menu"), scheme="DPoP", headers=[other])).status_code == 401
        unproven = await world.send(text, call("list_menu"), scheme="DPoP")
        assert (unproven.status_code, world.events[-1].reason) == (401, "invalid_dpop_proof")
        assert len(server.asked) == 3  # who proves no key costs the issuer nothing


@pytest.mark.req("FCL")
@pytest.mark.parametrize(
    "spoiled",
    [
        {"status": 500},
        {"status": 401},
        {"media_type": b"text/html"},
        {"raw": b"{"},
        {"raw": b'{"active": true, "active": false}'},
        {"raw": b"[" * 70_000},
        {"raw": b'{"active": true, "x": "' + b"a" * 70_000 + b'"}'},
    ],
    ids=lambda spoiled: str(spoiled)[:40],
)
async def test_an_issuer_that_gives_no_answer_is_503_and_nobody_enters(tmp_path: Path, spoiled: dict[str, Any]) -> None:
    async with there(tmp_path, cache_seconds=30) as (world, server):
        grant(server)
        for name, value in spoiled.items():
            setattr(server, name, value)
        response = await world.send(NAME, call("list_menu"))
        assert (response.status_code, world.events[-1].reason) == (503, "peer_unavailable")
        assert response.headers["retry-after"]
        assert world.received == []
        server.status, server.media_type, server.raw = 200, b"application/json", None
        assert (await world.send(NAME, call("list_menu"))).status_code == 200


@pytest.mark.req("FCL")
async def test_an_issuer_that_is_away_is_503(tmp_path: Path) -> None:
    async with there(tmp_path) as (world, server):
        grant(server)
    assert (await world.send(NAME, call("list_menu"))).status_code == 503
    assert world.events[-1].reason == "peer_unavailable"


async def test_without_a_configured_moment_each_request_asks(tmp_path: Path) -> None:
    async with there(tmp_path) as (world, server):
        grant(server)
        for _ in range(3):
            assert (await world.send(NAME, call("list_menu"))).status_code == 200
        assert server.served["/introspect"] == 3
        del server.opaque[NAME]
        assert (await world.send(NAME, call("list_menu"))).status_code == 401


@pytest.mark.req("REV-02")
async def test_an_answer_is_believed_for_its_moment_and_never_beyond_the_tokens_end(tmp_path: Path) -> None:
    async with there(tmp_path, cache_seconds=20) as (world, server):
        grant(server, exp=numeric_date(NOW) + 30)
        assert (await world.send(NAME, call("list_menu"))).status_code == 200
        del server.opaque[NAME]
        world.now = NOW + timedelta(seconds=19)
        assert (await world.send(NAME, call("list_menu"))).status_code == 200
        world.now = NOW + timedelta(seconds=20)
        assert (await world.send(NAME, call("list_menu"))).status_code == 401
        grant(server, exp=numeric_date(NOW) + 30)
        world.now = NOW + timedelta(seconds=22)
        assert (await world.send(NAME, call("list_menu"))).status_code == 200
        world.now = NOW + timedelta(seconds=30)
        assert (await world.send(NAME, call("list_menu"))).status_code == 401
        assert server.served["/introspect"] == 4


@pytest.mark.req("REV-01")
async def test_revocation_is_looked_at_with_each_request_and_drops_the_answer(tmp_path: Path) -> None:
    async with there(tmp_path, cache_seconds=20) as (world, server):
        grant(server)
        assert (await world.send(NAME, call("list_menu"))).status_code == 200
        world.ended.add("t1")
        assert (await world.send(NAME, call("list_menu"))).status_code == 401
        assert server.served["/introspect"] == 1
        world.ended.clear()
        assert (await world.send(NAME, call("list_menu"))).status_code == 200
        assert server.served["/introspect"] == 2


@pytest.mark.req("LIM-01")
async def test_a_token_that_is_not_active_is_not_asked_about_in_a_flood(tmp_path: Path) -> None:
    async with there(tmp_path) as (world, server):
        for _ in range(5):
            assert (await world.send("unknown", call("list_menu"))).status_code == 401
        assert server.served["/introspect"] == 1
        world.now = NOW + timedelta(seconds=2)
        assert (await world.send("unknown", call("list_menu"))).status_code == 401
        assert server.served["/introspect"] == 2
        assert (await world.send("x" * 4_097, call("list_menu"))).status_code == 401
        assert server.served["/introspect"] == 2


async def test_many_at_the_same_moment_ask_once(tmp_path: Path) -> None:
    async with there(tmp_path) as (world, server):
        grant(server)
        answers = await asyncio.gather(*(world.send(NAME, call("list_menu")) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert server.served["/introspect"] == 1


async def test_a_secret_in_a_file_proves_the_guard_where_keys_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    asking = {"client_id": CLIENT_ID, "secret_file": str(tmp_path / "secret")}
    async with there(tmp_path, **asking) as (world, server):
        assert (await world.send(grant(server), call("list_menu"))).status_code == 200
        headers, form = server.asked[0]
        expected = b64encode(f"{quote(CLIENT_ID, safe='')}:{quote(SECRET, safe='')}".encode()).decode()
        assert headers["authorization"] == f"Basic {expected}"
        assert "client_assertion" not in form
    for content in (None, "", "\n", "x" * 5_000):
        (tmp_path / "secret").unlink(missing_ok=True)
        if content is not None:
            (tmp_path / "secret").write_text(content)
        with pytest.raises(Misconfigured):
            async with there(tmp_path, **asking):
                pass


async def test_a_configured_client_id_is_whom_the_assertion_names(tmp_path: Path) -> None:
    async with there(tmp_path, client_id="shop-guard") as (world, server):
        assert (await world.send(grant(server), call("list_menu"))).status_code == 200
        _, form = server.asked[0]
        assert form["client_id"] == "shop-guard"
        proven = verify_client_assertion(
            form["client_assertion"], expected_audience=server.issuer, now=NOW, key=OTHER_KEY.public
        )
        assert proven.client_id == "shop-guard"


@pytest.mark.req("DEL-13")
async def test_an_opaque_token_is_shown_to_the_issuer_of_its_prefix_alone(tmp_path: Path) -> None:
    async with there(tmp_path, prefix="a_") as (world, server):
        server.grant("a_1", aud=RESOURCE, scope="menu")
        server.grant("b_1", aud=RESOURCE, scope="menu")
        assert (await world.send("a_1", call("list_menu"))).status_code == 200
        assert (await world.send("b_1", call("list_menu"))).status_code == 401
        assert [form["token"] for _, form in server.asked] == ["a_1"]


@pytest.mark.req("DEL-13")
async def test_a_session_of_the_guard_is_shown_to_no_issuer(tmp_path: Path) -> None:
    async with there(tmp_path) as (world, server):
        assert (await world.send("vps_" + "x" * 43, call("list_menu"))).status_code == 401
        assert server.asked == []
