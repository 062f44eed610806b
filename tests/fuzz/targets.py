"""What a stranger may send, one function per kind: our own refusals end quietly, everything else leaves the function.

A target takes bytes.  Where a signature would end every attempt at once, the target signs what it was given with an
honest key, so that what lies behind the signature is reached too.
"""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar, Final

from did_agent.credential import bitstring, token_status, verification
from did_agent.credential.chain import verify_chain
from did_agent.credential.constraint import is_satisfied, parse_constraint, subsumes
from did_agent.credential.model import parse_capability_credential, parse_identity_credential
from did_agent.credential.moment import parse_moment
from did_agent.credential.sd_jwt_vc import verify_sd_jwt_vc
from did_agent.credential.status import parse_status_entries, verify_status_list
from did_agent.did import resolve as did_resolve
from did_agent.did.document import RELATIONSHIPS, SIGNATURE_RELATIONSHIPS, parse_did_document, split_method_id
from did_agent.did.key import did_key, verification_method
from did_agent.did.resolution import resolution_result
from did_agent.did.resolve import method_key, needs_fetching, resolve
from did_agent.did.web import did_web_url
from did_agent.encoding import base64url, cbor, jcs, multibase, rdf
from did_agent.encoding.jsonld import canonical, compiled
from did_agent.encoding.jsonld.active import UnsupportedError
from did_agent.encoding.rdfc import canonicalize as canonical_dataset
from did_agent.encoding.strict_json import parse_json, parse_object
from did_agent.encoding.timestamp import from_numeric_date, parse_timestamp
from did_agent.errors import DidAgentError
from did_agent.keys import jwk, multikey
from did_agent.keys.public import SigningKey
from did_agent.presentation.verification import ExpectedPresentation, prove
from did_agent.presentation.verify import ask
from did_agent.proof.cryptosuite import CRYPTOSUITES, find_suite
from did_agent.proof.data_integrity import add_proof, proof_methods, verify_proof, verify_proof_set
from did_agent.proof.jose import parse_compact
from did_agent.proof.jwt import JWTProfile, verify_jwt
from did_agent.proof.sd_jwt import disclosable_places, select_disclosures
from did_agent.proof.selective import derive
from did_agent.proof.selective_value import parse_base_value, parse_derived_value
from did_agent.proof.vc_jose import verify_secured
from did_agent.proof.vc_jwt import verify_vc_jwt
from tests.fakes import sd_jwts
from tests.fakes.credentials import (
    ALICE_DID,
    AUDIENCE,
    BOB,
    BOB_DID,
    ISSUER,
    ISSUER_DID,
    REVOCATION_URL,
    TRUSTED,
    expected,
)
from tests.fakes.presentations import CHALLENGE, JTI

Target = Callable[[bytes], None]

MAX_SECONDS: Final = 0.25  # of processor time for any one input
NOW: Final = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DID_WEB: Final = "did:web:agents.example:a"
P256: Final = multikey.signing_key("P-256", b"\x07" * 32)
P384: Final = multikey.signing_key("P-384", b"\x07" * 48)
SUITES: Final = tuple(sorted(CRYPTOSUITES))
VERIFY_ONE: Final = partial(verify_proof, suites=SUITES)
PROFILE: Final = JWTProfile(
    name="test", types=frozenset({"at+jwt"}), required=frozenset({"exp", "jti"}), max_lifetime=600
)


class TooSlow(Exception):
    """An input cost more processor time than any input may."""


class _Refusals:
    """A block that our own refusals end quietly; its time, without that of blocks inside it, counts when `measured`.

    A target asks several readers about one input: each of them may take MAX_SECONDS.
    """

    slowest = 0.0
    open: ClassVar[list[list[float]]] = []

    def __init__(self, *, measured: bool) -> None:
        self.measured = measured

    def __enter__(self) -> None:
        self.open.append([time.process_time(), 0.0])

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> bool:
        begun, inside = self.open.pop()
        whole = time.process_time() - begun
        if self.open:
            self.open[-1][1] += whole
        if self.measured:
            _Refusals.slowest = max(_Refusals.slowest, whole - inside)
        return kind is not None and issubclass(kind, DidAgentError)


