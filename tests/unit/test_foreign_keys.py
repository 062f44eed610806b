"""Where keys of other issuers are found: by address, through metadata that names its issuer exactly, or written down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from did_agent.errors import KeysUnavailable, PeerUnavailable, WrongKey
from did_agent.keys.jwk import public_jwk
from tests.fakes.foreign_issuer import signing_key
from verifier.adapters.keys import ForeignKeys, StatedKeys, metadata_urls

ISSUER = "https://login.example.com/tenant"
KEY, OTHER = signing_key("Ed25519", "one"), signing_key("Ed25519", "two")
JWKS = "https://keys.example.com/jwks"
OAUTH = "https://login.example.com/.well-known/oauth-authorization-server/tenant"
INSERTED = "https://login.example.com/.well-known/openid-configuration/tenant"
APPENDED = "https://login.example.com/tenant/.well-known/openid-configuration"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Web:
    """What is served where; counts what is asked for."""

    def __init__(self, **documents: Any) -> None:
        self.now = NOW
        self.asked: list[str] = []
        self.documents: dict[str, Any] = {JWKS: {"keys": [{**public_jwk(KEY.public), "kid": "one"}]}, **documents}

    async def get_json(self, url: str) -> Mapping[str, object]:
        self.asked.append(url)
        if url not in self.documents:
            raise PeerUnavailable(f"nothing at {url}")
        return dict(self.documents[url])

    def keys(self, jwks_uri: str | None = None) -> ForeignKeys:
        return ForeignKeys(ISSUER, self, clock=lambda: self.now, jwks_uri=jwks_uri)


def metadata(**changes: Any) -> dict[str, Any]:
    return {"issuer": ISSUER, "jwks_uri": JWKS, **changes}


async def test_nothing_is_asked_before_the_first_token_and_a_stated_address_needs_no_metadata() -> None:
    web = Web()
    keys = web.keys(JWKS)
    assert web.asked == []
    assert await keys.find("one") == KEY.public
    assert await keys.find(None) == KEY.public  # the only one there is
    assert web.asked == [JWKS]


@pytest.mark.parametrize("place", [OAUTH, INSERTED, APPENDED])
async def test_metadata_is_looked_for_where_clients_look(place: str) -> None:
    web = Web(**{place: metadata()})
    assert await web.keys().find("one") == KEY.public
    order = [OAUTH, INSERTED, APPENDED]
    assert web.asked == [*order[: order.index(place) + 1], JWKS]
    assert metadata_urls("https://login.example.com/") == (
        "https://login.example.com/.well-known/oauth-authorization-server",
        "https://login.example.com/.well-known/openid-configuration",
    )


@pytest.mark.req("TOK-07", "OAU-13")
@pytest.mark.parametrize(
    "changes", [{"issuer": ISSUER + "/"}, {"issuer": "https://evil.example"}, {"issuer": None}, {"jwks_uri": 7}]
)
async def test_metadata_of_somebody_else_ends_the_search(changes: dict[str, Any]) -> None:
    web = Web(**{OAUTH: metadata(**changes), APPENDED: metadata()})
    with pytest.raises(KeysUnavailable):
        await web.keys().find("one")
    assert web.asked == [OAUTH]


@pytest.mark.req("FCL")
async def test_without_metadata_or_keys_nobody_is_believed() -> None:
    with pytest.raises(KeysUnavailable, match="no metadata"):
        await Web().keys().find("one")
    with pytest.raises(KeysUnavailable):
        await Web(**{JWKS: {"keys": "none"}}).keys(JWKS).find("one")


@pytest.mark.req("TOK-03", "FCL")
async def test_an_issuer_that_is_away_is_asked_once_a_second_however_many_tokens_come() -> None:
    web = Web()
    keys, document = web.keys(JWKS), web.documents.pop(JWKS)
    for _ in range(50):
        with pytest.raises(KeysUnavailable):
            await keys.find("one")
    assert web.asked == [JWKS]
    web.documents[JWKS] = document
    web.now = NOW + timedelta(seconds=1)
    assert await keys.find("one") == KEY.public


@pytest.mark.req("TOK-03")
async def test_an_unknown_name_asks_again_once_in_thirty_seconds_and_a_failure_takes_no_key_away() -> None:
    web = Web()
    keys = web.keys(JWKS)
    assert await keys.find("one") == KEY.public
    web.documents[JWKS] = {"keys": [{**public_jwk(OTHER.public), "kid": "two"}]}
    for number in range(50):
        with pytest.raises(WrongKey):
            await keys.find(f"made-up-{number}")
    assert len(web.asked) == 1
    web.now = NOW + timedelta(seconds=30)
    assert await keys.find("two") == OTHER.public
    with pytest.raises(WrongKey):
        await keys.find("one")
    web.documents.clear()
    web.now = NOW + timedelta(hours=1)
    assert await keys.find("two") == OTHER.public
    assert len(web.asked) == 3


async def test_keys_that_were_written_down_are_never_asked_for() -> None:
    both = {"keys": [{**public_jwk(KEY.public), "kid": "one"}, {**public_jwk(OTHER.public), "kid": "two"}]}
    keys = StatedKeys(both)
    assert await keys.find("two") == OTHER.public
    for kid in (None, "three", 7):
        with pytest.raises(WrongKey):
            await keys.find(kid)
    assert await StatedKeys({"keys": [public_jwk(KEY.public)]}).find(None) == KEY.public
