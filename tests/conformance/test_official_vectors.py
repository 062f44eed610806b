"""The official vectors of what this release implements: eddsa-jcs-2022, JCS, did:key and Ed25519."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from did_agent.did.key import did_key, parse_did_key
from did_agent.encoding.digest import sha256
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_json
from did_agent.errors import BadKey, BadSignature, DidAgentError
from did_agent.keys.ed25519 import PublicKey, SigningKey
from did_agent.proof.data_integrity import verify_proof

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared")) / "vectors"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"no official vectors at {SHARED}; set DID_AGENT_SHARED to the folder that holds them"
)


def read(*parts: str) -> Any:
    return json.loads(SHARED.joinpath(*parts).read_text(encoding="utf-8"))


def test_the_eddsa_jcs_2022_vector_verifies_and_no_changed_byte_does() -> None:
    signed = read("vc-di-eddsa", "eddsa-jcs-2022", "signedJCS.json")
    verified = verify_proof(signed, expected_purpose="assertionMethod", now=NOW)
    assert verified.controller == read("vc-di-eddsa", "keyPair.json")["publicKeyMultibase"].join(("did:key:", ""))
    changed = {**signed, "validFrom": "2024-01-01T00:00:00Z"}
    with pytest.raises(BadSignature):
        verify_proof(changed, expected_purpose="assertionMethod", now=NOW)


def test_every_intermediate_value_of_eddsa_jcs_2022_is_reproduced() -> None:
    folder = SHARED / "vc-di-eddsa" / "eddsa-jcs-2022"
    signed = read("vc-di-eddsa", "eddsa-jcs-2022", "signedJCS.json")
    document = {name: value for name, value in signed.items() if name != "proof"}
    config = {name: value for name, value in signed["proof"].items() if name != "proofValue"}
    assert canonicalize(document).decode() == (folder / "canonDocJCS.txt").read_text().strip()
    assert canonicalize(config).decode() == (folder / "proofCanonJCS.txt").read_text().strip()
    hashed = sha256(canonicalize(config)) + sha256(canonicalize(document))
    assert hashed.hex() == (folder / "combinedHashJCS.txt").read_text().strip()
    assert signed["proof"]["proofValue"] == (folder / "sigBTC58JCS.txt").read_text().strip()


@pytest.mark.parametrize("name", ["arrays", "french", "structures", "weird"])
def test_jcs_files(name: str) -> None:
    source = (SHARED / "jcs" / "input" / f"{name}.json").read_bytes()
    expected = (SHARED / "jcs" / "output" / f"{name}.json").read_bytes().rstrip(b"\n")
    assert canonicalize(parse_json(source)) == expected


def test_jcs_numbers() -> None:
    import struct

    checked = 0
    for line in (SHARED / "jcs" / "es6-numbers.txt").read_text().splitlines():
        bits, expected = line.split(",")
        (number,) = struct.unpack(">d", bytes.fromhex(bits.rjust(16, "0")))
        assert canonicalize(number).decode() == expected
        checked += 1
    assert checked > 1_000


def test_did_key_identifiers_come_from_their_seeds() -> None:
    vectors = read("did-key", "ed25519-x25519.json")
    assert len(vectors) >= 1
    for identifier, facts in vectors.items():
        key = SigningKey.from_seed(bytes.fromhex(facts["seed"]))
        assert did_key(key.public) == identifier
        assert parse_did_key(identifier) == key.public


@pytest.mark.req("TOK-13", "VCX-12")
@pytest.mark.parametrize("file", ["bls12381", "rsa", "secp256k1", "x25519"])
def test_did_key_of_other_key_types_is_refused(file: str) -> None:
    vectors = read("did-key", f"{file}.json")
    for identifier in vectors.get("didDocument", vectors):
        with pytest.raises(DidAgentError):
            parse_did_key(identifier)


@pytest.mark.req("TOK-13", "VCX-12")
def test_did_key_of_the_nist_curves_is_taken_but_for_p_521() -> None:
    kinds = {"zDn": "P-256", "z82": "P-384"}
    for identifier in read("did-key", "nist-curves.json"):
        kind = kinds.get(identifier.removeprefix("did:key:")[:3])
        if kind is None:
            with pytest.raises(DidAgentError):
                parse_did_key(identifier)
        else:
            key = parse_did_key(identifier)
            assert (key.kind, did_key(key)) == (kind, identifier)


@pytest.mark.req("TOK-13")
def test_wycheproof_ed25519() -> None:
    verdicts = {"valid": 0, "invalid": 0}
    for group in read("wycheproof", "ed25519_test.json")["testGroups"]:
        raw = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            try:
                PublicKey.from_bytes(raw).verify(message, signature)
                verdict = "valid"
            except (BadKey, BadSignature):
                verdict = "invalid"
            assert verdict == case["result"], case["comment"]
            verdicts[verdict] += 1
    assert min(verdicts.values()) > 20
