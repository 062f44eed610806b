"""What `issuers.json` may say, what it says of the place when it is wrong, and what scopes give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from did_agent.errors import Misconfigured
from verifier.adapters.issuers import load_issuers
from verifier.issuers import parse_issuers

ISSUER = "https://login.example.com"
GOOD: dict[str, Any] = {"issuer": ISSUER, "subject": "user", "scopes": {"menu": ["list_menu"]}}
INTROSPECTION = {"endpoint": "https://login.example.com/introspect"}


def parsed(**changes: Any) -> Any:
    (issuer,) = parse_issuers(json.dumps({"issuers": [{**GOOD, **changes}]}))
    return issuer


def test_the_least_document_has_the_strict_defaults() -> None:
    issuer = parsed()
    assert issuer.issuer == ISSUER
    assert issuer.reading.types == {"at+jwt"}
    assert issuer.reading.algorithms == {"RS256", "ES256", "EdDSA", "Ed25519"}
    assert (issuer.reading.max_lifetime, issuer.reading.several_audiences, issuer.reading.dids) == (3600, False, False)
    assert (issuer.jwks_uri, issuer.introspection, issuer.require_bound) == (None, None, False)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another member": ({"colour": 1}, "issuers[0] has unknown members"),
    "http issuer": ({"issuer": "http://login.example.com"}, "issuers[0].issuer"),
    "issuer with a query": ({"issuer": ISSUER + "?a=b"}, "issuers[0].issuer"),
    "issuer with a user": ({"issuer": "https://a@login.example.com"}, "issuers[0].issuer"),
    "unknown subject": ({"subject": "robot"}, "issuers[0].subject is one of user, agent, service"),
    "no scopes": ({"scopes": {}}, "issuers[0].scopes"),
    "two spaces": ({"scopes": {"a  b": ["list_menu"]}}, "issuers[0].scopes['a  b']"),
    "tool that is none": ({"scopes": {"a": ["two words"]}}, "issuers[0].scopes['a']"),
    "tool twice": ({"scopes": {"a": ["x", "x"]}}, "issuers[0].scopes['a'] names a tool twice"),
    "a text for tools": ({"scopes": {"a": "list_menu"}}, "issuers[0].scopes['a'] is neither a list"),
    "brackets that do not close": (
        {"jwks_uri": "https://[login.example.com/x"},
        "issuers[0].jwks_uri is not an https URL",
    ),
    "wildcard": ({"scopes": {"a": ["*"]}}, "issuers[0].scopes['a']"),
    "unknown constraint": ({"scopes": {"a": {"x": {"y": {"constraint_type": "regex"}}}}}, "issuers[0].scopes['a']"),
    "hmac": ({"algorithms": ["HS256"]}, "issuers[0].algorithms lists some of RS256"),
    "other type": ({"types": ["vp+jwt"]}, "issuers[0].types"),
    "years": ({"max_lifetime": 10**9}, "issuers[0].max_lifetime"),
    "depth": ({"max_actors": 9}, "issuers[0].max_actors"),
    "truth as text": ({"dids": "yes"}, "issuers[0].dids is not true or false"),
    "two sources of keys": ({"jwks": {"keys": []}, "jwks_uri": f"{ISSUER}/jwks"}, "has jwks or jwks_uri"),
    "keys of opaque tokens": ({"introspection": INTROSPECTION, "types": ["at+jwt"]}, "types mean nothing where"),
    "long belief": ({"introspection": {**INTROSPECTION, "cache_seconds": 31}}, "introspection.cache_seconds"),
    "secret of nobody": (
        {"introspection": {**INTROSPECTION, "secret_file": "s"}},
        "has a secret_file and no client_id",
    ),
    "prefix of sessions": ({"introspection": {**INTROSPECTION, "prefix": "vps_x"}}, "introspection.prefix begins with"),
    "endpoint in clear": ({"introspection": {"endpoint": "http://login.example.com/i"}}, "introspection.endpoint"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_document_is_refused_with_the_place(name: str) -> None:
    changes, place = WRONG[name]
    with pytest.raises(Misconfigured) as refused:
        parsed(**changes)
    assert refused.value.detail.startswith("issuers.json: ")
    assert place in refused.value.detail


@pytest.mark.parametrize(
    "raw", ["", "[]", "{}", '{"issuers": {}}', '{"issuers": [], "issuers": []}', '{"issuers": [1]}']
)
def test_what_is_no_such_document_is_refused(raw: str) -> None:
    with pytest.raises(Misconfigured):
        parse_issuers(raw)
    assert parse_issuers('{"issuers": []}') == ()


def test_an_issuer_stands_once_and_opaque_tokens_can_be_told_apart() -> None:
    with pytest.raises(Misconfigured, match="names an issuer twice"):
        parse_issuers(json.dumps({"issuers": [GOOD, GOOD]}))

    def both(first: str, second: str) -> Any:
        one = {**GOOD, "introspection": {**INTROSPECTION, "prefix": first}}
        two = {**one, "issuer": "https://two.example", "introspection": {**INTROSPECTION, "prefix": second}}
        return parse_issuers(json.dumps({"issuers": [one, two]}))

    assert len(both("a_", "b_")) == 2
    for second in ("a_", "a_b"):
        with pytest.raises(Misconfigured, match="cannot tell opaque tokens apart"):
            both("a_", second)


@pytest.mark.req("DEL-04")
def test_scopes_give_exactly_what_the_map_says() -> None:
    limited = {"update_stock": {"quantity": {"constraint_type": "range", "min": 0, "max": 9}}}
    issuer = parsed(scopes={"menu": ["list_menu"], "stock write": limited, "all": ["list_menu", "update_stock", "x"]})

    def tools(*scopes: str) -> set[str]:
        return {tool for held in issuer.capabilities(frozenset(scopes), "urn:r") for tool in held.tools}

    assert tools("menu") == {"list_menu"}
    assert tools("stock") == tools("write") == tools("MENU") == tools("menu.read") == set()
    assert tools("stock", "write") == {"update_stock"}
    assert tools("all", "unknown") == {"list_menu", "update_stock", "x"}


@pytest.mark.req("OAU-14")
def test_a_challenge_names_all_scopes_of_the_least_way_that_would_help() -> None:
    limited = {"update_stock": {"quantity": {"constraint_type": "range", "min": 0, "max": 9}}}
    issuer = parsed(scopes={"all": ["list_menu", "update_stock"], "menu": ["list_menu"], "stock write": limited})
    assert issuer.scope_for("list_menu", {}) == "menu"
    assert issuer.scope_for("update_stock", {"quantity": 3}) == "stock write"
    assert issuer.scope_for("update_stock", {"quantity": 30}) == "all"
    assert issuer.scope_for("list_menu", {}, held=frozenset({"menu"})) == "all"
    assert issuer.scope_for("delete_order", {}) is None


def test_the_file_of_the_data_folder_is_read_and_a_named_one_must_be_there(tmp_path: Path) -> None:
    assert load_issuers(None, file=None, data=tmp_path) == ()
    entry = {**GOOD, "introspection": {**INTROSPECTION, "client_id": "guard", "secret_file": "secret"}}
    (tmp_path / "issuers.json").write_text(json.dumps({"issuers": [entry]}))
    (issuer,) = load_issuers(None, file=None, data=tmp_path)
    assert issuer.introspection is not None
    assert issuer.introspection.secret_file == str(tmp_path / "secret")
    assert load_issuers(str(tmp_path / "issuers.json"), file=None, data=tmp_path / "other") == (issuer,)
    assert load_issuers([GOOD], file=None, data=tmp_path)[0].issuer == ISSUER
    assert load_issuers([], file=None, data=tmp_path) == ()
    with pytest.raises(Misconfigured, match="cannot read"):
        load_issuers(None, file=tmp_path / "missing.json", data=tmp_path)
    with pytest.raises(Misconfigured, match="not what JSON can hold"):
        load_issuers([{"issuer": object()}], file=None, data=tmp_path)
