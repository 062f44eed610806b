"""What a DID resolver answers: documents, methods, and every error in both spellings."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did_agent.did.document import SIGNATURE_RELATIONSHIPS, parse_did_document
from did_agent.did.jwk import did_jwk
from did_agent.did.key import did_key, verification_method
from did_agent.did.resolution import NAMESPACE, PROBLEMS, ErrorCode, ResolutionResult, resolution_result
from did_agent.did.resolve import resolve
from did_agent.encoding import base64url, multibase
from did_agent.errors import BadDIDDocument
from did_agent.keys import ecdsa
from did_agent.keys.ed25519 import SigningKey, to_x25519
from did_agent.keys.jwk import public_jwk
from did_agent.keys.multikey import encode_multikey, encode_x25519

KEY = SigningKey.from_seed(b"1" * 32).public
P256 = ecdsa.SigningKey("P-256", b"1" * 32).public
DID, TEXT = did_key(KEY), encode_multikey(KEY)
METHOD = verification_method(DID)
AGREEMENT = encode_x25519(to_x25519(KEY))
WEB = "did:web:example.com"


def content(result: ResolutionResult) -> Any:
    assert (result.error, result.http_status) == (None, 200)
    return result.content


def text_of(raw: str) -> str:
    return "did:key:" + multibase.encode_base58btc(bytes.fromhex(raw))


def web_document(**changes: Any) -> Any:
    method = {"id": "#k", "type": "Multikey", "controller": WEB, "publicKeyMultibase": TEXT}
    service = {"id": f"{WEB}#s", "type": "LinkedDomains", "serviceEndpoint": "https://example.com"}
    source = {"id": WEB, "verificationMethod": [method], "assertionMethod": ["#k"], "service": [service], **changes}
    return {WEB: parse_did_document(source, expected_id=WEB)}


def test_a_did_key_resolves_to_its_document() -> None:
    result = resolution_result(DID)
    document = content(result)
    assert document["@context"] == ["https://www.w3.org/ns/did/v1.1"]
    assert document["verificationMethod"] == [
        {"id": METHOD, "type": "Multikey", "controller": DID, "publicKeyMultibase": TEXT}
    ]
    assert all(document[name] == [METHOD] for name in SIGNATURE_RELATIONSHIPS)
    assert "keyAgreement" not in document
    assert result.legacy() == {
        "@context": "https://w3id.org/did-resolution/v1",
        "didDocument": document,
        "didResolutionMetadata": {"contentType": "application/did"},
        "didDocumentMetadata": {},
    }
    assert result.resolution() == result.legacy()
    assert result.problem() is None


def test_a_did_url_resolves_to_its_method() -> None:
    result = resolution_result(METHOD)
    assert content(result) == {"id": METHOD, "type": "Multikey", "controller": DID, "publicKeyMultibase": TEXT}
    assert result.legacy()["didDereferencingMetadata"] == {"contentType": "application/json"}
    assert "didResolutionMetadata" not in result.legacy()
    assert result.dereferencing() == {
        "contentStream": result.content,
        "dereferencingMetadata": {"contentType": "application/json"},
        "contentMetadata": {},
    }


@pytest.mark.parametrize("flag", [True, "true"])
def test_an_agreement_key_is_derived_when_asked_for(flag: object) -> None:
    options = {"enableEncryptionKeyDerivation": flag}
    assert content(resolution_result(DID, options=options))["keyAgreement"] == [f"{DID}#{AGREEMENT}"]
    assert content(resolution_result(f"{DID}#{AGREEMENT}", options=options))["publicKeyMultibase"] == AGREEMENT
    assert resolution_result(f"{DID}#{AGREEMENT}").error == "notFound"


def test_a_did_key_of_an_agreement_key_only_agrees() -> None:
    document = content(resolution_result(f"did:key:{AGREEMENT}"))
    assert sorted(document) == ["@context", "id", "keyAgreement", "verificationMethod"]


@pytest.mark.parametrize("name", ["JsonWebKey", "JsonWebKey2020"])
def test_keys_are_written_as_jwk_when_asked_for(name: str) -> None:
    options = {"publicKeyFormat": name, "enableEncryptionKeyDerivation": True}
    methods = content(resolution_result(DID, options=options))["verificationMethod"]
    assert [method["type"] for method in methods] == [name, name]
    assert methods[0]["publicKeyJwk"] == public_jwk(KEY)
    assert methods[1]["publicKeyJwk"] == {"kty": "OKP", "crv": "X25519", "x": base64url.encode(to_x25519(KEY))}
    assert not any("publicKeyMultibase" in method for method in methods)


def test_the_suites_of_2020_bring_their_contexts() -> None:
    options = {"publicKeyFormat": "Ed25519VerificationKey2020", "enableEncryptionKeyDerivation": True}
    document = content(resolution_result(DID, options=options))
    types = [method["type"] for method in document["verificationMethod"]]
    assert types == ["Ed25519VerificationKey2020", "X25519KeyAgreementKey2020"]
    assert document["@context"][1:] == [
        "https://w3id.org/security/suites/ed25519-2020/v1",
        "https://w3id.org/security/suites/x25519-2020/v1",
    ]
    # What was written is what signatures are checked with.
    found = parse_did_document(document, expected_id=DID).method_for(METHOD, relationship="authentication")
    assert found == KEY


@pytest.mark.parametrize(
    ("did", "name"),
    [
        (did_key(P256), "Ed25519VerificationKey2020"),
        (f"did:key:{AGREEMENT}", "Ed25519VerificationKey2020"),
        (DID, "X25519KeyAgreementKey2020"),
        (DID, "Ed25519VerificationKey2018"),
        (METHOD, "Ed25519VerificationKey2018"),
        (f"{DID}#{AGREEMENT}", "Ed25519VerificationKey2018"),
    ],
)
def test_a_key_is_not_written_in_a_format_that_is_not_its_own(did: str, name: str) -> None:
    options = {"publicKeyFormat": name, "enableExperimentalPublicKeyTypes": "false"}
    assert resolution_result(did, options=options).error == "invalidPublicKeyType"
    agreement = resolution_result(f"did:key:{AGREEMENT}", options={"publicKeyFormat": "X25519KeyAgreementKey2020"})
    assert content(agreement)["verificationMethod"][0]["type"] == "X25519KeyAgreementKey2020"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"publicKeyFormat": "unknown"}, "unsupportedPublicKeyType"),
        ({"publicKeyFormat": ""}, "unsupportedPublicKeyType"),
        (
            {"publicKeyFormat": "Ed25519VerificationKey2018", "enableExperimentalPublicKeyTypes": True},
            "unsupportedPublicKeyType",
        ),
        ({"publicKeyFormat": ["Multikey"]}, "invalidOptions"),
        ({"publicKeyFormat": None}, "invalidOptions"),
        ({"enableEncryptionKeyDerivation": "yes"}, "invalidOptions"),
        ({"enableEncryptionKeyDerivation": 1}, "invalidOptions"),
        ({"enableExperimentalPublicKeyTypes": []}, "invalidOptions"),
        ({"versionTime": "2020-01-01T00:00:00Z"}, "featureNotSupported"),
        ({"versionId": "1"}, "featureNotSupported"),
    ],
)
def test_options_are_taken_at_their_word_or_refused(options: dict[str, object], code: ErrorCode) -> None:
    for did in (DID, did_jwk(KEY)):
        assert resolution_result(did, options=options).error == code
        assert resolution_result(did, options={"unknownOption": "x"}).error is None


@pytest.mark.req("VCX-12")
@pytest.mark.parametrize(
    ("did", "code"),
    [
        (None, "invalidDid"),
        (1, "invalidDid"),
        ("", "invalidDid"),
        ("did:key:@", "invalidDid"),
        (f"notDid:key:{TEXT}", "invalidDid"),
        (f"did:key:-4:{TEXT}", "invalidDid"),
        (f"did:key:0:{TEXT}", "invalidDid"),
        (f"did:key:1:{TEXT}", "invalidDid"),
        (f"did:key:1.1:{TEXT}", "invalidDid"),
        (f"did:key:{TEXT[1:]}", "invalidDid"),
        (f"did:key:z1{TEXT[1:]}", "unsupportedPublicKeyType"),
        ("did:key:" + multibase.encode_base64url(b"\xed\x01" + KEY.raw), "invalidDid"),
        ("did:key:z" + "2" * 300, "invalidDid"),
        ("did:" + "x" * 3_000, "invalidDid"),
        (f"did:experimental:{TEXT}", "methodNotSupported"),
        ("did:webvh:Qm:example.com", "methodNotSupported"),
        ("did:key:zTjsVPtY", "invalidPublicKeyLength"),
        (text_of("8024" + "02" * 32), "invalidPublicKeyLength"),
        (text_of("ec01" + "09" * 31), "invalidPublicKeyLength"),
        (text_of("8024" + "02" + "ff" * 32), "invalidPublicKey"),
        (text_of("ed01" + "01" + "00" * 31), "invalidPublicKey"),
        (text_of("ec01" + "00" * 32), "invalidPublicKey"),
        (text_of("e701" + "02" * 33), "unsupportedPublicKeyType"),
        ("did:jwk:e30", "invalidDid"),
        ("did:web:127.0.0.1", "invalidDid"),
        ("did:web:example.com:..:admin", "invalidDid"),
        (WEB, "notFound"),
    ],
)
def test_what_is_no_did_has_no_document(did: object, code: ErrorCode) -> None:
    result = resolution_result(did)
    assert (result.error, result.content) == (code, None)
    assert result.legacy()["didDocument"] == {}
    assert result.legacy()["didResolutionMetadata"] == {"error": code}
    assert result.http_status == PROBLEMS[code][1] >= 400


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (f"{DID}/^bar^/?query=`#{TEXT}", "invalidDidUrl"),
        (f"{DID}#a#b", "invalidDidUrl"),
        (f"{DID}#", "invalidDidUrl"),
        (f"{DID}#%zz", "invalidDidUrl"),
        (f"{DID}#x\n", "invalidDidUrl"),
        ("#x", "invalidDidUrl"),
        ("did:key#x", "invalidDidUrl"),
        (f"notDid:key:{TEXT}#{TEXT}", "invalidDidUrl"),
        (DID + "#" + "x" * 5_000, "invalidDidUrl"),
        (f"{DID}/path#{TEXT}", "featureNotSupported"),
        (f"{DID}?versionId=1#{TEXT}", "featureNotSupported"),
        (f"{DID}?service=x&relativeRef=//evil.example", "featureNotSupported"),
        (f"{DID}#keys-1", "notFound"),
        (f"did:example:1#{TEXT}", "methodNotSupported"),
        ("did:key:zTjsVPtY#zTjsVPtY", "invalidPublicKeyLength"),
    ],
)
def test_what_is_no_did_url_names_nothing(url: str, code: ErrorCode) -> None:
    result = resolution_result(url)
    assert (result.error, result.content) == (code, None)
    assert result.legacy()["didDereferencingMetadata"] == {"error": code}
    assert result.dereferencing()["dereferencingMetadata"] == {"error": result.problem()}


def test_a_did_web_resolves_from_what_was_brought() -> None:
    documents = web_document()
    assert content(resolution_result(WEB, documents=documents)) == documents[WEB].source
    method = content(resolution_result(f"{WEB}#k", documents=documents))
    assert (method["id"], method["controller"]) == (f"{WEB}#k", WEB)
    assert content(resolution_result(f"{WEB}#s", documents=documents))["type"] == "LinkedDomains"
    assert resolution_result(f"{WEB}#x", documents=documents).error == "notFound"
    # Somebody else's document under this name is none.
    assert resolution_result(WEB, documents={WEB: resolve(DID)}).error == "notFound"


def test_a_fragment_of_two_things_names_neither() -> None:
    documents = web_document(service=[{"id": "#k", "type": "x", "serviceEndpoint": "https://example.com"}])
    result = resolution_result(f"{WEB}#k", documents=documents)
    assert (result.error, result.http_status) == ("invalidDidDocument", 500)


def test_members_of_strange_types_name_nothing() -> None:
    documents = web_document(service={"id": "#s"}, keyAgreement=["#k"], alsoKnownAs=[1])
    assert resolution_result(f"{WEB}#s", documents=documents).error == "notFound"


def test_an_answer_is_a_copy() -> None:
    did = did_jwk(KEY)
    content(resolution_result(did))["authentication"].clear()
    assert content(resolution_result(did))["authentication"] == [f"{did}#0"]


def test_every_error_has_its_object_and_its_status() -> None:
    assert set(PROBLEMS) == set(get_args(ErrorCode))
    statuses = {code: ResolutionResult(content=None, is_url=False, error=code).http_status for code in PROBLEMS}
    expected = {
        "invalidDid": 400, "invalidDidUrl": 400, "invalidOptions": 400, "notFound": 404, "invalidDidDocument": 500,
        "methodNotSupported": 501, "featureNotSupported": 501, "internalError": 500,
    }  # fmt: skip
    assert {code: statuses[code] for code in expected} == expected  # type: ignore[index]  # the codes of the standard
    problem = ResolutionResult(content=None, is_url=False, error="methodNotSupported").resolution()
    assert problem["didDocument"] is None
    assert problem["didResolutionMetadata"] == {
        "error": {
            "type": f"{NAMESPACE}METHOD_NOT_SUPPORTED",
            "title": "The DID method is not supported.",
            "status": 501,
        }
    }
    json.dumps(problem)


def test_a_deactivated_did_is_gone() -> None:
    gone = ResolutionResult(content={}, is_url=False, document_metadata={"deactivated": True})
    assert gone.http_status == 410


PIECES = (
    "did:",
    "key:",
    "jwk:",
    "web:",
    TEXT,
    AGREEMENT,
    "example.com",
    "#",
    "?",
    "/",
    "%3A",
    "%",
    ":",
    "z",
    "\n",
    "é",
)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.sampled_from((WEB, "#k", TEXT, "Multikey", "JsonWebKey", "sig"))
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ("id", "type", "controller", "publicKeyMultibase", "publicKeyJwk", "kty", "crv", "x", "revoked")
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.dictionaries(st.text(max_size=5), JSON, max_size=2)
)
def test_no_question_is_a_crash(question: str, options: dict[str, Any]) -> None:
    result = resolution_result(question, options=options)
    assert (result.content is None) == (result.error is not None)
    json.dumps([result.legacy(), result.resolution(), result.dereferencing()])


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(("verificationMethod", "assertionMethod", "keyAgreement")), JSON | st.lists(JSON))
)
def test_no_document_is_a_crash(members: dict[str, Any]) -> None:
    try:
        parsed = parse_did_document({"id": WEB, **members}, expected_id=WEB)
    except BadDIDDocument:
        return
    for name in (f"{WEB}#k", WEB):
        assert resolution_result(name, documents={WEB: parsed}).http_status in (200, 404, 500)
