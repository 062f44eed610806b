"""What a copy of the issuer's database gives away: no private key of anybody, however it is written (KEY-01)."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pyrage
import pytest
from sqlalchemy import select

from did_agent.adapters.sql import open_database, transaction
from did_agent.did.key import did_key
from did_agent.encoding.strict_json import parse_object
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import parse_private_jwk
from issuer.adapters.sql import metadata
from issuer.service.office import Office
from tests.contract.conftest import database_url
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ADMIN, HOOKS, ISSUER_URL, KEY, issuer
from tests.fakes.tenants import Tenant, allow

__all__ = ["database_url"]  # every test that names it runs on SQLite and on PostgreSQL


def spellings(secret: bytes) -> Iterator[str]:
    """Yield how secret bytes may be written in text."""
    for encoded in (base64.b64encode(secret), base64.urlsafe_b64encode(secret)):
        yield encoded.decode().rstrip("=")
    yield secret.hex()
    yield repr(secret)[2:-1]


async def everything(url: str) -> str:
    """Return all rows of all tables as text."""
    engine = open_database(url)
    async with transaction(engine) as connection:
        rows = [repr((await connection.execute(select(table))).all()) for table in metadata.sorted_tables]
    await engine.dispose()
    return "\n".join(rows)


@pytest.mark.req("KEY-01", "KEY-04")
async def test_the_database_holds_no_private_key_and_no_secret_that_was_shown_once(database_url: str) -> None:
    identity = pyrage.x25519.Identity.generate()
    async with issuer(database_url) as (http, _):
        made = await http.post("/organisations", json={"name": "acme"}, headers=ADMIN)
        assert made.status_code == 201, made.text
        acme = Tenant(http=http, organisation="acme")
        await allow(acme)
        await acme.thing("credential")
        custodial = await acme.do(
            f"/agents/{await acme.register()}/custodial-key", {"recipient": str(identity.to_public())}
        )
        token = await acme.do("/enrolment-tokens", {"template": await acme.thing("template")})
        hook = await acme.do("/webhooks", {"url": "http://127.0.0.1:9/hook", "topics": ["*"], "scheme": "v1"})
        invited = acme.secrets["invited"]["enrolment"]["challenge"]
    opened = parse_object(pyrage.decrypt(custodial["sealed_key"].encode(), [identity]))
    agents = parse_private_jwk(opened)
    assert did_key(agents.public) == custodial["did"]
    nothing: object = None
    office = Office(store=nothing, news=nothing, key=KEY, url=ISSUER_URL, clock=lambda: NOW)  # type: ignore[arg-type]
    organisations = office.key_of("acme")
    assert made.json()["did"] == did_key(organisations.public)
    kept = await everything(database_url)
    assert made.json()["did"] in kept  # what is public is there
    for key in (KEY, organisations, agents):
        assert isinstance(key, SigningKey)
        assert not any(text in kept for text in spellings(key.seed()))
    assert not any(text in kept for text in spellings(HOOKS))
    shown = [text for text in (token["token"], invited, hook.get("secret")) if text]
    assert not any(text in kept for text in shown)


@pytest.mark.req("KEY-06")
async def test_nothing_that_is_printed_shows_a_key() -> None:
    nothing: object = None
    office = Office(store=nothing, news=nothing, key=KEY, url=ISSUER_URL, clock=lambda: NOW)  # type: ignore[arg-type]
    organisations = office.key_of("acme")
    printed = f"{office!r} {office} {organisations!r}"
    for key in (KEY, organisations):
        assert not any(text in printed for text in spellings(key.seed()))
    assert did_key(KEY.public) != did_key(organisations.public)
