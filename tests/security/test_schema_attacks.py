"""A schema is a stranger's program: it must not fetch, not run for long, and not be believed without cause."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from did_agent.credential import schema_bounds
from did_agent.credential.schema import validate
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import SchemaIndeterminate
from tests.fakes.schemas import CREDENTIAL_URL, DIALECTS, URL, credential, outcome, schema, schema_credential, sri


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_named: object) -> None:
        raise AssertionError("a schema reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def pinned(found: dict[str, Any], **arguments: Any) -> str:
    """Return the result for a schema whose digest is in the credential."""
    raw = canonicalize(found)
    return outcome(raw, credential(pin={"digestSRI": sri(raw)}, **arguments)).result


def subject(rule: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a schema with `rule` for the age of the subject."""
    return schema(properties={"credentialSubject": {"properties": {"age": rule}}}, **members)


# ---- NET-10: nothing is fetched


@pytest.mark.parametrize(
    "reference",
    [
        "https://attacker.example/schema",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "other",
        "//attacker.example/",
        "https://json-schema.org/draft/2020-12/schema",
        "",
    ],
)
@pytest.mark.parametrize("name", ["$ref", "$dynamicRef", "$recursiveRef"])
def test_a_reference_to_another_schema_is_not_followed(name: str, reference: str) -> None:
    assert outcome(subject({name: reference})).result == "indeterminate"


def test_a_reference_within_the_schema_is_followed() -> None:
    for reference in ("#/$defs/whole", f"{URL}#/$defs/whole"):
        rule = subject({"$ref": reference}, **{"$defs": {"whole": {"type": "integer"}}})
        assert outcome(rule).result == "success"
        assert outcome(rule, credential(age="old")).result == "failure"


@pytest.mark.parametrize("reference", ["#/nowhere", "#anchor", "#/properties/credentialSubject/properties/age/0"])
def test_a_reference_to_nothing_decides_nothing(reference: str) -> None:
    assert outcome(subject({"$ref": reference})).result == "indeterminate"


@pytest.mark.parametrize("part", [7, "text", [], None, {"type": 7}, {"required": 7}, {"pattern": 7}, {"items": 7}])
def test_a_reference_to_what_is_no_schema_decides_nothing(part: object) -> None:
    rule = {**subject({"$ref": "#/unchecked"}), "unchecked": part}
    held: object = {"a": 1} if part == {"required": 7} else [1]
    assert outcome(rule, credential(age=held)).result == "indeterminate"
    assert outcome({**rule, "unchecked": {}}, credential(age=held)).result == "success"


# ---- patterns


@pytest.mark.parametrize(
    "rule",
    [
        {"pattern": "^(a+)+$"},
        {"pattern": "^a$"},
        {"patternProperties": {"^a$": True}},
        {"propertyNames": {"pattern": "^a$"}},
        {"$ref": "#/hidden"},
    ],
)
def test_a_pattern_of_a_stranger_is_never_run(rule: dict[str, Any]) -> None:
    assert outcome(subject(rule, hidden={"pattern": "(a+)+$"})).result == "indeterminate"


@pytest.mark.parametrize(
    "pattern", ["^[0-9]{4}-[0-9]{2}$", "^[^@]+@[a-z.]+$", "x", r"^\d+\.\d{1,3}$", "^a?b*c+$", "", "^.*$"]
)
def test_a_plain_pattern_that_is_pinned_is_run(pattern: str) -> None:
    assert pinned(subject({"pattern": pattern})) == "success"  # a number matches nothing and breaks nothing
    assert pinned(subject({"pattern": pattern}), age="2020-01") in ("success", "failure")


def test_a_pinned_pattern_decides() -> None:
    rule = subject({"pattern": "^[0-9]{4}-[0-9]{2}$"})
    results = {text: pinned(rule, age=text) for text in ("2020-01", "2020-1", "2020-01\n", "x2020-01")}
    assert results == {"2020-01": "success", "2020-1": "failure", "2020-01\n": "failure", "x2020-01": "failure"}


@pytest.mark.parametrize(
    "pattern",
    [
        "^(a+)+$", "(a|a)*$", "(?=a)", r"(a)\1", "^a?a?a?a?a$", "a*a*a*", "^a*?$", "^a++$", "[", "(", "a{1000}",
        "a{1,2}{3}", "\\", r"\b", r"\p{L}", "[[:alpha:]]", "a" * 257, "a|b", "^a$|^b$",
    ],
)  # fmt: skip
def test_a_pin_does_not_make_a_pattern_harmless(pattern: str) -> None:
    # Whoever signs the credential also writes the digest: a pin says whose pattern it is, not that it ends.
    assert pinned(subject({"pattern": pattern}), age="a" * 40) == "indeterminate"
    assert pinned(subject({"patternProperties": {pattern: True}}), age={"a" * 40: 1}) == "indeterminate"


@pytest.mark.parametrize("rule", [{"pattern": "^a*a*a*$"}, {"pattern": "a*a*b"}])
def test_a_plain_pattern_over_a_long_text_is_given_up_before_it_runs(rule: dict[str, Any]) -> None:
    assert pinned(subject(rule), age="a" * 20) in ("success", "failure")
    assert pinned(subject(rule), age="a" * 20_000) == "indeterminate"
    assert pinned(subject({"patternProperties": {rule["pattern"]: True}}), age={"a" * 20_000: 1}) == "indeterminate"