refusals: Final = _Refusals(measured=True)
unmeasured: Final = _Refusals(measured=False)  # references, and what only our own side does


def timed(name: str, raw: bytes) -> float:
    """Run a target on one input and return the seconds of its slowest reader, at best of three where that matters.

    Raises: TooSlow, and whatever left the target.
    """
    best = _run(name, raw)
    for _ in range(2):
        if best <= MAX_SECONDS:
            return best
        best = min(best, _run(name, raw))
    if best > MAX_SECONDS:
        raise TooSlow(f"{name}: {best * 1000:.0f} ms for {len(raw)} bytes")
    return best


def _run(name: str, raw: bytes) -> float:
    did_resolve._self_contained.cache_clear()  # a stranger's first visit is never cached
    _Refusals.slowest = 0.0
    _Refusals.open.clear()
    TARGETS[name](raw)
    return _Refusals.slowest


# ---- texts and values


def strict_json(raw: bytes) -> None:
    with refusals:
        value = parse_json(raw)
        with refusals:
            assert jcs.equal(value, json.loads(raw.decode())), "another value than any reader's"
    with refusals:
        text = raw.decode(errors="replace")
        value = parse_json(text, max_depth=4)
        with refusals:
            assert jcs.equal(value, json.loads(text)), "another value than any reader's"


def canonical_json(raw: bytes) -> None:
    with refusals:
        value = parse_json(raw)
        reference = fast = None
        with unmeasured:
            reference = jcs.reference(value)
        with refusals:
            fast = jcs.canonicalize(value)
        assert fast == reference, "the two canonicalisers disagree"


def multibase_text(raw: bytes) -> None:
    text = _text(raw)
    with refusals:
        decoded = multibase.decode(text, max_chars=2_000)
        encode = multibase.encode_base58btc if text[0] == "z" else multibase.encode_base64url
        assert encode(decoded) == text, "two texts for the same bytes"
    with refusals:
        assert base64url.encode(base64url.decode(text)) == text


def cbor_item(raw: bytes) -> None:
    with refusals:
        assert cbor.encode(cbor.decode(raw)) == raw
    for head in (b"\xd9\x5d\x00", b"\xd9\x5d\x01"):
        for read in (parse_base_value, parse_derived_value):
            with refusals:
                text = multibase.encode_base64url(head + raw)
                value: Any = read(text)
                assert value.encode() == text


def timestamps(raw: bytes) -> None:
    text = _text(raw)
    for read in (parse_timestamp, parse_moment, lambda said: parse_moment(said, zone_required=False)):
        with refusals:
            read(text)
    with refusals, suppress(ValueError):
        from_numeric_date(int(text[:30]))


# ---- keys and identifiers


def keys(raw: bytes) -> None:
    text = _text(raw)
    with refusals:
        assert multikey.encode_multikey(multikey.parse_multikey(text)) == text
    with refusals:
        assert multikey.encode_secret_multikey(multikey.parse_secret_multikey(text)) == text
    with refusals:
        assert multikey.encode_x25519(multikey.parse_x25519(text)) == text
    with refusals:
        multikey.is_x25519(text)
    with refusals:
        key = multikey.parse_multikey_bytes(raw)
        assert multikey.multikey_bytes(key) == raw
        assert jwk.parse_public_jwk(jwk.public_jwk(key)) == key
    _jwk(raw)


def _jwk(raw: bytes) -> None:
    with refusals:
        value = parse_object(raw)
        with refusals:
            key = jwk.parse_public_jwk(value)
            assert jwk.public_jwk(key).items() <= value.items()
            jwk.thumbprint(key)
        with refusals:
            jwk.parse_private_jwk(value)
        with refusals:
            jwk.require_agreement_jwk(value)


