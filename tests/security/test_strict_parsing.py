"""Hostile JSON and JOSE headers: refused in one pass over the text, each by an error of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from did_agent.encoding import base64url
from did_agent.encoding.strict_json import MAX_BODY, parse_json
from did_agent.errors import BadJOSE, DuplicateMember, NotJSON, TooDeep, WrongAlgorithm
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jose import MAX_HEADER, parse_compact, sign_compact, verify_signature

KEY = SigningKey.from_seed(b"1" * 32)


def token(header: dict[str, Any]) -> str:
    return ".".join((base64url.encode(json.dumps(header).encode()), base64url.encode(b"{}"), "AA"))


@pytest.mark.req("LIM-01")
@pytest.mark.parametrize("unit", ['\\"', '"\\', '\\\\\\"', '"\\"', "\\", '\\"[', '"'])
def test_an_unclosed_string_full_of_quotes_is_read_once(unit: str) -> None:
    # Scanned again from each quote in it, the largest body would hold the process for minutes.
    for opening in ("", '"', '{"a":"'):
        text = (opening + unit * MAX_BODY)[:MAX_BODY]
        with pytest.raises((NotJSON, TooDeep)):
            parse_json(text)


def test_a_closed_string_full_of_quotes_is_a_string() -> None:
    assert parse_json('["' + '\\"' * 30_000 + '"]') == ['"' * 30_000]
    assert parse_json('["\\\\", "[[\\\\\\"]]", {"}": "\\u005b"}]', max_depth=2) == ["\\", '[[\\"]]', {"}": "["}]


@pytest.mark.req("LIM-01")
@pytest.mark.parametrize("before", ['"\\\\",', '"\\"",', '"a","\\\\\\"",', '"[]]]]",'])
def test_no_string_hides_depth(before: str) -> None:
    for depth, error in ((31, None), (32, TooDeep)):
        text = f"[{before}{'[' * depth}{']' * depth}]"
        if error is None:
            assert isinstance(parse_json(text), list)
        else:
            with pytest.raises(error):
                parse_json(text)


@pytest.mark.req("TOK-01")
@pytest.mark.parametrize("algorithm", [[], {}, ["EdDSA"], {"EdDSA": 1}, None, True, 0, "eddsa", "EdDSA ", "Ed448"])
def test_an_alg_of_any_json_type_is_refused_and_never_a_crash(algorithm: object) -> None:
    with pytest.raises(WrongAlgorithm):
        parse_compact(token({"alg": algorithm}))
    assert parse_compact(token({"alg": "EdDSA"})).header == {"alg": "EdDSA"}


@pytest.mark.req("TOK-08", "TOK-03")
@pytest.mark.parametrize("member", ["typ", "kid"])
@pytest.mark.parametrize("value", [None, True, 1, [], {}, ["at+jwt"]])
def test_a_typ_or_kid_that_is_no_string_is_refused(member: str, value: object) -> None:
    assert parse_compact(token({"alg": "EdDSA", member: "abc"})).header[member] == "abc"
    with pytest.raises(BadJOSE):
        parse_compact(token({"alg": "EdDSA", member: value}))


@pytest.mark.req("LIM-01")
def test_a_jose_header_has_a_limit_of_its_own() -> None:
    frame = len(json.dumps({"alg": "EdDSA", "cty": ""}))
    assert parse_compact(token({"alg": "EdDSA", "cty": "x" * (MAX_HEADER - frame)}))
    with pytest.raises(BadJOSE):
        parse_compact(token({"alg": "EdDSA", "cty": "x" * (MAX_HEADER - frame + 1)}))


@pytest.mark.req("TOK-01")
def test_a_signer_cannot_name_another_algorithm_than_its_keys() -> None:
    jws = parse_compact(sign_compact({"alg": "none", "typ": "application/AT+JWT"}, {"a": 1}, KEY))
    verify_signature(jws, KEY.public)
    assert jws.header["alg"] == "EdDSA"
    assert jws.type == "at+jwt"


@pytest.mark.req("TOK-05")
def test_integers_of_64_bits_pass_only_where_nothing_is_decided_by_them() -> None:
    text = '{"maximum": 9223372036854775807, "minimum": -9223372036854775808}'
    with pytest.raises(NotJSON):
        parse_json(text)
    assert parse_json(text, wide_integers=True) == {"maximum": 2**63 - 1, "minimum": -(2**63)}
    with pytest.raises(NotJSON):
        parse_json('{"maximum": 123456789012345678901}', wide_integers=True)
    with pytest.raises(DuplicateMember):
        parse_json('{"a": 9223372036854775807, "a": 1}', wide_integers=True)
