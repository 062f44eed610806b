"""Token-type confusion at the readers behind no OAuth door: credentials, lists, deliveries, the VC-API (TOK-08)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from did_agent.audit.delivery import verify_batch
from did_agent.credential.chain import verify_chain
from did_agent.credential.sd_jwt_vc import verify_sd_jwt_vc
from did_agent.credential.token_status import verify_status_list_token
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import Malformed, VerificationError
from did_agent.keys.jwk import parse_public_jwk
from did_agent.proof.jwt import unverified_jws
from did_agent.proof.sd_jwt import KeyBinding
from did_agent.proof.vc_jose import verify_secured
from did_agent.proof.vc_jwt import verify_vc_jwt
from did_agent.tokens.client_assertion import verify_client_assertion
from did_agent.tokens.consent_receipt import verify_receipt
from did_agent.tokens.dpop import verify_proof
from did_agent.tokens.key_proof import verify_key_proof
from did_agent.tokens.policy_bundle import verify_bundle
from tests.fakes.artefacts import Artefacts
from tests.security.test_confusion_matrix import KINDS, deployment
from verifier.vc_api.app import create_app
from verifier.vc_api.settings import VCSettings

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.req("TOK-08")]


@dataclass(slots=True)
class Readers:
    """What the readers must know, and the artefacts to be confused."""

    made: Artefacts
    vc_api: httpx2.AsyncClient
    keys: list[Any]  # of the bridge

    @property
    def now(self) -> Any:
        return self.made.world.clock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def readers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Readers]:
    folder = tmp_path_factory.mktemp("readers")
    async with deployment(folder) as made:
        app = create_app(VCSettings(data=folder / "vc-api"), clock=made.world.clock)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8406") as http:
            keys = (await made.world.http.get("/.well-known/jwks.json")).json()["keys"]
            yield Readers(made=made, vc_api=http, keys=keys)


async def _status_list(r: Readers, text: str) -> None:
    key, uri = r.made.world.issuer.key.public, f"{r.made.world.issuer.url}/token-status/1"
    verify_status_list_token(
        text,
        expected_uri=uri,
        expected_issuer=None,
        find_key=lambda _header, _claims: key,
        fetched_at=r.now,
        now=r.now,
    )


async def _sd_jwt(r: Readers, text: str) -> None:
    # The nonce is whatever a key binding says: here only the kind is in question.
    claims = unverified_jws(text.rpartition("~")[2])[1] if "~" in text else {}
    binding = KeyBinding(audience=r.made.world.url, nonce=str(claims.get("nonce", "n")))
    verify_sd_jwt_vc(
        text, expected_vct=frozenset({"https://w3id.org/did-agent/capability"}), key_binding=binding, now=r.now
    )


async def _vc_jwt(r: Readers, text: str) -> None:
    verify_secured(text, envelope="vc+jwt", now=r.now)


async def _vp_jwt(r: Readers, text: str) -> None:
    verify_secured(text, envelope="vp+jwt", now=r.now)


async def _old_vc(r: Readers, text: str) -> None:
    verify_vc_jwt(text, claim="vc", now=r.now)


async def _old_vp(r: Readers, text: str) -> None:
    verify_vc_jwt(text, claim="vp", now=r.now)


async def _credential(r: Readers, text: str) -> None:
    trusted = TrustedIssuers.of(did_key(r.made.world.issuer.key.public))
    verify_chain([parse_object(text)], holder=r.made.agent.did, now=r.now, trusted=trusted, max_depth=0)


async def _batch(r: Readers, text: str) -> None:
    sources, url = frozenset({r.made.agent.did}), r.made.world.url
    verify_batch(text, b'{"events":[{}]}', ledger_url=url, sources=sources, now=r.now)


async def _bundle(r: Readers, text: str) -> None:
    key, issuer = parse_public_jwk(r.keys[0]), r.made.world.url
    verify_bundle(text, find_key=lambda _header, _claims: key, expected_issuer=issuer, known_version=0, now=r.now)


async def _assertion(r: Readers, text: str) -> None:
    verify_client_assertion(text, expected_audience=r.made.world.url, now=r.now)


async def _dpop(r: Readers, text: str) -> None:
    verify_proof([text], method="POST", url=f"{r.made.world.url}/token", now=r.now, access_token=None)


async def _key_proof(r: Readers, text: str) -> None:
    verify_key_proof(text, expected_audience=r.made.world.url, now=r.now)


async def _receipt(r: Readers, text: str) -> None:
    # Whoever signed it is trusted: here only the kind is in question.
    signer = str(unverified_jws(text)[0].header.get("kid", "")).partition("#")[0]
    verify_receipt(text, trusted=frozenset({signer}), now=r.now)


def _vc_api(path: str, member: str) -> Callable[[Readers, str], Awaitable[None]]:
    async def read(r: Readers, text: str) -> None:
        secured: Any = json.loads(text) if text.startswith("{") else text
        answer = await r.vc_api.post(path, json={member: secured, "options": {}}, params={"policy": "proof"})
        assert answer.status_code < 500, answer.text
        if answer.status_code != 200:
            raise VerificationError(answer.text)
        assert answer.json()["verified"] is True

    return read


READERS: dict[str, tuple[Callable[[Readers, str], Awaitable[None]], frozenset[str]]] = {
    "status list": (_status_list, frozenset({"status_list"})),
    "SD-JWT VC": (_sd_jwt, frozenset({"sd_jwt"})),
    "vc+jwt": (_vc_jwt, frozenset({"vc_jwt"})),
    "vp+jwt": (_vp_jwt, frozenset({"vp_secured"})),
    "VC of 1.1": (_old_vc, frozenset()),
    "VP of 1.1": (_old_vp, frozenset()),
    "credential": (_credential, frozenset({"vc_json"})),
    "delivery": (_batch, frozenset({"audit_batch"})),
    "policy bundle": (_bundle, frozenset({"policy_bundle"})),
    "key proof": (_key_proof, frozenset({"key_proof"})),
    "client assertion": (_assertion, frozenset({"client_assertion"})),
    "consent receipt": (_receipt, frozenset({"receipt"})),
    "DPoP proof": (_dpop, frozenset({"dpop"})),
    "VC-API, credential": (
        _vc_api("/credentials/verify", "verifiableCredential"),
        frozenset({"vc_json", "vc_jwt"}),
    ),
    "VC-API, presentation": (
        _vc_api("/presentations/verify", "verifiablePresentation"),
        frozenset({"vp_json", "vp_secured"}),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reader_believes_its_own_kind_alone(readers: Readers, kind: str) -> None:
    text = await readers.made.makers[kind]()
    for name, (read, takes) in READERS.items():
        if kind in takes:
            await read(readers, text)
            continue
        with pytest.raises((Malformed, VerificationError)):
            await read(readers, text)
            pytest.fail(f"{kind} was believed as {name}")