def test_a_pin_that_does_not_fit_does_not_run_the_pattern_either() -> None:
    raw = json.dumps(subject({"pattern": "^a$"})).encode()
    assert outcome(raw, credential(pin={"digestSRI": sri(b"other")})).result == "failure"


# ---- work


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_schema_that_calls_itself_for_ever_is_given_up(dialect: str) -> None:
    assert outcome(subject({"$ref": "#/definitions/a"}, definitions={"a": {"$ref": "#/definitions/a"}}, **{"$schema": dialect})).result == "indeterminate"  # fmt: skip
    assert outcome(schema(allOf=[{"$ref": "#"}], **{"$schema": dialect})).result == "indeterminate"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_schema_that_doubles_itself_at_every_level_is_given_up(dialect: str) -> None:
    levels = {
        f"d{n}": {"allOf": [{"$ref": f"#/definitions/d{n + 1}"}, {"$ref": f"#/definitions/d{n + 1}"}]}
        for n in range(40)
    }
    rule = schema(allOf=[{"$ref": "#/definitions/d0"}], definitions={**levels, "d40": True}, **{"$schema": dialect})
    assert outcome(rule).result == "indeterminate"


def test_the_same_is_given_up_where_evaluated_members_are_gathered() -> None:
    levels = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(40)}
    rule = schema(unevaluatedProperties=False, anyOf=[{"$ref": "#/$defs/d0"}], **{"$defs": {**levels, "d40": True}})
    assert outcome(rule).result == "indeterminate"


def test_every_rule_times_every_item_is_given_up() -> None:
    rules = {"items": {"allOf": [{"type": "integer"}] * 400}}
    assert outcome(subject(rules), credential(age=[1] * 4)).result == "success"
    assert outcome(subject(rules), credential(age=[1] * 900)).result == "indeterminate"


def test_comparing_everything_with_everything_is_charged() -> None:
    rule = subject({"uniqueItems": True})
    mixed: list[object] = [{"a": n} if n % 2 else n for n in range(900)]
    assert outcome(rule, credential(age=mixed[:20])).result == "success"
    assert outcome(rule, credential(age=[1, 1])).result == "failure"
    assert outcome(rule, credential(age=mixed)).result == "indeterminate"


def test_large_schemas_and_large_credentials_are_not_judged() -> None:
    assert outcome(schema(examples=list(range(schema_bounds.MAX_SCHEMA_NODES)))).result == "indeterminate"
    assert outcome(schema(), credential(age=7) | {"name": "n" * 66_000}).result == "indeterminate"
    assert outcome(schema(), credential(age=7) | {"name": "n" * 60_000}).result == "success"


@pytest.mark.parametrize(
    "part",
    [
        {"$schema": DIALECTS[0], "allOf": [{"$ref": "#"}]},
        {"$schema": DIALECTS[2]},
        {"$id": "https://json-schema.org/draft/2020-12/schema"},
        {"$id": "part"},
    ],
)
def test_a_schema_within_the_schema_cannot_leave_the_count(part: dict[str, Any]) -> None:
    assert outcome(schema(allOf=[part])).result == "indeterminate"
    assert outcome(schema(examples=[part])).result == "indeterminate"


def test_a_schema_cannot_pass_for_the_one_of_its_dialect() -> None:
    url = DIALECTS[0]
    found = {"$schema": url, "$id": url, "allOf": [{"$ref": "#"}]}
    (result,) = validate(credential(entry={"id": url, "type": "JsonSchema"}), {url: found})
    assert result.result == "indeterminate"


# ---- belief


def test_a_schema_credential_that_nobody_verified_decides_nothing() -> None:
    document = credential(entry={"id": CREDENTIAL_URL, "type": "JsonSchemaCredential"})
    held = {CREDENTIAL_URL: schema_credential()}
    assert [found.result for found in validate(document, held)] == ["indeterminate"]
    assert [found.result for found in validate(document, held, bundled=held)] == ["indeterminate"]
    assert [found.result for found in validate(document, {}, credentials=held)] == ["success"]


def test_what_is_in_a_schema_credential_is_a_strangers_schema() -> None:
    document = credential(entry={"id": CREDENTIAL_URL, "type": "JsonSchemaCredential"}, age="a" * 40)
    held = schema_credential()
    held["credentialSubject"]["jsonSchema"] = subject({"pattern": "^(a+)+$"})
    (found,) = validate(document, {}, credentials={CREDENTIAL_URL: held})
    assert found.result == "indeterminate"


@pytest.mark.parametrize(
    "evidence", [{}, {URL: schema(**{"$schema": "https://unknown.example/"})}, {URL: subject({"pattern": "a"})}]
)
def test_indeterminate_is_not_success(evidence: dict[str, Any]) -> None:
    (found,) = validate(credential(), evidence)
    assert found.result == "indeterminate"
    assert isinstance(found.error, SchemaIndeterminate)


def test_what_is_told_of_a_failure_is_where_and_never_what() -> None:
    found = outcome(subject({"const": "expected-secret"}), credential(age="held-secret"))
    assert found.detail == "const at /credentialSubject/age"