def did_url(raw: bytes) -> None:
    text = _text(raw)
    with refusals:
        assert resolve(text).id == text
    with refusals:
        did, fragment = split_method_id(text)
        assert f"{did}#{fragment}" == text
    for relationship in SIGNATURE_RELATIONSHIPS:
        with refusals:
            method_key(text, relationship=relationship)
    for loopback in (False, True):
        with refusals:
            assert did_web_url(text, allow_loopback=loopback).startswith(("https://", "http://localhost"))
    with refusals:
        needs_fetching(text)
    for options in ({}, {"enableEncryptionKeyDerivation": True, "publicKeyFormat": "JsonWebKey2020"}):
        with refusals:
            resolution_result(text, options=options).legacy()


def did_document(raw: bytes) -> None:
    with refusals:
        source = parse_object(raw)
        document = parse_did_document(source, expected_id=DID_WEB)
        for method in document.methods:
            for relationship in SIGNATURE_RELATIONSHIPS:
                with refusals:
                    document.method_for(method.id, relationship=relationship, now=NOW)
        for fragment in ("", "#key-1", "#service", "/path?query#x"):
            with refusals:
                resolution_result(DID_WEB + fragment, documents={DID_WEB: document}).dereferencing()


# ---- tokens


def compact_jws(raw: bytes) -> None:
    token = _token(raw)
    for names_did in (False, True):
        with refusals:
            parse_compact(token, names_did=names_did)
    with refusals:
        verify_jwt(
            token,
            PROFILE,
            find_key=lambda _header, _claims: ISSUER.public,
            expected_issuer=None,
            expected_audience=frozenset({"a"}),
            now=NOW,
        )
    for envelope in ("vc+jwt", "vp+jwt"):
        with refusals:
            verify_secured(token, envelope=envelope, now=NOW)
    for claim in ("vc", "vp"):
        with refusals:
            verify_vc_jwt(token, claim=claim, now=NOW)


def sd_jwt(raw: bytes) -> None:
    text = _sd_jwt(raw)
    for binding in (sd_jwts.UNBOUND, sd_jwts.BINDING):
        with refusals:
            sd_jwts.verify(text, binding)
        with refusals:
            verify_sd_jwt_vc(
                text, expected_vct=frozenset({"https://types.example/1"}), key_binding=binding, now=sd_jwts.NOW
            )
    with refusals:
        select_disclosures(text, disclose=sorted(disclosable_places(text)))


def token_status_list(raw: bytes) -> None:
    _decoded(raw, token_status.decode_statuses, token_status.encode_statuses, zlib.compress, "")
    with refusals:
        token_status.verify_status_list_token(
            _token(raw),
            expected_uri=REVOCATION_URL,
            expected_issuer=None,
            find_key=lambda _header, _claims: ISSUER.public,
            fetched_at=NOW,
            now=NOW,
        )
    with refusals:
        reference = token_status.parse_reference(parse_object(raw))
        assert reference is None or token_status.parse_reference({"status": reference.to_json()}) == reference


# ---- documents


def nquads(raw: bytes) -> None:
    with refusals:
        quads = rdf.parse_nquads(_text(raw))
        with refusals:
            assert sorted(rdf.parse_nquads(rdf.serialize(quads).decode())) == sorted(set(quads))
        for name in ("sha256", "sha384"):
            with refusals:
                text = canonical_dataset(quads, name).text
                # Refused where the bound is on work, which depends on the order of the statements.
                with refusals:
                    again = canonical_dataset(rdf.parse_nquads(text.decode()), name).text
                    assert again == text, "canonical text of canonical text is another"


def json_ld(raw: bytes) -> None:
    with refusals:
        document = parse_object(raw)
        fast = slow = None
        try:
            with refusals:
                fast = canonical_dataset(compiled.to_quads(document)).text
        except UnsupportedError:
            with refusals:
                canonical.canonical_nquads(document)
            return
        with unmeasured:
            slow = canonical_dataset(canonical.reference_dataset(document)).text
        assert fast == slow, "the two JSON-LD paths disagree"


