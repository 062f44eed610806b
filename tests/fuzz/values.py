"""Targets: texts, values, keys and identifiers."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from did_agent.credential.moment import parse_moment
from did_agent.did.document import SIGNATURE_RELATIONSHIPS, parse_did_document, split_method_id
from did_agent.did.resolution import resolution_result
from did_agent.did.resolve import method_key, needs_fetching, resolve
from did_agent.did.web import did_web_url
from did_agent.encoding import base64url, cbor, jcs, multibase
from did_agent.encoding.strict_json import parse_json, parse_object
from did_agent.encoding.timestamp import from_numeric_date, parse_timestamp
from did_agent.keys import jwk, multikey
from did_agent.proof.selective_value import parse_base_value, parse_derived_value
from tests.fuzz.oracle import (
    DID_WEB,
    NOW,
    as_text,
    refusals,
    unmeasured,
)


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
    text = as_text(raw)
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
    text = as_text(raw)
    for read in (parse_timestamp, parse_moment, lambda said: parse_moment(said, zone_required=False)):
        with refusals:
            read(text)
    with refusals, suppress(ValueError):
        from_numeric_date(int(text[:30]))


def keys(raw: bytes) -> None:
    text = as_text(raw)
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
    text = as_text(raw)
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
