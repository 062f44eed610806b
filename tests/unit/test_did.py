"""DIDs: one did:key has one text, a did:jwk is its key, and a method only counts as its controller's document says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from did_agent.did.document import SIGNATURE_RELATIONSHIPS, VerificationMethod, require_did, split_method_id
from did_agent.did.jwk import did_jwk, did_jwk_document
from did_agent.did.key import did_key, expand_did_key, parse_did_key, verification_method
from did_agent.did.resolve import method_key, needs_fetching, resolve
from did_agent.did.web import did_web_url
from did_agent.encoding import base64url, multibase
from did_agent.errors import BadDID, BadKey, KeysUnavailable, WrongKey
from did_agent.keys import ecdsa
from did_agent.keys.ed25519 import SigningKey, to_x25519
from did_agent.keys.jwk import public_jwk
from did_agent.keys.multikey import encode_x25519
from did_agent.keys.public import PublicKey

KEY, OTHER = SigningKey.from_seed(b"1" * 32), SigningKey.from_seed(b"2" * 32)
DID, OTHER_DID = did_key(KEY.public), did_key(OTHER.public)
METHOD = verification_method(DID)


def test_a_did_key_names_its_key_and_its_method() -> None:
    assert DID.startswith("did:key:z6Mk")
    assert parse_did_key(DID) == KEY.public
    assert f"{DID}#{DID.removeprefix('did:key:')}" == METHOD
    assert method_key(METHOD, relationship="authentication") == (DID, KEY.public)


@pytest.mark.req("VCX-12")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "did:key:",
        "did:key:z",
        "did:example:123",
        DID.upper(),
        DID + " ",
        DID + "\n",
        " " + DID,
        DID.replace("did:key:", "did:key:1:"),
        DID.replace("did:key:z", "did:key:z1"),
        DID + "1",
        DID[:-1],
        DID + "#" + DID.removeprefix("did:key:"),
        "did:key:" + multibase.encode_base64url(b"\xed\x01" + KEY.public.raw),
        "did:key:" + multibase.encode_base58btc(b"\xec\x01" + KEY.public.raw),
        "did:key:" + multibase.encode_base58btc(b"\xed\x01" + KEY.public.raw + b"\x00"),
        "did:key:" + multibase.encode_base58btc(b"\xed\x01" + KEY.public.raw[:31]),
        "did:key:" + multibase.encode_base58btc(b"\xed\x01" + b"\x01" + b"\x00" * 31),
        "did:key:z" + "1" * 300,
        None,
        1,
        [DID],
    ],
)
def test_a_did_key_has_one_text(text: object) -> None:
    with pytest.raises(BadDID):
        parse_did_key(text)
    with pytest.raises(BadDID):
        resolve(text)


@pytest.mark.req("VCX-04")
@pytest.mark.parametrize("text", [None, 1, "", "#", DID, f"{DID}#", f"#{DID}", f"{METHOD}#x", [METHOD]])
def test_a_method_is_a_did_url_with_one_fragment(text: object) -> None:
    assert split_method_id(METHOD) == (DID, DID.removeprefix("did:key:"))
    with pytest.raises(BadDID):
        split_method_id(text)


@pytest.mark.req("VCX-04", "VCX-12")
def test_the_fragment_repeats_the_identifier() -> None:
    for fragment in ("keys-1", OTHER_DID.removeprefix("did:key:"), DID.removeprefix("did:key:") + "%20"):
        with pytest.raises(WrongKey):
            method_key(f"{DID}#{fragment}", relationship="authentication")


@pytest.mark.req("VCX-04")
def test_a_method_counts_only_under_its_relationship_and_controller_and_once() -> None:
    document = resolve(DID)
    (method,) = document.methods
    assert (method.id, method.controller, method.ends) == (METHOD, DID, None)
    assert document.method_for(METHOD, relationship="assertionMethod") == KEY.public
    spoiled = (
        replace(document, relationships=()),
        replace(document, relationships=(("authentication", (METHOD,)),)),
        replace(document, relationships=(("assertionMethod", (verification_method(OTHER_DID),)),)),
        replace(document, methods=()),
        replace(document, methods=document.methods * 2),
        replace(document, methods=(replace(method, controller=OTHER_DID),)),
        replace(document, id=OTHER_DID),
    )
    for forged in spoiled:
        with pytest.raises(WrongKey):
            forged.method_for(METHOD, relationship="assertionMethod")


@pytest.mark.req("VCX-04")
def test_two_methods_of_one_name_are_refused_even_if_one_is_right() -> None:
    document = resolve(DID)
    foreign = VerificationMethod(id=METHOD, controller=DID, key=OTHER.public)
    with pytest.raises(WrongKey):
        replace(document, methods=(foreign, *document.methods)).method_for(METHOD, relationship="authentication")


def test_a_did_document_is_resolved_once() -> None:
    assert resolve(DID) is resolve(DID)
    assert base64url.encode(resolve(DID).methods[0].key.raw) == base64url.encode(KEY.public.raw)


P256, P384 = ecdsa.SigningKey("P-256", b"1" * 32), ecdsa.SigningKey("P-384", b"1" * 48)
AGREEMENT = "did:key:" + encode_x25519(to_x25519(KEY.public))


def jwk_did(jwk: Any) -> str:
    return "did:jwk:" + base64url.encode(json.dumps(jwk).encode())


@pytest.mark.parametrize("key", [KEY.public, P256.public, P384.public])
def test_every_kind_of_signature_key_may_sign_for_all_purposes(key: PublicKey) -> None:
    did = did_key(key)
    for relationship in SIGNATURE_RELATIONSHIPS:
        assert method_key(verification_method(did), relationship=relationship) == (did, key)
        assert method_key(f"{did_jwk(key)}#0", relationship=relationship) == (did_jwk(key), key)


def test_a_did_key_document_is_what_the_method_says() -> None:
    document = expand_did_key(DID, key_agreement=True)
    agreement = encode_x25519(to_x25519(KEY.public))
    assert [method["id"] for method in document["verificationMethod"]] == [METHOD, f"{DID}#{agreement}"]  # type: ignore[attr-defined]  # JSON
    assert document["keyAgreement"] == [f"{DID}#{agreement}"]
    assert all(document[relationship] == [METHOD] for relationship in SIGNATURE_RELATIONSHIPS)
    assert "keyAgreement" not in expand_did_key(DID)
    assert "keyAgreement" not in expand_did_key(did_key(P256.public), key_agreement=True)


@pytest.mark.req("VCX-04", "TOK-13")
def test_an_agreement_key_never_signs() -> None:
    document = expand_did_key(AGREEMENT)
    assert sorted(document) == ["@context", "id", "keyAgreement", "verificationMethod"]
    for relationship in SIGNATURE_RELATIONSHIPS:
        with pytest.raises(BadDID):
            method_key(verification_method(AGREEMENT), relationship=relationship)
    with pytest.raises(BadKey):
        expand_did_key("did:key:" + encode_x25519(b"\x01" + bytes(31)))


def test_a_did_jwk_is_the_text_it_was_given() -> None:
    spaced = jwk_did(public_jwk(KEY.public))
    assert spaced != did_jwk(KEY.public)
    for did in (spaced, did_jwk(KEY.public)):
        assert did_jwk_document(did).id == did
        assert method_key(f"{did}#0", relationship="authentication") == (did, KEY.public)


@pytest.mark.parametrize(
    ("jwk", "agrees", "signs"),
    [
        (public_jwk(KEY.public), False, True),
        (public_jwk(P256.public), True, True),
        ({**public_jwk(P256.public), "use": "sig"}, False, True),
        ({**public_jwk(P384.public), "use": "enc"}, True, False),
        ({"kty": "OKP", "crv": "X25519", "use": "enc", "x": base64url.encode(to_x25519(KEY.public))}, True, False),
        ({"kty": "OKP", "crv": "X25519", "x": base64url.encode(to_x25519(KEY.public))}, True, False),
    ],
)
def test_the_use_of_a_did_jwk_says_what_its_key_is_for(jwk: dict[str, Any], agrees: bool, signs: bool) -> None:
    document = did_jwk_document(jwk_did(jwk))
    assert ("keyAgreement" in document.source) is agrees
    for relationship in SIGNATURE_RELATIONSHIPS:
        assert (relationship in document.source) is signs
        if not signs:
            with pytest.raises(WrongKey):
                document.method_for(f"{document.id}#0", relationship=relationship)


def test_only_did_web_needs_fetching() -> None:
    assert needs_fetching(METHOD) is None
    assert needs_fetching(f"{did_jwk(KEY.public)}#0") is None
    assert needs_fetching("did:web:example.com#key") == "did:web:example.com"
    for name in ("did:example:1#key", "did:web:127.0.0.1#key", "did:web:example.com", "https://example.com/#key", None):
        with pytest.raises(BadDID):
            needs_fetching(name)


def test_a_did_web_without_its_document_could_not_be_found_out() -> None:
    with pytest.raises(KeysUnavailable):
        resolve("did:web:example.com")
    with pytest.raises(KeysUnavailable):
        resolve("did:web:example.com", {"did:web:example.com": resolve(DID)})
    with pytest.raises(BadDID):
        resolve("did:web:127.0.0.1")


@pytest.mark.parametrize(
    ("did", "url"),
    [
        ("did:web:example.com", "https://example.com/.well-known/did.json"),
        ("did:web:EXAMPLE.com", "https://example.com/.well-known/did.json"),
        ("did:web:example.com%3A8443", "https://example.com:8443/.well-known/did.json"),
        ("did:web:example.com:agents:a-1", "https://example.com/agents/a-1/did.json"),
        ("did:web:xn--bcher-kva.example:u_1", "https://xn--bcher-kva.example/u_1/did.json"),
    ],
)
def test_a_did_web_lives_where_the_method_says(did: str, url: str) -> None:
    assert did_web_url(did) == url


def test_this_machine_is_a_host_only_where_that_is_allowed() -> None:
    assert did_web_url("did:web:localhost%3A8443:a", allow_loopback=True) == "http://localhost:8443/a/did.json"
    with pytest.raises(BadDID):
        did_web_url("did:web:localhost%3A8443:a")


def test_the_syntax_of_a_did() -> None:
    assert require_did("did:example:a%20b:c") == "did:example:a%20b:c"
    for text in (
        "",
        "did:",
        "did:key:",
        "did::x",
        "did:Key:x",
        "did:key:x:",
        "did:key:%2",
        "did:key:x y",
        "did:key:x\n",
        1,
    ):
        with pytest.raises(BadDID):
            require_did(text)
