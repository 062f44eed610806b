"""Signing keys of a real bridge: rotation and revocation over two replicas, kinds of key, and where they lie."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from pydantic import SecretStr

from bridge.adapters.keystore import FILE, AgeKeystore
from bridge.adapters.sql_keys import signing_keys
from bridge.app import create_app
from bridge.keyring import JWKS_MAX_AGE, LINGER, PUBLISH_BEFORE
from bridge.settings import BridgeSettings
from did_agent.adapters.keystore import load_key, load_or_create_key
from did_agent.adapters.party import listen, serving
from did_agent.adapters.sql import open_database
from did_agent.encoding import base64url
from did_agent.errors import KeysUnavailable, Misconfigured, WrongAlgorithm, WrongKey
from did_agent.keys import rsa
from did_agent.keys.jwk import parse_public_jwk, public_jwk, thumbprint
from did_agent.proof.jose import parse_compact, verify_signature
from tests.fakes.bridge_world import RESOURCE, TOOLS, Actor, World, cheap_passwords, w, world

__all__ = ["w"]
Keys = Mapping[str, Any]  # JWKs by kid


@asynccontextmanager
async def replica(w: World) -> AsyncIterator[httpx2.AsyncClient]:
    """Run a second bridge on the same data and database, reached under the same name."""
    listener = listen("127.0.0.1", 0)
    settings = BridgeSettings(
        data=w.data,
        bridge_url=w.url,
        issuer_url=w.issuer.url,
        ledger_url="http://127.0.0.1:9",
        database_url=w.database,
        registry_max_age=0,
        status_max_age=0,
    )
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with (
        serving([(create_app(settings, clock=w.clock), listener)]),
        httpx2.AsyncClient(base_url=url, headers={"Host": urlsplit(w.url).netloc}, trust_env=False, timeout=30) as http,
    ):
        yield http


async def published(http: httpx2.AsyncClient) -> Keys:
    answer = await http.get("/.well-known/jwks.json")
    assert f"max-age={JWKS_MAX_AGE}" in answer.headers["cache-control"]
    return {jwk["kid"]: jwk for jwk in answer.json()["keys"]}


async def token_from(w: World, http: httpx2.AsyncClient, agent: Actor) -> str:
    form = {"grant_type": "client_credentials", "resource": RESOURCE, **w.assertion(agent.key)}
    answer = await http.post("/token", data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def verify(text: str, keys: Keys) -> str:
    """Verify as a resource does, and return the kid."""
    jws = parse_compact(text)
    kid = str(jws.header["kid"])
    verify_signature(jws, parse_public_jwk(keys[kid], rsa_too=True))
    return kid


async def change(w: World, path: str, **body: str) -> httpx2.Response:
    return await w.http.post(path, json={"reason": "a test", **body}, headers=await w.admin_headers())


async def states(w: World) -> dict[str, str]:
    listed = (await w.http.get("/signing-keys", headers=await w.admin_headers())).json()["signing_keys"]
    return {row["kid"]: row["state"] for row in listed}


async def until_both_publish(count: int, *replicas: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(10):
        while any([len(await published(http)) != count for http in replicas]):
            await asyncio.sleep(0.05)


@pytest.mark.req("KEY-02")
async def test_a_rotation_over_two_replicas_fails_no_request(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    async with replica(w) as second:
        (first_kid,) = await published(w.http)
        made = await change(w, "/signing-keys")
        assert (made.status_code, made.json()["state"]) == (201, "pending")
        await until_both_publish(2, w.http, second)
        caches, signed = [await published(second)] * 3, set()
        for _ in range(int((PUBLISH_BEFORE + LINGER).total_seconds()) // 20 + 2):
            for http in (w.http, second):
                # A resource may have fetched the keys a minute ago, from whichever replica.
                signed.add(verify(await token_from(w, http, agent), caches[0]))
            w.clock.forward(20)
            caches = [*caches[1:], await published(second)]
        assert signed == {first_kid, made.json()["kid"]}
        assert set(await published(w.http)) == {made.json()["kid"]}
        assert await states(w) == {first_kid: "retired", made.json()["kid"]: "active"}


@pytest.mark.req("KEY-03")
async def test_a_revoked_key_is_gone_everywhere_with_the_tokens_it_signed(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    async with replica(w) as second:
        (kid,) = await published(w.http)
        headers, held = await w.admin_headers(), await token_from(w, w.http, agent)
        answer = await w.http.post(f"/signing-keys/{kid}/revoke", json={"reason": "leaked"}, headers=headers)
        assert answer.status_code == 204
        async with asyncio.timeout(5):
            while kid in await published(second):
                await asyncio.sleep(0.05)
        assert len(await published(second)) == 1
        assert kid not in await published(w.http)
        # Neither replica believes what it signed; what comes next is signed by another key.
        for http in (w.http, second):
            assert (await http.get("/signing-keys", headers=headers)).status_code == 401
            assert verify(await token_from(w, http, agent), await published(http)) != kid
        feed = (await second.get("/revocations", params={"after": "0"})).json()["sets"]
        ended = {subject(item["set"]) for item in feed}
        assert jti(held) in ended
        event = next(event for event in await w.events() if event["action"] == "signing_key.revoke")
        assert (event["target"], event["explanation"]) == (kid, "leaked")


def claims(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(parse_compact(text).payload)
    return found


def subject(text: str) -> str:
    return str(claims(text)["sub_id"]["uri"])


def jti(text: str) -> str:
    return str(claims(text)["jti"])


@pytest.mark.req("KEY-02")
async def test_old_news_is_signed_by_a_key_that_is_known_today(w: World) -> None:
    await w.push("credential-revoked", "urn:uuid:1")
    await change(w, "/signing-keys")
    w.clock.forward((PUBLISH_BEFORE + LINGER).total_seconds())
    (item,) = (await w.http.get("/revocations", params={"after": "0"})).json()["sets"]
    verify(item["set"], await published(w.http))
    assert subject(item["set"]) == "urn:uuid:1"


async def test_one_rotation_at_a_time_and_no_end_twice(w: World) -> None:
    (kid,) = await published(w.http)
    both = await asyncio.gather(change(w, "/signing-keys"), change(w, "/signing-keys"))
    assert sorted(answer.status_code for answer in both) == [201, 409]
    assert (await change(w, f"/signing-keys/{kid}/revoke")).status_code == 204
    for path, status in ((f"/signing-keys/{kid}/revoke", 409), ("/signing-keys/nobody/revoke", 404)):
        assert (await change(w, path)).status_code == status
    assert (await change(w, "/signing-keys", algorithm="RS256")).status_code == 404  # nothing to be rotated
    assert (await change(w, "/signing-keys", algorithm="none")).status_code == 400


@pytest.mark.parametrize("path", ["/signing-keys", "/signing-keys/x/revoke"])
async def test_only_operators_touch_keys(w: World, path: str) -> None:
    agent = w.agent("stock", "list_menu")
    theirs = {"Authorization": f"Bearer {await token_from(w, w.http, agent)}"}
    for headers in ({}, theirs):
        assert (await w.http.post(path, json={"reason": "x"}, headers=headers)).status_code == 401
    assert (await w.http.get("/signing-keys")).status_code == 401


@pytest.mark.req("TOK-01", "KEY-02")
@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
async def test_a_resource_chooses_how_its_tokens_are_signed(w: World, algorithm: str) -> None:
    agent = w.agent("stock", "list_menu")
    body = {"resource": RESOURCE, "name": "Urban Bites", "tools": dict.fromkeys(TOOLS, "may"), "signing_alg": algorithm}
    answer = await w.http.put("/resources", json=body, headers=await w.admin_headers())
    assert (answer.status_code, answer.json()["signing_alg"]) == (200, algorithm)
    text, keys = await token_from(w, w.http, agent), await published(w.http)
    assert keys[verify(text, keys)]["alg"] == algorithm == parse_compact(text).header["alg"]
    # The bridge's own tokens, and those of other resources, stay as they were.
    own = (await w.admin_headers())["Authorization"].removeprefix("Bearer ")
    assert parse_compact(own).header["alg"] == "EdDSA"
    # A token of one key under the name of another, or of another algorithm, is nobody's.
    other = next(kid for kid, jwk in keys.items() if jwk["alg"] == "EdDSA")
    with pytest.raises(Exception, match="alg does not fit"):
        verify_signature(parse_compact(text), parse_public_jwk(keys[other]))


@pytest.mark.req("KEY-01")
async def test_no_private_key_is_in_the_database_in_clear(w: World) -> None:
    await change(w, "/signing-keys")
    engine = open_database(w.database)
    async with engine.connect() as connection:
        rows = (await connection.execute(signing_keys.select())).mappings().all()
    await engine.dispose()
    assert len(rows) == 2
    assert all(not {"d", "p", "q"} & json.loads(row["public"]).keys() for row in rows)
    store = AgeKeystore.at(w.data / "keys", passphrase=None)
    for row in rows:
        key = store.open(row["sealed"], json.loads(row["public"]))
        assert public_jwk(key.public) == {name: json.loads(row["public"])[name] for name in public_jwk(key.public)}
    assert stat.S_IMODE((w.data / "keys" / FILE).stat().st_mode) == 0o600


@pytest.mark.req("KEY-01")
def test_a_keystore_opens_for_its_own_identity_and_passphrase_alone(tmp_path: Path) -> None:
    mine, other = AgeKeystore.at(tmp_path / "a", passphrase=None), AgeKeystore.at(tmp_path / "b", passphrase="right")
    key, sealed = mine.create("EdDSA")
    assert mine.open(sealed, public_jwk(key.public)).sign(b"x") == key.sign(b"x")
    with pytest.raises(KeysUnavailable):
        other.open(sealed, public_jwk(key.public))
    with pytest.raises(KeysUnavailable):
        mine.open("AAAA", public_jwk(key.public))
    with pytest.raises(WrongKey):
        mine.open(sealed, public_jwk(mine.create("EdDSA")[0].public))
    assert (tmp_path / "b" / FILE).read_bytes().startswith(b"age-encryption.org/v1")
    again, sealed = AgeKeystore.at(tmp_path / "b", passphrase="right"), other.seal(key)
    assert again.open(sealed, public_jwk(key.public)).public == key.public
    for folder, passphrase in (("b", "wrong"), ("b", None), ("a", "some")):
        with pytest.raises(Misconfigured):
            AgeKeystore.at(tmp_path / folder, passphrase=passphrase)
    (tmp_path / "a" / FILE).chmod(0o644)
    with pytest.raises(Misconfigured, match="readable by others"):
        AgeKeystore.at(tmp_path / "a", passphrase=None)


@pytest.mark.req("KEY-01")
async def test_a_new_deployment_never_has_a_signing_key_in_clear(w: World) -> None:
    (kid,) = await published(w.http)
    files = {path.name: load_key(path) for path in (w.data / "keys").glob("*.jwk")}
    assert files.keys() == {"bridge.jwk", "bridge-secret.jwk"}
    assert kid not in {thumbprint(key.public) for key in files.values()}


@pytest.mark.req("KEY-01", "KEY-02")
async def test_a_deployment_from_before_the_ring_keeps_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_passwords(monkeypatch)
    older = load_or_create_key(tmp_path / "keys" / "bridge-token.jwk")
    for _ in range(2):  # a second start finds it in the ring
        async with world(tmp_path) as w:
            assert list(await published(w.http)) == [thumbprint(older.public)]
            headers = await w.admin_headers()
            assert parse_compact(headers["Authorization"].split()[1]).header["kid"] == thumbprint(older.public)
    assert not (tmp_path / "keys" / "bridge-secret.jwk").exists()


@pytest.mark.req("KEY-01")
def test_a_passphrase_may_lie_in_a_file_and_is_never_empty_or_there_twice(tmp_path: Path) -> None:
    file, empty = tmp_path / "phrase", tmp_path / "empty"
    file.write_text("correct horse\n")
    empty.write_text("\n")
    assert BridgeSettings().keystore_secret is None
    assert BridgeSettings(keystore_passphrase_file=file).keystore_secret == "correct horse"
    assert BridgeSettings(pkcs11_pin_file=file).pkcs11_secret == "correct horse"
    assert BridgeSettings(keystore_passphrase=SecretStr("given")).keystore_secret == "given"
    for wrong in (
        BridgeSettings(keystore_passphrase=SecretStr("given"), keystore_passphrase_file=file),
        BridgeSettings(keystore_passphrase=SecretStr("")),
        BridgeSettings(keystore_passphrase_file=empty),
        BridgeSettings(keystore_passphrase_file=tmp_path / "absent"),
    ):
        with pytest.raises(Misconfigured):
            assert wrong.keystore_secret


@pytest.mark.req("TOK-01")
def test_the_public_half_is_no_secret_to_sign_with() -> None:
    key = rsa.SigningKey.generate()
    head, body = (base64url.encode(part) for part in (b'{"alg":"HS256","typ":"at+jwt"}', b"{}"))
    forged = hmac.digest(key.public.raw, f"{head}.{body}".encode(), hashlib.sha256)
    with pytest.raises(WrongAlgorithm):
        verify_signature(parse_compact(f"{head}.{body}.{base64url.encode(forged)}"), key.public)
    # Nor does one key's algorithm name another key's signature.
    for name in ("EdDSA", "ES256", "PS256", "none"):
        signed = base64url.encode(f'{{"alg":"{name}"}}'.encode()) + ".e30"
        with pytest.raises(WrongAlgorithm):
            verify_signature(parse_compact(f"{signed}.{base64url.encode(key.sign(signed.encode()))}"), key.public)
    signed = base64url.encode(b'{"alg":"RS256"}') + ".e30"
    verify_signature(parse_compact(f"{signed}.{base64url.encode(key.sign(signed.encode()))}"), key.public)
