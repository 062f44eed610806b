"""SD-JWT under attack: every rule of RFC 9901, 7.1, with the token that keeps it and those that break it."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest

from did_agent.encoding import base64url
from did_agent.errors import (
    BadJOSE,
    BadSignature,
    DidAgentError,
    Expired,
    NotYetValid,
    TooDeep,
    TooLarge,
    WrongAlgorithm,
    WrongType,
)
from did_agent.keys.jwk import public_jwk
from did_agent.proof.disclosure import MAX_DEPTH, MAX_DISCLOSURES
from did_agent.proof.jwt import SKEW
from did_agent.proof.sd_jwt import MAX_SD_JWT
from tests.fakes.sd_jwts import (
    BINDING,
    CNF,
    ELEMENT,
    HOLDER,
    HONEST,
    ISSUER,
    NAME,
    PAYLOAD,
    SECONDS,
    SHOWN,
    THIEF,
    digest,
    disclosure,
    issued,
    refused,
    verify,
)

pytestmark = pytest.mark.req("VCX-15")


def test_the_honest_token_passes_with_and_without_key_binding() -> None:
    claims = {"cnf": CNF, "name": "Buyer", "tools": ["search", "order"]}
    assert verify(HONEST).claims == claims
    verified = verify(SHOWN, BINDING)
    assert verified.claims == claims
    assert verified.holder == HOLDER.public


# ---- 7.1, 1: the form


FORMS = {
    "no tilde": HONEST.split("~")[0],
    "nothing": "",
    "only a tilde": "~",
    "a space before": f" {HONEST}",
    "a newline after": f"{HONEST}\n",
    "a newline inside": HONEST.replace("~", "~\n", 1),
    "an empty disclosure": HONEST.replace("~", "~~", 1),
    "an empty disclosure at the end": f"{HONEST}~",
    "padding": HONEST.replace(NAME, f"{NAME}="),
    "a disclosure where the KB-JWT stands": HONEST[:-1],
    "another letter's look-alike": HONEST.replace("e", "\u0435", 1),
    "a KB-JWT nobody asked for": SHOWN,
    "a fourth segment": HONEST.replace("~", ".AAAA~", 1),
    "JSON serialization": json.dumps({"payload": "", "signatures": []}),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
@pytest.mark.req("TOK-05")
def test_another_form_is_refused(text: str) -> None:
    refused(BadJOSE, text)


BOUND_FORMS = {"trailing bytes": f"{SHOWN}AAAA", "a newline after": f"{SHOWN}\n", "a tilde after": f"{SHOWN}~"}


@pytest.mark.parametrize("text", BOUND_FORMS.values(), ids=BOUND_FORMS)
def test_nothing_follows_the_key_binding(text: str) -> None:
    with pytest.raises(DidAgentError):
        verify(text, BINDING)


# ---- 7.1, 2: signature, alg, typ


HEADERS = {
    "alg none": ({"alg": "none"}, WrongAlgorithm),
    "alg of another key": ({"alg": "ES256"}, WrongAlgorithm),
    "HMAC": ({"alg": "HS256"}, WrongAlgorithm),
    "another typ": ({"typ": "at+jwt"}, WrongType),
    "typ of key binding": ({"typ": "kb+jwt"}, WrongType),
    "no typ": ({"typ": ""}, WrongType),
    "a key of its own": ({"jwk": public_jwk(ISSUER.public)}, BadJOSE),
    "a link to keys": ({"jku": "https://issuer.example/keys"}, BadJOSE),
    "crit": ({"crit": ["x"], "x": 1}, BadJOSE),
}


@pytest.mark.parametrize(("header", "error"), HEADERS.values(), ids=HEADERS)
@pytest.mark.req("TOK-01", "TOK-02", "TOK-04", "TOK-08")
def test_a_strange_header_is_refused(header: dict[str, Any], error: type[DidAgentError]) -> None:
    refused(error, issued(PAYLOAD, NAME, ELEMENT, **header))


@pytest.mark.req("TOK-01")
def test_a_signature_by_another_key_or_by_a_public_key_as_secret_is_refused() -> None:
    head, body, _ = HONEST.split("~")[0].split(".")
    rest = HONEST[HONEST.index("~") :]
    forged = base64url.encode(THIEF.sign(f"{head}.{body}".encode()))
    refused(BadSignature, f"{head}.{body}.{forged}{rest}")
    mac_head = base64url.encode(b'{"alg":"HS256","typ":"test+sd-jwt"}')
    mac = hmac.digest(ISSUER.public.raw, f"{mac_head}.{body}".encode(), "sha256")
    refused(WrongAlgorithm, f"{mac_head}.{body}.{base64url.encode(mac)}{rest}")


# ---- 7.1, 3 to 5: digests and disclosures


@pytest.mark.parametrize("name", ["sha-384", "sha-512", "md5", "SHA-256", "sha256", "", None, ["sha-256"], 256])
def test_only_sha_256_is_known(name: Any) -> None:
    refused(BadJOSE, issued({**PAYLOAD, "_sd_alg": name}, NAME, ELEMENT))
    assert verify(issued({**PAYLOAD, "_sd_alg": "sha-256"}, NAME, ELEMENT)).claims == verify(HONEST).claims


NAMED_SD, NAMED_DOTS = disclosure("s", "_sd", ["x"]), disclosure("s", "...", "x")
NAMED_ALG, AGAIN = disclosure("s", "_sd_alg", "sha-256"), disclosure("other salt", "name", "Seller")
INNER = disclosure("s", "inner", 1)
OUTER = disclosure("s", "outer", {"_sd": [digest(INNER)]})
TWICE = disclosure("s", "outer", {"_sd": [digest(INNER)], "x": [{"...": digest(INNER)}]})
BAD_INSIDE = disclosure("s", "outer", {"_sd": "x"})
BROKEN: dict[str, tuple[dict[str, Any], tuple[str, ...], type[DidAgentError]]] = {
    "unreferenced": ({}, (NAME,), BadSignature),
    "unreferenced beside a good one": (PAYLOAD, (NAME, ELEMENT, AGAIN), BadSignature),
    "inner without its outer": ({"_sd": [digest(OUTER)]}, (INNER,), BadSignature),
    "the same disclosure twice": (PAYLOAD, (NAME, NAME, ELEMENT), BadJOSE),
    "element as claim": ({"_sd": [digest(ELEMENT)]}, (ELEMENT,), BadJOSE),
    "claim as element": ({"x": [{"...": digest(NAME)}]}, (NAME,), BadJOSE),
    "named _sd": ({"_sd": [digest(NAMED_SD)]}, (NAMED_SD,), BadJOSE),
    "named ...": ({"_sd": [digest(NAMED_DOTS)]}, (NAMED_DOTS,), BadJOSE),
    "named _sd_alg": ({"_sd": [digest(NAMED_ALG)]}, (NAMED_ALG,), BadJOSE),
    "name of a claim in sight": ({"name": "x", "_sd": [digest(NAME)]}, (NAME,), BadJOSE),
    "name of another disclosure": ({"_sd": [digest(NAME), digest(AGAIN)]}, (NAME, AGAIN), BadJOSE),
    "digest twice in one list": ({"_sd": [digest(NAME)] * 2}, (NAME,), BadJOSE),
    "digest twice in two lists": ({"_sd": [digest(NAME)], "x": {"_sd": [digest(NAME)]}}, (NAME,), BadJOSE),
    "digest twice, as claim and element": ({"_sd": [digest(INNER)], "x": [{"...": digest(INNER)}]}, (), BadJOSE),
    "digest twice inside a disclosure": ({"_sd": [digest(TWICE)]}, (TWICE,), BadJOSE),
    "digest twice, outside and inside": ({"_sd": [digest(OUTER), digest(INNER)]}, (OUTER,), BadJOSE),
    "decoy twice": ({"_sd": ["decoy", "decoy"]}, (), BadJOSE),
    "_sd is no array": ({"_sd": digest(NAME)}, (NAME,), BadJOSE),
    "_sd is null": ({"_sd": None}, (), BadJOSE),
    "_sd holds a number": ({"_sd": [1]}, (), BadJOSE),
    "_sd inside a disclosure is no array": ({"_sd": [digest(BAD_INSIDE)]}, (BAD_INSIDE,), BadJOSE),
    "... holds a number": ({"x": [{"...": 1}]}, (), BadJOSE),
    "... has company": ({"x": [{"...": digest(ELEMENT), "y": 1}]}, (ELEMENT,), BadJOSE),
    "... outside an array": ({"x": {"...": digest(ELEMENT)}}, (ELEMENT,), BadJOSE),
    "... at the top": ({"...": digest(ELEMENT)}, (ELEMENT,), BadJOSE),
    "_sd_alg inside": ({"x": {"_sd_alg": "sha-256"}}, (), BadJOSE),
}


@pytest.mark.parametrize(("payload", "disclosures", "error"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_of_disclosures_is_refused(
    payload: dict[str, Any], disclosures: tuple[str, ...], error: type[DidAgentError]
) -> None:
    refused(error, issued(payload, *disclosures))


KEPT: dict[str, tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]] = {
    "inner with its outer": ({"_sd": [digest(OUTER)]}, (INNER, OUTER), {"outer": {"inner": 1}}),
    "outer alone": ({"_sd": [digest(OUTER)]}, (OUTER,), {"outer": {}}),
    "one name at two levels": ({"name": "x", "y": {"_sd": [digest(NAME)]}}, (NAME,), {"name": "x", "y": {"name": "Buyer"}}),
    "one of two of one name": ({"_sd": [digest(NAME), digest(AGAIN)]}, (AGAIN,), {"name": "Seller"}),
    "decoys alone": ({"_sd": ["decoy"], "x": [{"...": "another"}]}, (), {"x": []}),
    "no digests": ({"_sd": []}, (), {}),
}  # fmt: skip


@pytest.mark.parametrize(("payload", "disclosures", "claims"), KEPT.values(), ids=KEPT)
def test_the_twin_that_keeps_the_rule_passes(
    payload: dict[str, Any], disclosures: tuple[str, ...], claims: dict[str, Any]
) -> None:
    assert verify(issued(payload, *disclosures)).claims == claims


def encoded(text: str) -> str:
    return base64url.encode(text.encode())


TEXTS = {
    "not base64url": "a+b/",
    "not canonical": encoded('["salt","name",1]')[:-1] + "1",  # from "0": the bits that are left over
    "not JSON": encoded("[salt"),
    "not UTF-8": base64url.encode(b'["\xff","name",1]'),
    "an object": encoded('{"salt":1}'),
    "one part": encoded('["salt"]'),
    "four parts": encoded('["salt","name",1,2]'),
    "a number as salt": encoded('[1,"name",1]'),
    "a number as name": encoded('["salt",1,1]'),
    "no name": encoded('["salt",null,1]'),
    "a member twice": encoded('["salt","name",{"a":1,"a":2}]'),
    "NaN": encoded('["salt","name",NaN]'),
    "a lone surrogate": encoded('["salt","name","\\ud800"]'),
    "text after": encoded('["salt","name",1] 2'),
    "nested beyond sense": encoded("[" * 5_000 + "]" * 5_000),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.req("TOK-05")
def test_a_disclosure_that_cannot_be_read_is_refused_even_if_it_is_signed(text: str) -> None:
    refused(BadJOSE, issued({"_sd": [digest(text)]}, text))
    refused(BadJOSE, issued({"x": [{"...": digest(text)}]}, text))


# ---- claims that are never hidden


RESERVED = ["iss", "aud", "exp", "nbf", "cnf", "vct", "vct#integrity", "aka_vcts", "status", "act"]


@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_claim_is_never_hidden_nor_a_part_of_it(name: str) -> None:
    hidden = disclosure("s", name, SECONDS + 60)
    refused(BadJOSE, issued({"_sd": [digest(hidden)]}, hidden))
    for part in ({"_sd": [digest(NAME)]}, [{"...": digest(ELEMENT)}], {"x": [{"y": {"_sd": ["kept back"]}}]}):
        refused(BadJOSE, issued({name: part}))
    # Elsewhere the name is a name like any other.
    assert verify(issued({"x": {"_sd": [digest(hidden)]}}, hidden)).claims == {"x": {name: SECONDS + 60}}


def test_a_caller_can_keep_more_in_sight() -> None:
    with pytest.raises(BadJOSE):
        verify(HONEST, never_hidden=frozenset({"name"}))
    assert verify(HONEST, never_hidden=frozenset({"other"})).claims["name"] == "Buyer"


# ---- 7.1, 6: time


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"exp": SECONDS - SKEW + 1}, None),
        ({"exp": SECONDS - SKEW}, Expired),
        ({"nbf": SECONDS + SKEW}, None),
        ({"nbf": SECONDS + SKEW + 1}, NotYetValid),
        ({"iat": SECONDS + SKEW}, None),
        ({"iat": SECONDS + SKEW + 1}, NotYetValid),
        *[({name: value}, BadJOSE) for name in ("exp", "nbf", "iat") for value in (None, True, "1", 1.5, -1, [])],
    ],
)
@pytest.mark.req("TOK-06")
def test_time_claims_are_honoured(claims: dict[str, Any], error: type[DidAgentError] | None) -> None:
    if error is None:
        assert verify(issued(claims)).claims == claims
    else:
        refused(error, issued(claims))


@pytest.mark.req("TOK-06")
def test_a_disclosed_iat_counts_too() -> None:
    late = disclosure("s", "iat", SECONDS + SKEW + 1)
    refused(NotYetValid, issued({"_sd": [digest(late)]}, late))
    assert verify(issued({"_sd": [digest(late)]})).claims == {}


# ---- limits


@pytest.mark.req("LIM-01")
def test_more_disclosures_than_the_limit_are_refused() -> None:
    many = [disclosure("s", f"c{number}", number) for number in range(MAX_DISCLOSURES + 1)]
    halves = {"a": {"_sd": [digest(one) for one in many[:128]]}, "b": {"_sd": [digest(one) for one in many[128:]]}}
    assert len(verify(issued(halves, *many[:-1])).disclosed) == MAX_DISCLOSURES
    refused(TooLarge, issued(halves, *many))


@pytest.mark.req("LIM-01")
def test_a_chain_of_disclosures_is_no_way_around_the_depth() -> None:
    def chain(levels: int) -> str:
        texts = [disclosure("s", "in", "leaf")]
        for _ in range(levels - 1):
            texts.append(disclosure("s", "in", {"_sd": [digest(texts[-1])]}))
        return issued({"_sd": [digest(texts[-1])]}, *texts)

    assert len(verify(chain(MAX_DEPTH)).disclosed) == MAX_DEPTH
    refused(TooDeep, chain(MAX_DEPTH + 1))
    refused(TooDeep, chain(200))


@pytest.mark.req("LIM-01")
def test_arrays_count_as_depth_hidden_or_not() -> None:
    def nested(levels: int, innermost: Any) -> Any:
        return [nested(levels - 1, innermost)] if levels else innermost

    deep = disclosure("s", nested(8, "leaf"))
    payload = {"x": nested(MAX_DEPTH - 9, {"...": digest(deep)})}
    assert verify(issued({"x": nested(MAX_DEPTH - 1, 1)})).claims == {"x": nested(MAX_DEPTH - 1, 1)}
    assert verify(issued(payload, deep)).claims == {"x": nested(MAX_DEPTH - 9, nested(8, "leaf"))}
    refused(TooDeep, issued({"x": nested(MAX_DEPTH, 1)}))
    refused(TooDeep, issued({"x": [payload["x"]]}, deep))


@pytest.mark.parametrize("text", ["~" * MAX_SD_JWT, "~" * 300, "a" * (MAX_SD_JWT + 1), f"{HONEST}{'A' * MAX_SD_JWT}"])
@pytest.mark.req("LIM-01")
def test_bombs_are_refused_by_their_size(text: str) -> None:
    refused(TooLarge, text)
