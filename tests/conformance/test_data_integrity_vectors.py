"""The official vectors of VC Data Integrity: every intermediate value of the hash-and-sign suites, sets and chains.

Left out: Ed25519Signature2020 (a legacy suite that is not offered), SM2 and BBS.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.jsonld import canonical_nquads
from did_agent.errors import BadProof, DidAgentError
from did_agent.keys.multikey import encode_multikey, parse_secret_multikey
from did_agent.proof.cryptosuite import HASH_AND_SIGN
from did_agent.proof.data_integrity import add_proof, extend_proofs, verify_proof, verify_proof_set

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared")) / "vectors"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"no official vectors at {SHARED}; set DID_AGENT_SHARED to the folder that holds them"
)

# Folder of a set, the ending of its file names, and the key file with the name of its secret.
SETS = [
    ("vc-di-eddsa/eddsa-jcs-2022", "JCS", "vc-di-eddsa/keyPair.json"),
    ("vc-di-eddsa/eddsa-rdfc-2022", "DataInt", "vc-di-eddsa/keyPair.json"),
    ("vc-di-eddsa/eddsa-rdfc-2022/employ", "DataInt", "vc-di-eddsa/keyPair.json"),
    ("vc-di-ecdsa/ecdsa-rdfc-2019-p256", "ECDSAP256", "vc-di-ecdsa/p256KeyPair.json"),
    ("vc-di-ecdsa/ecdsa-jcs-2019-p256", "JCSECDSAP256", "vc-di-ecdsa/p256KeyPair.json"),
    ("vc-di-ecdsa/ecdsa-jcs-2019-p384", "JCSECDSAP384", "vc-di-ecdsa/p384KeyPair.json"),
    ("vc-di-ecdsa/ecdsa-rdfc-2019-p384/employ", "ECDSAP384", "vc-di-ecdsa/p384KeyPair.json"),
]


def text(folder: str, name: str) -> str:
    return (SHARED / folder / name).read_text("utf-8")


def signed(folder: str, ending: str) -> Any:
    return json.loads(text(folder, f"signed{ending}.json"))


@pytest.mark.parametrize(("folder", "ending", "keys"), SETS, ids=str)
def test_every_intermediate_value_is_reproduced(folder: str, ending: str, keys: str) -> None:
    secured = signed(folder, ending)
    document = {name: value for name, value in secured.items() if name != "proof"}
    options = {name: value for name, value in secured["proof"].items() if name != "proofValue"}
    pair = json.loads((SHARED / keys).read_text())
    key = parse_secret_multikey(pair.get("privateKeyMultibase") or pair["secretKeyMultibase"])
    assert encode_multikey(key.public) == pair["publicKeyMultibase"]
    digest = "sha384" if key.public.kind == "P-384" else "sha256"
    if "-jcs-" in options["cryptosuite"]:
        canonical = [canonicalize(options).decode(), canonicalize(document).decode()]
    else:
        under = {**options, "@context": document["@context"]}
        canonical = [canonical_nquads(part, digest).decode() for part in (under, document)]
    assert canonical[0].strip() == text(folder, f"proofCanon{ending}.txt").strip()
    assert canonical[1].strip() == text(folder, f"canonDoc{ending}.txt").strip()
    suite = HASH_AND_SIGN[options["cryptosuite"]]
    hashed = suite.hash_data(document, secured["proof"], key.public.kind)
    assert hashed.hex() == text(folder, f"combinedHash{ending}.txt").strip()
    verified = verify_proof(secured, expected_purpose="assertionMethod", now=NOW)
    assert verified.controller == f"did:key:{pair['publicKeyMultibase']}"
    if key.public.kind == "Ed25519":  # ECDSA signatures may differ and be right
        assert suite.sign(document, options, key) == text(folder, f"sigBTC58{ending}.txt").strip()


@pytest.mark.parametrize(("folder", "ending", "keys"), SETS, ids=str)
def test_a_changed_vector_is_refused(folder: str, ending: str, keys: str) -> None:
    for change in ({"validFrom": "2024-01-01T00:00:00Z"}, {"id": "urn:uuid:other"}, {"name": "Somebody"}):
        with pytest.raises(DidAgentError):
            verify_proof({**signed(folder, ending), **change}, expected_purpose="assertionMethod", now=NOW)


@pytest.mark.parametrize(("folder", "ending", "keys"), SETS, ids=str)
def test_what_we_sign_with_the_vector_keys_verifies(folder: str, ending: str, keys: str) -> None:
    secured = signed(folder, ending)
    document = {name: value for name, value in secured.items() if name != "proof"}
    pair = json.loads((SHARED / keys).read_text())
    key = parse_secret_multikey(pair.get("privateKeyMultibase") or pair["secretKeyMultibase"])
    ours = add_proof(
        document,
        key,
        purpose="assertionMethod",
        created=NOW,
        verification_method=secured["proof"]["verificationMethod"],
        cryptosuite=secured["proof"]["cryptosuite"],
    )
    assert verify_proof(ours, expected_purpose="assertionMethod", now=NOW).document == document


# ---- sets and chains


def chain_files() -> list[Path]:
    return sorted((SHARED / "vc-data-integrity-proof-chains").glob("*.json"))


@pytest.mark.req("VCX-06")
@pytest.mark.parametrize("file", chain_files(), ids=lambda file: file.stem)
def test_proof_chain_vector(file: Path) -> None:
    secured = json.loads(file.read_text("utf-8"))
    if "Ok" in file.stem:
        verified = verify_proof_set(secured, expected_purpose="assertionMethod", now=NOW)
        assert len(verified) == len(secured["proof"])
        assert secured["issuer"] in {one.controller for one in verified}
    else:
        with pytest.raises(BadProof):
            verify_proof_set(secured, expected_purpose="assertionMethod", now=NOW)


@pytest.mark.req("VCX-06")
@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
def test_a_set_and_a_chain_of_four_keys(suite: str) -> None:
    folder = SHARED / "vc-di-eddsa" / "proof-set-chain"
    document = json.loads((folder / "unsigned.json").read_text())
    pairs = json.loads((folder / "multiKeyPairs.json").read_text())
    secured: dict[str, Any] = document
    names: list[str] = []
    for number, pair in enumerate(pairs.values()):
        key = parse_secret_multikey(pair["privateKeyMultibase"])
        multikey = encode_multikey(key.public)
        secured = extend_proofs(
            secured,
            key,
            purpose="assertionMethod",
            created=NOW,
            verification_method=f"did:key:{multikey}#{multikey}",
            cryptosuite=suite,
            id=f"urn:uuid:0000000{number}-0000-4000-8000-000000000000",
            previous=names[-2:] if number > 1 else [],  # two side by side, then two upon those
        )
        names.append(f"urn:uuid:0000000{number}-0000-4000-8000-000000000000")
    verified = verify_proof_set(secured, expected_purpose="assertionMethod", now=NOW)
    assert [one.controller for one in verified] == [f"did:key:{pair['publicKeyMultibase']}" for pair in pairs.values()]
    assert all(one.document == document for one in verified)
    # A proof that the chain signs may not be changed, dropped or swapped for another by the same key.
    for spoil in (
        lambda proofs: proofs[1:],
        lambda proofs: [{**proofs[0], "created": "2020-01-01T00:00:00Z"}, *proofs[1:]],
        lambda proofs: [*proofs[:2], {**proofs[2], "previousProof": names[:1]}, proofs[3]],
        lambda proofs: [*proofs[:2], {**proofs[2], "previousProof": [names[3], names[2]]}, proofs[3]],
        lambda proofs: [*proofs[:3], {**proofs[3], "id": names[0]}],
    ):
        with pytest.raises(DidAgentError):
            verify_proof_set({**secured, "proof": spoil(secured["proof"])}, expected_purpose="assertionMethod", now=NOW)
