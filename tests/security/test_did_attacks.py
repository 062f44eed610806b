"""DIDs as an attacker writes them: hosts in disguise, borrowed methods, second keys, published secrets, dead methods."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from did_agent.did.document import MAX_METHODS, DIDDocument, parse_did_document, require_did
from did_agent.did.jwk import did_jwk_document
from did_agent.did.key import did_key, verification_method
from did_agent.did.resolve import method_key, needs_fetching, resolve
from did_agent.did.web import did_web_url
from did_agent.encoding import base64url, multibase
from did_agent.errors import BadDID, BadDIDDocument, KeysUnavailable, WrongKey
from did_agent.keys import ecdsa
from did_agent.keys.ed25519 import SigningKey, to_x25519
from did_agent.keys.jwk import private_jwk, public_jwk
from did_agent.keys.multikey import encode_multikey, encode_secret_multikey, encode_x25519

WEB, ELSEWHERE = "did:web:issuer.example", "did:web:evil.example"
MINE, OTHER = SigningKey.from_seed(b"1" * 32), SigningKey.from_seed(b"2" * 32)
P256 = ecdsa.SigningKey("P-256", b"1" * 32)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def method(name: str = f"{WEB}#k", key: Any = MINE, **changes: Any) -> dict[str, Any]:
    found = {"id": name, "type": "Multikey", "controller": WEB, "publicKeyMultibase": encode_multikey(key.public)}
    return {member: value for member, value in {**found, **changes}.items() if value is not ...}


def document(*methods: Any, **changes: Any) -> DIDDocument:
    source = {"id": WEB, "verificationMethod": list(methods) or [method()], "assertionMethod": [f"{WEB}#k"], **changes}
    return parse_did_document({name: value for name, value in source.items() if value is not ...}, expected_id=WEB)


def key_in(found: DIDDocument, name: str = f"{WEB}#k", now: datetime | None = NOW) -> Any:
    return method_key(name, relationship="assertionMethod", documents={WEB: found}, now=now)[1]


# ---- did:web: where it leads


@pytest.mark.req("VCX-13", "NET-02")
@pytest.mark.parametrize(
    "rest",
    [
        "", ":", "127.0.0.1", "127%2E0%2E0%2E1", "127%2e0%2e0%2e1", "169%2E254%2E169%2E254", "2130706433", "0x7f000001",
        "0177.0.0.1", "127.1", "1.2.3.4", "[::1]", "%5B::1%5D", "::1", "localhost", "localhost%3A8443", "LOCALHOST",
        "127.0.0.1#x", "issuer.example#x", "issuer.example%23x", "issuer.example%00", "issuer.example?x", "issuer.example/x",
        "issuer.example%2Fx", "issuer.example%5Cx", "user@issuer.example", "user%40issuer.example", "user%3Apw%40a.example",
        "issuer.example%40127.0.0.1", "issuer.example%3A", "issuer.example%3A0", "issuer.example%3A08443",
        "issuer.example%3A65536", "issuer.example%3A99999999", "issuer.example%3A-1", "issuer.example%3A+443",
        "issuer.example%3a8443", "issuer.example%3A8443%3A22", "issuer.example%3A8443%2Fx", "issuer.example%253A8443",
        "issuer.example%3A8443@evil.example", "issuer%2Eexample", "issuer.example.", ".issuer.example", "issuer..example",
        "-a.example", "a-.example", "issuer_.example", "a.b", "issuer.123", "issuer", "issuer.example ", " issuer.example",
        "issuer.example\n", "issuer.exa\tmple", "\u0131ssuer.example", "issuer.example\u3002evil.example", "ｅxample.com",
        "a" * 64 + ".example", ".".join(["a" * 60] * 5) + ".example",
        "issuer.example:", "issuer.example::a", "issuer.example:a:", "issuer.example:..", "issuer.example:..:..:admin",
        "issuer.example:.", "issuer.example:%2e%2e", "issuer.example:%2E%2E:a", "issuer.example:a%2Fb", "issuer.example:a%2fb",
        "issuer.example:a/b", "issuer.example:a?b", "issuer.example:a#b", "issuer.example:a%23b", "issuer.example:a%3Fb",
        "issuer.example:a%00", "issuer.example:a\\b", "issuer.example:a b", "issuer.example:8443:x@evil.example",
        "issuer.example:a\n", "issuer.example:..\n", "issuer.example:\u00e9", "issuer.example:a%", "https://issuer.example",
    ],
)  # fmt: skip
def test_a_did_web_in_disguise_leads_nowhere(rest: str) -> None:
    assert did_web_url("did:web:issuer.example:a.b:..c").endswith("/a.b/..c/did.json")
    with pytest.raises(BadDID):
        did_web_url(f"did:web:{rest}")
    with pytest.raises(BadDID):
        needs_fetching(f"did:web:{rest.replace('localhost', 'local_host').replace('LOCALHOST', 'local_host')}#k")


@pytest.mark.req("VCX-13")
@pytest.mark.parametrize(
    "rest", ["127.0.0.1", "LOCALHOST", "localhost.", "localhost%3A0", "a.localhost%3a1", "user@localhost"]
)
def test_even_where_this_machine_is_a_host_it_has_one_name(rest: str) -> None:
    assert did_web_url("did:web:localhost%3A81", allow_loopback=True) == "http://localhost:81/.well-known/did.json"
    with pytest.raises(BadDID):
        did_web_url(f"did:web:{rest}", allow_loopback=True)


@pytest.mark.req("VCX-13")
@pytest.mark.parametrize(
    "text", ["DID:web:a.example", "did:WEB:a.example", "did:web", "did:web:" + "a" * 2_100, None, 1]
)
def test_a_did_is_short_and_in_its_own_letters(text: object) -> None:
    assert require_did("did:web:a.example") == "did:web:a.example"
    with pytest.raises(BadDID):
        require_did(text)


# ---- documents


def test_the_honest_document_gives_its_key() -> None:
    assert key_in(document()) == MINE.public
    assert key_in(document(method("#k"), assertionMethod=["#k"])) == MINE.public
    assert key_in(document(..., verificationMethod=[], assertionMethod=[method()])) == MINE.public
    old: dict[str, Any] = {
        "publicKeyMultibase": ...,
        "publicKeyBase58": multibase.encode_base58btc(MINE.public.raw)[1:],
    }
    assert key_in(document(method(type="Ed25519VerificationKey2018", **old))) == MINE.public
    jwk: dict[str, Any] = {"type": "JsonWebKey", "publicKeyJwk": public_jwk(P256.public), "publicKeyMultibase": ...}
    assert key_in(document(method(**jwk))) == P256.public


@pytest.mark.req("VCX-04")
@pytest.mark.parametrize("identifier", [ELSEWHERE, WEB.upper(), WEB + "#", WEB + "/", None, 1, [WEB], ...])
def test_a_document_about_another_identifier_is_refused(identifier: object) -> None:
    with pytest.raises(BadDIDDocument):
        document(id=identifier)


@pytest.mark.req("VCX-04")
def test_a_document_under_another_name_is_not_taken() -> None:
    with pytest.raises(KeysUnavailable):
        method_key(f"{ELSEWHERE}#k", relationship="assertionMethod", documents={ELSEWHERE: document()}, now=NOW)


@pytest.mark.req("VCX-04")
@pytest.mark.parametrize(
    "methods",
    [
        [method(controller=ELSEWHERE)],
        [method(controller=did_key(MINE.public))],
        [method(controller=WEB + "#k")],
        [method(f"{ELSEWHERE}#k", controller=ELSEWHERE)],
        [method(f"{WEB}#K")],
        [method("k")],
        [method(f"{WEB}?x#k")],
        [method(type="Ed25519VerificationKey2018")],
        [method(type="JsonWebKey")],
        [method(type="Ed25519VerificationKey2020", key=P256)],
        [method(type=["Multikey"])],
        [method(type=...)],
    ],
)
def test_a_borrowed_renamed_or_mistyped_method_gives_no_key(methods: list[Any]) -> None:
    with pytest.raises(WrongKey):
        key_in(document(*methods))


@pytest.mark.req("VCX-04")
@pytest.mark.parametrize(
    "change",
    [
        {"assertionMethod": []},
        {"assertionMethod": ...},
        {"assertionMethod": [], "authentication": [f"{WEB}#k"]},
        {"assertionMethod": [f"{WEB}#k2"], "keyAgreement": [f"{WEB}#k"]},
        {"assertionMethod": [f"{ELSEWHERE}#k"]},
        {"assertionMethod": ["k"]},
    ],
)
def test_a_method_counts_only_under_its_relationship(change: dict[str, Any]) -> None:
    with pytest.raises(WrongKey):
        key_in(document(**change))


@pytest.mark.req("VCX-04")
@pytest.mark.parametrize("inside", ["authentication", "keyAgreement", "capabilityInvocation"])
def test_a_method_inside_one_relationship_does_not_count_under_another(inside: str) -> None:
    shut_in = document(verificationMethod=[], **{inside: [method()]}, assertionMethod=[f"{WEB}#k"])
    with pytest.raises(WrongKey):
        key_in(shut_in)
    if inside != "keyAgreement":
        assert shut_in.method_for(f"{WEB}#k", relationship=inside, now=NOW) == MINE.public  # type: ignore[arg-type]  # one of them


@pytest.mark.req("VCX-04")
@pytest.mark.parametrize(
    "change",
    [
        {"verificationMethod": [method(), method(key=OTHER)]},
        {"verificationMethod": [method(), method("#k", key=OTHER)]},
        {"verificationMethod": [method(), method()]},
        {"assertionMethod": [f"{WEB}#k", method(key=OTHER)]},
        {"assertionMethod": [f"{WEB}#k"], "authentication": [method(key=OTHER)]},
        {"keyAgreement": [method(key=OTHER)]},
        {"keyAgreement": [method("#k", type="X25519KeyAgreementKey2020")]},
        {"verificationMethod": [method(), method(type="Unknown2030", publicKeyMultibase=...)]},
    ],
)
def test_two_methods_of_one_name_spoil_the_document(change: dict[str, Any]) -> None:
    assert (
        key_in(document(method(), method("#other", key=OTHER), keyAgreement=[method("#third", key=OTHER)]))
        == MINE.public
    )
    with pytest.raises(BadDIDDocument):
        document(**change)


@pytest.mark.req("VCX-04", "TOK-13")
@pytest.mark.parametrize(
    "second",
    [
        {"publicKeyJwk": public_jwk(OTHER.public)},
        {"publicKeyJwk": None},
        {"publicKeyBase58": "x"},
        {"publicKeyPem": "x"},
        {"publicKeyHex": "00"},
        {"blockchainAccountId": "eip155:1:0x0"},
        {"ethereumAddress": "0x0"},
    ],
)
def test_a_method_with_two_key_forms_has_none(second: dict[str, Any]) -> None:
    with pytest.raises(WrongKey):
        key_in(document(method(**second)))
    with pytest.raises(WrongKey):
        key_in(document(method(type="JsonWebKey", **{"publicKeyJwk": public_jwk(MINE.public), **second})))


SECRETS: list[dict[str, Any]] = [
    {"secretKeyMultibase": encode_secret_multikey(MINE)},
    {"privateKeyMultibase": "z1"},
    {"privateKeyJwk": private_jwk(MINE)},
    {"privateKeyBase58": "x"},
    {"privateKeyHex": "00"},
    {"secretKeyJwk": {}},
    {"type": "JsonWebKey", "publicKeyJwk": private_jwk(MINE), "publicKeyMultibase": ...},
    {"type": "JsonWebKey", "publicKeyJwk": {"kty": "oct", "k": "AA"}, "publicKeyMultibase": ...},
]


@pytest.mark.req("TOK-13")
@pytest.mark.parametrize("secret", SECRETS)
def test_a_document_that_publishes_a_secret_is_refused_as_a_whole(secret: dict[str, Any]) -> None:
    for leak in (method("#leak", **secret), method("#leak", **{"type": "Unknown2030", **secret})):
        with pytest.raises(BadDIDDocument):
            document(method(), leak)
        for inside in ("authentication", "keyAgreement"):
            with pytest.raises(BadDIDDocument):
                document(**{inside: [leak]})


@pytest.mark.req("VCX-16")
@pytest.mark.parametrize("member", ["revoked", "expires"])
def test_a_method_that_has_ended_gives_no_key_whatever_its_proofs_say(member: str) -> None:
    found = document(method(**{member: "2026-01-01T00:00:00Z"}))
    assert key_in(found, now=NOW - timedelta(seconds=1)) == MINE.public
    for now in (NOW, NOW + timedelta(days=1), None):
        with pytest.raises(WrongKey):
            key_in(found, now=now)
    both = document(method(revoked="2026-01-01T00:00:00Z", expires="2027-01-01T00:00:00Z"))
    with pytest.raises(WrongKey):
        key_in(both)


@pytest.mark.req("VCX-16")
@pytest.mark.parametrize(
    "value", [None, "", "soon", "2026-01-01", "2026-01-01T00:00:00", 0, True, ["2026-01-01T00:00:00Z"]]
)
def test_an_end_that_cannot_be_read_is_no_permission(value: object) -> None:
    for member in ("revoked", "expires"):
        with pytest.raises(BadDIDDocument):
            document(method(**{member: value}))  # type: ignore[arg-type]  # never `name` nor `key`


@pytest.mark.req("TOK-13")
@pytest.mark.parametrize(
    "change",
    [
        {"publicKeyMultibase": multibase.encode_base58btc(b"\xed\x01\x01" + bytes(31))},
        {"publicKeyMultibase": multibase.encode_base64url(b"\xed\x01" + MINE.public.raw)},
        {"publicKeyMultibase": encode_x25519(to_x25519(MINE.public))},
        {"publicKeyMultibase": multibase.encode_base58btc(b"\x80\x24\x02" + b"\xff" * 32)},
        {"publicKeyMultibase": None},
        {"type": "Ed25519VerificationKey2018", "publicKeyMultibase": ..., "publicKeyBase58": "4" * 300},
        {"type": "Ed25519VerificationKey2018", "publicKeyMultibase": ..., "publicKeyBase58": "1" * 32},
        {"type": "Ed25519VerificationKey2018", "publicKeyMultibase": ..., "publicKeyBase58": [1]},
        {"publicKeyMultibase": [encode_multikey(MINE.public)]},
        {"type": "JsonWebKey", "publicKeyMultibase": ..., "publicKeyJwk": "x"},
        {"type": "JsonWebKey", "publicKeyMultibase": ..., "publicKeyJwk": {**public_jwk(P256.public), "crv": "P-384"}},
        {"type": "JsonWebKey", "publicKeyMultibase": ..., "publicKeyJwk": {**public_jwk(P256.public), "use": "enc"}},
        {"type": "JsonWebKey", "publicKeyMultibase": ..., "publicKeyJwk": {"kty": "RSA", "n": "AQ", "e": "AQAB"}},
    ],
)
def test_a_weak_or_foreign_key_is_left_out_and_the_others_stay(change: dict[str, Any]) -> None:
    found = document(method(**change), method("#good"), assertionMethod=[f"{WEB}#k", "#good"])
    assert key_in(found, f"{WEB}#good") == MINE.public
    with pytest.raises(WrongKey):
        key_in(found)


@pytest.mark.parametrize(
    "change",
    [
        {"verificationMethod": {}},
        {"verificationMethod": [1]},
        {"verificationMethod": ["#k"]},
        {"verificationMethod": [method(id=...)]},
        {"verificationMethod": [method(id=1)]},
        {"verificationMethod": [method(controller=...)]},
        {"verificationMethod": [method(controller=[WEB])]},
        {"assertionMethod": f"{WEB}#k"},
        {"assertionMethod": [1]},
        {"keyAgreement": {}},
        {"keyAgreement": [None]},
        {"verificationMethod": [method(f"#k{number}") for number in range(MAX_METHODS + 1)]},
        {"authentication": ["#k"] * (MAX_METHODS + 1)},
    ],
)
def test_a_document_of_another_shape_or_size_is_refused(change: dict[str, Any]) -> None:
    most = [method(), *(method(f"#k{number}") for number in range(MAX_METHODS - 1))]
    assert key_in(document(*most)) == MINE.public
    with pytest.raises(BadDIDDocument):
        document(**change)


# ---- identifiers that are their own key


@pytest.mark.req("VCX-12", "VCX-04")
def test_body_and_fragment_of_a_did_key_are_one_key() -> None:
    mine, other = did_key(MINE.public), did_key(OTHER.public)
    assert method_key(verification_method(mine), relationship="assertionMethod") == (mine, MINE.public)
    for name in (f"{mine}#{other.removeprefix('did:key:')}", f"{mine}#0", f"{mine}#keys-1", f"{mine}#"):
        with pytest.raises((WrongKey, BadDID)):
            method_key(name, relationship="assertionMethod")


def own_key(text: str | bytes) -> str:
    return "did:jwk:" + base64url.encode(text.encode() if isinstance(text, str) else text)


HONEST = json.dumps(public_jwk(MINE.public))


@pytest.mark.req("TOK-13", "TOK-05")
@pytest.mark.parametrize(
    "did",
    [
        "did:jwk:",
        own_key(HONEST) + "=",
        own_key(HONEST) + "A",
        own_key(HONEST)[:-1],
        own_key(HONEST).replace("did:jwk:", "did:jwk:z"),
        own_key(HONEST) + "\n",
        own_key("[]"),
        own_key("null"),
        own_key("{}"),
        own_key("{"),
        own_key(b"\xff"),
        own_key("\ufeff" + HONEST),
        own_key(HONEST.replace("{", '{"crv":"Ed25519",', 1)),  # a member twice
        own_key('{"use":"x"}'),
        own_key('{"use":"enc"}'),
        own_key('{"use":null}'),
        own_key('{"use":"enc","kty":"RSA","n":"AQ","e":"AQAB"}'),
        own_key('{"kty":"oct","k":"AA"}'),
        own_key('{"kty":"OKP","crv":"X25519","x":"' + "A" * 43 + '"}'),  # of small order
        own_key(json.dumps({**public_jwk(MINE.public), "use": "enc"})),  # Ed25519 agrees on nothing
        own_key(json.dumps({**public_jwk(MINE.public), "alg": "ES256"})),
        own_key(json.dumps({**public_jwk(P256.public), "y": public_jwk(P256.public)["x"]})),
        own_key(json.dumps({**public_jwk(P256.public), "crv": "secp256k1"})),
        own_key(json.dumps({**public_jwk(P256.public), "use": "enc", "x": "AQ"})),
        own_key(json.dumps(private_jwk(MINE))),
        own_key(json.dumps({**public_jwk(P256.public), "use": "enc", "d": "AQ"})),
        own_key(json.dumps({**public_jwk(MINE.public), "d": None})),
        own_key(json.dumps({**public_jwk(MINE.public), "note": "x" * 3_000})),
        own_key('{"a":' * 1_000),
    ],
)
def test_a_did_jwk_that_is_no_honest_key_is_no_did(did: str) -> None:
    assert did_jwk_document(own_key(HONEST)).methods[0].key == MINE.public
    with pytest.raises(BadDID):
        resolve(did)


@pytest.mark.req("VCX-04")
def test_a_did_jwk_has_one_method_of_one_name() -> None:
    did = own_key(HONEST)
    assert method_key(f"{did}#0", relationship="authentication") == (did, MINE.public)
    for fragment in ("1", "00", "%30", "key"):
        with pytest.raises(WrongKey):
            method_key(f"{did}#{fragment}", relationship="authentication")
