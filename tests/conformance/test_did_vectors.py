"""The official vectors of identifiers and keys: did:key, did:web by its sibling's tricks, multibase, ECDSA, JWK and X25519.

What is left out is named here with its reason; whatever the vectors call invalid is refused either way.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from did_agent.did.document import SIGNATURE_RELATIONSHIPS
from did_agent.did.key import did_key, expand_did_key, parse_did_key, verification_method
from did_agent.did.resolution import resolution_result
from did_agent.did.resolve import method_key
from did_agent.did.web import did_web_url
from did_agent.encoding import base64url, multibase
from did_agent.errors import BadDID, BadEncoding, BadKey, BadSignature, DidAgentError
from did_agent.keys import ecdsa
from did_agent.keys.ed25519 import SigningKey, to_x25519
from did_agent.keys.jwk import parse_private_jwk, parse_public_jwk, private_jwk, public_jwk, require_agreement_jwk
from did_agent.keys.multikey import encode_x25519, parse_x25519
from did_agent.keys.public import KeyKind
from did_agent.proof.jose import parse_compact, verify_signature

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared")) / "vectors"

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"no official vectors at {SHARED}; set DID_AGENT_SHARED to the folder that holds them"
)


def read(*parts: str) -> Any:
    return json.loads(SHARED.joinpath(*parts).read_text(encoding="utf-8"))


def base58(text: str) -> bytes:
    return multibase.decode("z" + text)


# ---- did:key


def test_every_file_of_did_key_vectors_is_looked_at() -> None:
    files = {path.stem for path in (SHARED / "did-key").glob("*.json")}
    assert files <= {"ed25519-x25519", "nist-curves", "x25519", "bls12381", "rsa", "secp256k1"}


def require_same_relationships(document: Any, expected: Any) -> None:
    """The vectors write methods in the types of 2018 to 2020; who may do what is the same."""
    assert document["id"] == expected["id"]
    assert [method["id"] for method in document["verificationMethod"]] == [
        method["id"] for method in expected["verificationMethod"]
    ]
    for relationship in (*SIGNATURE_RELATIONSHIPS, "keyAgreement"):
        assert document.get(relationship) == expected.get(relationship)


def test_ed25519_identifiers_their_documents_and_their_agreement_keys() -> None:
    vectors = read("did-key", "ed25519-x25519.json")
    assert len(vectors) >= 1
    for did, facts in vectors.items():
        key = SigningKey.from_seed(bytes.fromhex(facts["seed"])).public
        assert (did_key(key), parse_did_key(did)) == (did, key)
        assert base58(facts["verificationKeyPair"]["publicKeyBase58"]) == key.raw
        agreement = to_x25519(key)
        assert base58(facts["keyAgreementKeyPair"]["publicKeyBase58"]) == agreement
        assert facts["keyAgreementKeyPair"]["id"] == "#" + encode_x25519(agreement)
        require_same_relationships(expand_did_key(did, key_agreement=True), facts["didDocument"])
        resolved = resolution_result(did, options={"enableEncryptionKeyDerivation": True}).content
        assert resolved == expand_did_key(did, key_agreement=True)


def test_x25519_identifiers_agree_and_never_sign() -> None:
    documents = read("did-key", "x25519.json")["didDocument"]
    assert len(documents) >= 1
    for did, expected in documents.items():
        require_same_relationships(expand_did_key(did), expected)
        raw = parse_x25519(did.removeprefix("did:key:"))
        method = expected["verificationMethod"][0]
        assert raw == (
            base58(method["publicKeyBase58"])
            if "publicKeyBase58" in method
            else base64url.decode(method["publicKeyJwk"]["x"])
        )
        with pytest.raises(BadDID):
            method_key(verification_method(did), relationship="assertionMethod")


def test_nist_curve_identifiers_and_their_jwk() -> None:
    curves: Counter[str] = Counter()
    for did, facts in read("did-key", "nist-curves.json").items():
        method = facts["verificationMethod"]
        jwk = method.get("publicKeyJwk") or facts["didDocument"]["verificationMethod"][0]["publicKeyJwk"]
        curves[jwk["crv"]] += 1
        if jwk["crv"] == "P-521":  # left out: nothing signs with it here
            assert resolution_result(did).error == "unsupportedPublicKeyType"
            continue
        key = parse_public_jwk(jwk)
        assert (did_key(key), parse_did_key(did), public_jwk(key)) == (did, key, jwk)
        assert method_key(verification_method(did), relationship="authentication") == (did, key)
        written = resolution_result(did, options={"publicKeyFormat": "JsonWebKey2020"}).content
        assert written is not None
        assert written["verificationMethod"] == facts["didDocument"]["verificationMethod"]
        if "privateKeyJwk" in method:
            signing = parse_private_jwk(method["privateKeyJwk"])
            assert (did_key(signing.public), private_jwk(signing)["d"]) == (did, method["privateKeyJwk"]["d"])
    assert curves["P-256"] + curves["P-384"] >= 1


@pytest.mark.req("TOK-13", "VCX-12")
@pytest.mark.parametrize(
    ("file", "codes"),
    [
        ("secp256k1", {"unsupportedPublicKeyType"}),
        ("bls12381", {"unsupportedPublicKeyType"}),
        ("rsa", {"unsupportedPublicKeyType", "invalidDid"}),  # longer than a did:key may be
    ],
)
def test_identifiers_of_keys_that_sign_nothing_here_are_refused(file: str, codes: set[str]) -> None:
    vectors = read("did-key", f"{file}.json")
    assert {resolution_result(did).error for did in vectors} <= codes
    for did in vectors:
        with pytest.raises(BadDID):
            parse_did_key(did)


# ---- did:web, by the tricks collected for did:webvh


@pytest.mark.req("VCX-13", "NET-02")
def test_the_tricks_of_did_webvh_lead_nowhere() -> None:
    tricks = []
    for script in sorted((SHARED / "did-webvh").glob("negative-*/script.yaml")):
        text = script.read_text()
        tricks += re.findall(r'did: "did:webvh:[A-Za-z0-9]+:([^"]+)"\s+expectError', text)
        for domain in re.findall(r"^ +domain: ([a-z.]+)$", text, re.MULTILINE):
            assert did_web_url(f"did:web:{domain}") == f"https://{domain}/.well-known/did.json"
    assert len(tricks) >= 1
    for trick in tricks:
        with pytest.raises(BadDID):
            did_web_url(f"did:web:{trick}")


# ---- multibase


def test_multibase_reads_its_two_alphabets_and_no_other() -> None:
    read_as: Counter[str] = Counter()
    for name in sorted((SHARED / "multibase" / "tests").glob("*.csv")):
        (_, plain), *rows = csv.reader(name.read_text().splitlines(), skipinitialspace=True)
        expected = plain.encode().decode("unicode_escape").encode()
        for alphabet, text in rows:
            if alphabet in ("base58btc", "base64url"):
                assert multibase.decode(text) == expected
                encode = multibase.encode_base58btc if alphabet == "base58btc" else multibase.encode_base64url
                assert encode(expected) == text
            else:
                with pytest.raises(BadEncoding):
                    multibase.decode(text)
            read_as[alphabet] += 1
    assert read_as["base58btc"] >= 1
    assert read_as["base64url"] >= 1


def test_no_other_letter_of_the_multibase_table_is_read() -> None:
    rows = csv.DictReader((SHARED / "multibase" / "multibase.csv").read_text().splitlines(), skipinitialspace=True)
    others = [row["character"] for row in rows if row["encoding"].strip() not in ("base58btc", "base64url")]
    assert len(others) > 10
    for letter in others:
        with pytest.raises(BadEncoding):
            multibase.decode(letter + "2222")


# ---- Wycheproof


@pytest.mark.req("TOK-13")
@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("P-256", "ecdsa_secp256r1_sha256_p1363_test.json"),
        ("P-384", "ecdsa_secp384r1_sha384_p1363_test.json"),
    ],
)
def test_wycheproof_ecdsa(kind: KeyKind, file: str) -> None:
    verdicts: Counter[str] = Counter()
    for group in read("wycheproof", file)["testGroups"]:
        raw = bytes.fromhex(group["publicKey"]["uncompressed"])
        half = len(raw) // 2
        for case in group["tests"]:
            try:
                key = ecdsa.PublicKey.from_point(kind, raw[1 : half + 1], raw[half + 1 :])
                assert ecdsa.PublicKey.from_bytes(kind, key.raw).point == key.point
                key.verify(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
                verdict = "valid"
            except (BadKey, BadSignature):
                verdict = "invalid"
            assert verdict == case["result"], case["comment"]
            verdicts[verdict] += 1
    assert min(verdicts["valid"], verdicts["invalid"]) > 20


@pytest.mark.req("TOK-01", "TOK-13")
def test_wycheproof_json_web_keys() -> None:
    """Left out: its valid cases are of RSA and HMAC, which are not offered; they are refused."""
    refused = 0
    for group in read("wycheproof", "json_web_key_test.json")["testGroups"]:
        keys = group.get("public", group["private"])["keys"]
        for case in group["tests"]:
            with pytest.raises(DidAgentError):
                verify_signature(parse_compact(case["jws"]), parse_public_jwk(keys[0]))
            assert case["result"] == "invalid" or keys[0]["kty"] in ("RSA", "oct")
            refused += 1
    assert refused >= 5


@pytest.mark.req("TOK-01", "TOK-02", "TOK-05")
def test_wycheproof_json_web_signatures() -> None:
    """Left out: RSA, HMAC and P-521, which are not offered; all of their cases are refused, the valid ones too."""
    verdicts: Counter[tuple[bool, str]] = Counter()
    for group in read("wycheproof", "json_web_signature_test.json")["testGroups"]:
        jwk = group.get("public", group["private"])
        offered = (jwk["kty"], jwk.get("crv")) in (("EC", "P-256"), ("EC", "P-384"))
        for case in group["tests"]:
            try:
                verify_signature(parse_compact(case["jws"]), parse_public_jwk(jwk))
                verdict = "valid"
            except DidAgentError:
                verdict = "invalid"
            assert verdict == (case["result"] if offered else "invalid"), case["comment"]
            verdicts[offered, verdict] += 1
    assert verdicts[True, "valid"] >= 1
    assert verdicts[True, "invalid"] >= 10
    assert verdicts[False, "invalid"] >= 100


@pytest.mark.req("TOK-13")
def test_wycheproof_x25519_keys() -> None:
    """No secret is agreed on here, so the vectors are used for their public keys: small order and second spellings."""
    verdicts: Counter[str] = Counter()
    for group in read("wycheproof", "x25519_jwk_test.json")["testGroups"]:
        for case in group["tests"]:
            bad = {"LowOrderPublic", "NonCanonicalPublic", "InvalidPublic"} & set(case["flags"])
            try:
                require_agreement_jwk(case["public"])
                verdict = (
                    "taken" if case["public"]["crv"] == "X25519" else "refused"
                )  # else a good key of its own curve
            except BadKey:
                verdict = "refused"
            assert verdict == ("refused" if bad else "taken"), case["comment"]
            assert verdict == "taken" or case["result"] != "valid"
            verdicts[verdict] += 1
    assert min(verdicts["taken"], verdicts["refused"]) > 10