def data_integrity(raw: bytes) -> None:
    with refusals:
        secured = parse_object(raw)
        for purpose in ("assertionMethod", "authentication"):
            for verify in (VERIFY_ONE, verify_proof_set):
                with refusals:
                    verify(secured, expected_purpose=purpose, now=NOW)
        with refusals:
            proof_methods(secured)
        document = {name: value for name, value in secured.items() if name != "proof"}
        suite = SUITES[len(raw) % len(SUITES)]
        with unmeasured:
            _signed_anew(document, suite)
        proof = secured.get("proof")
        if isinstance(proof, dict):
            with refusals:
                _proof_remade(document, proof)


def _signed_anew(document: Mapping[str, object], suite: str) -> None:
    key = ISSUER if suite.startswith("eddsa") else P256
    signed = add_proof(
        document,
        key,
        purpose="assertionMethod",
        created=NOW,
        verification_method=verification_method(did_key(key.public)),
        cryptosuite=suite,
    )
    with unmeasured:
        if suite == "ecdsa-sd-2023":
            signed = derive(signed, [name for name in ("/type", "/credentialSubject") if name[1:] in document])
        verified = None
        with refusals:
            verified = VERIFY_ONE(signed, expected_purpose="assertionMethod", now=NOW)
        assert verified is not None, f"what {suite} signs it refuses"
        assert suite == "ecdsa-sd-2023" or jcs.equal(verified.document, document)


def _proof_remade(document: Mapping[str, object], proof: Mapping[str, Any]) -> None:
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    name = options.get("cryptosuite")
    key = P256 if isinstance(name, str) and name.startswith("ecdsa") else ISSUER
    options["verificationMethod"] = verification_method(did_key(key.public))
    with unmeasured:
        options["proofValue"] = find_suite(name).sign(document, options, key)
    remade = {**document, "proof": options}
    purpose = options.get("proofPurpose")
    for verify in (VERIFY_ONE, verify_proof_set):
        with refusals:
            verify(
                remade, expected_purpose="authentication" if purpose == "authentication" else "assertionMethod", now=NOW
            )


def bitstring_status_list(raw: bytes) -> None:
    _decoded(raw, bitstring.decode, bitstring.encode, lambda bits: gzip.compress(bits, mtime=0), "u")
    with refusals:
        value = parse_object(raw)
        entry, listed = value.get("entry"), value.get("list")
        with refusals:
            parse_status_entries(entry)
        if isinstance(listed, dict):
            with refusals:
                bitstring.check_entry(
                    entry, listed, list_controller=ISSUER_DID, fetched_at=NOW, credential_issuer=ISSUER_DID, now=NOW
                ).require_valid()
            with refusals:
                sealed = _sealed(listed)
                with refusals:
                    verify_status_list(sealed, expected_url=REVOCATION_URL, trusted_issuers=TRUSTED, now=NOW)


def capability_credential(raw: bytes) -> None:
    with refusals:
        document = parse_object(raw)
        with refusals:
            parse_capability_credential(document)
        with refusals:
            parse_identity_credential(document)
        with refusals:
            sealed = _sealed(document)
            with refusals:
                verify_chain([sealed], holder=ALICE_DID, now=NOW, trusted=TRUSTED, max_depth=4)


def constraints(raw: bytes) -> None:
    """A JSON array of two constraints and a value."""
    with refusals:
        given = parse_json(raw)
        if isinstance(given, list) and len(given) == 3:
            left, right = parse_constraint(given[0]), parse_constraint(given[1])
            # An empty `any` admits nothing and hands nothing on, not even itself.
            assert subsumes(left, left) or b"any" in raw, "a constraint does not subsume itself"
            if subsumes(left, right) and is_satisfied(right, given[2]):
                assert is_satisfied(left, given[2]), "attenuation added something"


def credential(raw: bytes) -> None:
    """Any credential in any form, with the schemas and lists it says it has (`{"credential": …, "evidence": …}`)."""
    with refusals:
        verification.ask(raw, now=NOW)
    with refusals:
        verification.unresolved(raw)
    with refusals:
        value = parse_object(raw)
        document, found = value.get("credential"), value.get("evidence")
        if isinstance(document, dict):
            sealed = _sealed(document)
            known = found if isinstance(found, dict) else {}
            held = {name: item for name, item in known.items() if isinstance(item, dict)}
            lists = {name: _sealed(item) for name, item in held.items() if "encodedList" in str(item)[:2_000]}
            with refusals:
                asked = verification.ask(sealed, now=NOW)
                with refusals:
                    verification.judge(asked, verification.Evidence(status_lists=lists, schemas=held))


