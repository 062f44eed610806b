"""Key proofs of credential requests: of one kind, for this issuer, fresh, once, and by the agent's own key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from did_agent.clock import numeric_date
from did_agent.did.jwk import did_jwk
from did_agent.did.key import did_key, verification_method
from did_agent.keys import ecdsa
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import private_jwk, public_jwk
from did_agent.presentation.present import present_jwt
from did_agent.proof.jose import sign_compact
from did_agent.proof.jwt import sign_jwt
from did_agent.tokens.client_assertion import make_client_assertion
from did_agent.tokens.dpop import make_proof
from did_agent.tokens.key_proof import TYPE, make_key_proof, verify_key_proof
from tests.fakes.guard_world import NOW, credential
from tests.fakes.issuer_world import AGENT_KEY, ISSUER_URL, issuer, onboard
from tests.fakes.wallets import ISSUER, Clock, WalletOf, offered, refused

KID = verification_method(did_key(AGENT_KEY.public))
OTHER_KEY = SigningKey.from_seed(b"O" * 32)
pytestmark = pytest.mark.req("VCI-03")

Make = Callable[[WalletOf, str], dict[str, Any]]


def claims(nonce: str, **changes: Any) -> dict[str, Any]:
    said = {"aud": ISSUER, "iat": numeric_date(NOW), "nonce": nonce, **changes}
    return {name: value for name, value in said.items() if value is not None}


def jwt(value: str, /, header: dict[str, Any] | None = None, key: Any = AGENT_KEY, **changes: Any) -> dict[str, Any]:
    """Return proofs that are honest but for what is changed."""
    said = {"typ": TYPE, "kid": KID, **(header or {})}
    present = {name: value for name, value in said.items() if value is not None}
    return {"jwt": [sign_compact(present, claims(**{"nonce": value, **changes}), key)]}


HONEST: dict[str, Make] = {
    "kid": lambda wallet, nonce: {"jwt": [wallet.jwt(nonce)]},
    "jwk": lambda _wallet, nonce: jwt(nonce, {"kid": None, "jwk": public_jwk(AGENT_KEY.public)}),
    "did:jwk": lambda _wallet, nonce: jwt(nonce, {"kid": did_jwk(AGENT_KEY.public) + "#0"}),
    "media type": lambda _wallet, nonce: jwt(nonce, {"typ": f"application/{TYPE}"}),
    "di_vp": lambda wallet, nonce: {"di_vp": [wallet.di_vp(nonce)]},
    "five minutes old": lambda _wallet, nonce: jwt(nonce, iat=numeric_date(NOW) - 300),
    "with an end": lambda _wallet, nonce: jwt(nonce, exp=numeric_date(NOW) + 1),
}
SPOILED: dict[str, Make] = {
    "another audience": lambda wallet, nonce: {"jwt": [wallet.jwt(nonce, audience="https://evil.example")]},
    "the issuer's API": lambda wallet, nonce: {"jwt": [wallet.jwt(nonce, audience=ISSUER_URL)]},
    "audiences": lambda _wallet, nonce: jwt(nonce, aud=[ISSUER]),
    "another agent": lambda wallet, nonce: {"jwt": [wallet.jwt(nonce, key=OTHER_KEY)]},
    "another agent in a batch": lambda wallet, nonce: {"jwt": [wallet.jwt(nonce), wallet.jwt(nonce, key=OTHER_KEY)]},
    "a key it does not have": lambda _wallet, nonce: jwt(nonce, key=OTHER_KEY),
    "a private key": lambda _wallet, nonce: jwt(nonce, {"kid": None, "jwk": private_jwk(AGENT_KEY)}),
    "both names": lambda _wallet, nonce: jwt(nonce, {"jwk": public_jwk(AGENT_KEY.public)}),
    "no name": lambda _wallet, nonce: jwt(nonce, {"kid": None}),
    "a certificate": lambda _wallet, nonce: jwt(nonce, {"kid": None, "x5c": ["MA=="]}),
    "a link": lambda _wallet, nonce: jwt(nonce, {"jku": "https://evil.example"}),
    "a DID to fetch": lambda _wallet, nonce: jwt(nonce, {"kid": "did:web:evil.example#key"}),
    "an extension": lambda _wallet, nonce: jwt(nonce, {"crit": ["b64"], "b64": False}),
    "too old": lambda _wallet, nonce: jwt(nonce, iat=numeric_date(NOW) - 301),
    "the future": lambda _wallet, nonce: jwt(nonce, iat=numeric_date(NOW) + 31),
    "no time": lambda _wallet, nonce: jwt(nonce, iat=None),
    "over": lambda _wallet, nonce: jwt(nonce, exp=numeric_date(NOW) - 30),
    "an end that is none": lambda _wallet, nonce: jwt(nonce, exp="soon"),
    "no nonce": lambda _wallet, nonce: jwt(nonce, nonce=None),
    "another client": lambda _wallet, nonce: jwt(nonce, iss="somebody"),
    "two kinds": lambda wallet, nonce: {"jwt": [wallet.jwt(nonce)], "di_vp": [wallet.di_vp(nonce)]},
    "nothing": lambda _wallet, _nonce: {},
    "no list": lambda wallet, nonce: {"jwt": wallet.jwt(nonce)},
    "an empty list": lambda _wallet, _nonce: {"jwt": []},
    "an attestation": lambda wallet, nonce: {"attestation": [wallet.jwt(nonce)]},
    "an object as jwt": lambda wallet, nonce: {"jwt": [wallet.di_vp(nonce)]},
    "a text as di_vp": lambda wallet, nonce: {"di_vp": [wallet.jwt(nonce)]},
    "a presentation for the API": lambda wallet, nonce: {"di_vp": [wallet.di_vp(nonce, audience=ISSUER_URL)]},
    "a presentation by another": lambda wallet, nonce: {"di_vp": [wallet.di_vp(nonce, key=OTHER_KEY)]},
    "a presentation of a credential": lambda wallet, nonce: {
        "di_vp": [wallet.di_vp(nonce, credentials=[credential()])]
    },
}


async def ready(http: Any) -> WalletOf:
    wallet = WalletOf(http)
    assert (await wallet.redeem(await offered(http, await onboard(http)))).status_code == 200
    return wallet


@pytest.mark.parametrize("make", HONEST.values(), ids=HONEST)
async def test_an_honest_proof_is_taken(tmp_path: Path, make: Make) -> None:
    async with issuer(tmp_path) as (http, _):
        wallet = await ready(http)
        answer = await wallet.credential(proofs=make(wallet, await wallet.nonce()))
        assert answer.status_code == 200, answer.text
        subject = answer.json()["credentials"][0]["credential"]["credentialSubject"]["id"]
        assert subject == did_key(AGENT_KEY.public)


@pytest.mark.parametrize("make", SPOILED.values(), ids=SPOILED)
async def test_a_spoiled_proof_is_refused_and_spends_nothing(tmp_path: Path, make: Make) -> None:
    async with issuer(tmp_path) as (http, _):
        wallet = await ready(http)
        nonce = await wallet.nonce()
        refused(await wallet.credential(proofs=make(wallet, nonce)), "invalid_proof")
        assert (await wallet.credential(proofs={"jwt": [wallet.jwt(nonce)]})).status_code == 200


async def test_a_proof_names_the_client_that_got_the_token(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        wallet = WalletOf(http)
        await wallet.redeem(await offered(http, await onboard(http)), client_id="me")
        refused(await wallet.credential(proofs=jwt(await wallet.nonce(), iss="somebody")), "invalid_proof")
        assert (await wallet.credential(proofs=jwt(await wallet.nonce(), iss="me"))).status_code == 200


@pytest.mark.req("TOK-10")
@pytest.mark.parametrize("kind", ["jwt", "di_vp"])
async def test_a_nonce_is_good_once_and_not_for_long(tmp_path: Path, kind: str) -> None:
    clock = Clock()
    async with issuer(tmp_path, clock) as (http, _):
        wallet = WalletOf(http)
        await wallet.redeem(await offered(http, await onboard(http), copies=4))

        def proofs(nonce: str) -> dict[str, Any]:
            return {kind: [getattr(wallet, kind)(nonce)]}

        nonce = await wallet.nonce()
        assert (await wallet.credential(proofs=proofs(nonce))).status_code == 200
        refused(await wallet.credential(proofs=proofs(nonce)), "invalid_nonce")
        refused(await wallet.credential(proofs=proofs("made up")), "invalid_nonce")
        slow, late = await wallet.nonce(), await wallet.nonce()
        clock.forward(119)
        wallet.now = clock.now
        assert (await wallet.credential(proofs=proofs(slow))).status_code == 200
        clock.forward(1)
        refused(await wallet.credential(proofs=proofs(late)), "invalid_nonce")


async def test_a_nonce_is_nobodys_and_never_kept(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        answers = [await http.post(f"{ISSUER}/nonce") for _ in range(3)]
        assert len({answer.json()["c_nonce"] for answer in answers}) == 3
        assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


def others() -> dict[str, Callable[[str], str]]:
    """Return honest JWTs of other kinds by the same key, as like a key proof as their kind allows."""
    until = numeric_date(NOW) + 60

    def of(typ: str) -> Callable[[str], str]:
        return lambda nonce: sign_jwt(claims(nonce, exp=until, jti="1"), typ=typ, key=AGENT_KEY, kid=KID)

    return {
        "dpop": lambda nonce: make_proof(AGENT_KEY, method="POST", url=ISSUER, now=NOW, nonce=nonce),
        "vp+jwt": lambda nonce: present_jwt([], key=AGENT_KEY, audience=ISSUER, now=NOW, nonce=nonce),
        "assertion": lambda _nonce: make_client_assertion(AGENT_KEY, audience=ISSUER, now=NOW),
        **{typ: of(typ) for typ in ("JWT", "at+jwt", "kb+jwt", "secevent+jwt", "dpop+jwt", "", "openid4vci-proof")},
    }


@pytest.mark.req("TOK-08")
@pytest.mark.parametrize("kind", others())
async def test_a_token_of_another_kind_is_no_key_proof(tmp_path: Path, kind: str) -> None:
    async with issuer(tmp_path) as (http, _):
        wallet = await ready(http)
        nonce = await wallet.nonce()
        refused(await wallet.credential(proofs={"jwt": [others()[kind](nonce)]}), "invalid_proof")
        assert (await wallet.credential(proofs={"jwt": [wallet.jwt(nonce)]})).status_code == 200


@pytest.mark.req("TOK-08")
async def test_a_key_proof_is_nothing_else(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        made = await onboard(http)
        proof = make_key_proof(AGENT_KEY, audience=ISSUER_URL, nonce="n", now=NOW)
        for method, path in (("GET", "/agents"), ("GET", f"/agents/{made['agent_id']}")):
            answer = await http.request(method, path, headers={"Authorization": f"Bearer {proof}"})
            assert answer.status_code == 401
        shown = WalletOf(http, token=proof)
        refused(await shown.credential(), "invalid_token", 401)


@pytest.mark.parametrize("kind", ["Ed25519", "P-256"])
def test_agents_of_either_kind_of_key_prove_it(kind: Any) -> None:
    key: Any = SigningKey.from_seed(b"k" * 32) if kind == "Ed25519" else ecdsa.SigningKey.generate(kind)
    text = make_key_proof(key, audience=ISSUER, nonce="n", now=NOW, client_id="me")
    proven = verify_key_proof(text, expected_audience=ISSUER, now=NOW + timedelta(seconds=5))
    assert (proven.did, proven.nonce, proven.client_id) == (did_key(key.public), "n", "me")