def presentation(raw: bytes) -> None:
    for wanted in (expected(), JTI):
        with refusals:
            ask(raw, wanted)
    answer = ExpectedPresentation(challenge=CHALLENGE, domains=frozenset({AUDIENCE}), now=NOW)
    with refusals:
        prove(raw, answer)
    with refusals:
        document = parse_object(raw)
        unsigned = {name: value for name, value in document.items() if name != "proof"}
        signed = add_proof(
            unsigned,
            BOB,
            purpose="authentication",
            created=NOW,
            verification_method=verification_method(BOB_DID),
            challenge=CHALLENGE,
            domain=AUDIENCE,
        )
        with refusals:
            assert ask(signed, expected()).signed.holder == BOB_DID
        with refusals:
            assert prove(signed, answer).holder == BOB_DID


TARGETS: Final[Mapping[str, Target]] = {
    target.__name__: target
    for target in (
        strict_json,
        canonical_json,
        multibase_text,
        cbor_item,
        timestamps,
        keys,
        did_url,
        did_document,
        compact_jws,
        sd_jwt,
        token_status_list,
        nquads,
        json_ld,
        data_integrity,
        bitstring_status_list,
        capability_credential,
        constraints,
        credential,
        presentation,
    )
}


# ---- how bytes become what is sent


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="surrogateescape")


def _token(raw: bytes) -> str:
    """Return the token in `raw`; two lines are header and payload, signed here."""
    if b"\n" not in raw:
        return raw.decode("latin-1")
    return _compact(*raw.split(b"\n", 1), ISSUER)


def _sd_jwt(raw: bytes) -> str:
    """Return the SD-JWT in `raw`; lines are header, payload and disclosures, where `$2` is the digest of the second.

    A last line that begins with `!` holds the claims of the key binding.
    """
    if b"\n" not in raw:
        return raw.decode("latin-1")
    header, *lines = raw.split(b"\n")[:20]
    bound = lines.pop()[1:] if lines[-1][:1] == b"!" else None
    disclosures: list[str] = []
    for number in range(len(lines) - 1, 0, -1):  # a digest can only be of what comes later
        text = base64url.encode(lines[number])
        disclosures.insert(0, text)
        digest = sd_jwts.digest(text).encode()
        lines[:number] = [line.replace(b"$%d" % number, digest) for line in lines[:number]]
    issued = _token(header + b"\n" + (lines[0] if lines else b""))
    presented = "~".join([issued, *disclosures, ""])
    if bound is None:
        return presented
    bound = bound.replace(b"$hash", sd_jwts.digest(presented).encode())
    return presented + _compact(b'{"alg":"EdDSA","typ":"kb+jwt"}', bound, sd_jwts.HOLDER)


def _compact(header: bytes, payload: bytes, key: SigningKey) -> str:
    signing_input = f"{base64url.encode(header)}.{base64url.encode(payload)}"
    return f"{signing_input}.{base64url.encode(key.sign(signing_input.encode()))}"


def _sealed(document: Mapping[str, object]) -> dict[str, object]:
    """Return a document with an honest proof of the issuer, whatever it says."""
    unsigned = {name: value for name, value in document.items() if name != "proof"}
    return add_proof(
        unsigned, ISSUER, purpose="assertionMethod", created=NOW, verification_method=verification_method(ISSUER_DID)
    )


def _decoded(
    raw: bytes,
    decode: Callable[[object], bytes],
    encode: Callable[[bytes], str],
    compress: Callable[[bytes], bytes],
    prefix: str,
) -> None:
    """Decode `raw` as the text of a list, as compressed bytes, and as the bytes behind them."""
    for text in (_text(raw), prefix + base64url.encode(raw)):
        with refusals:
            decode(text)
    assert decode(encode(raw)) == raw
    with refusals:
        decode(prefix + base64url.encode(compress(raw) + raw[:1]))
