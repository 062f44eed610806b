"""One value, one text: base64url, multibase, strict JSON, JCS, timestamps."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from did_agent.clock import format_milliseconds, format_timestamp, numeric_date
from did_agent.encoding import base64url, multibase
from did_agent.encoding.digest import digest_multibase, digest_uri
from did_agent.encoding.jcs import canonicalize, equal
from did_agent.encoding.strict_json import MAX_BODY, parse_json, parse_object
from did_agent.encoding.timestamp import from_numeric_date, parse_timestamp
from did_agent.errors import BadEncoding, BadTimestamp, DuplicateMember, NotJSON, TooDeep, TooLarge


@pytest.mark.req("TOK-05")
def test_base64url_has_one_text_per_value() -> None:
    assert base64url.decode("_-8") == b"\xff\xef"
    for text in ("_-8=", "_-9", "a", "ab cd", "a+b/", "a\n", "é"):
        with pytest.raises(BadEncoding):
            base64url.decode(text)


@pytest.mark.req("VCX-12")
def test_multibase_is_bounded_canonical_and_of_two_alphabets() -> None:
    assert multibase.decode("z4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS") == multibase.decode(
        "u" + base64url.encode(multibase.decode("z4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS"))
    )
    for text in ("", "z", "m123", "z0OIl", "z4zv ", "f00", "z" + "1" * 256):
        with pytest.raises(BadEncoding):
            multibase.decode(text)
    assert multibase.decode("z" + "1" * 255) == b"\x00" * 255


def test_strict_json_reads_what_json_is() -> None:
    text = '{"a":[1,-0.5,true,null,"\\u00e9\\ud83d\\ude00"],"b":{"":"x"}}'
    assert parse_json(text) == {"a": [1, -0.5, True, None, "é😀"], "b": {"": "x"}}
    assert parse_json(text.encode()) == parse_json(text)
    assert parse_object(" {} ") == {}
    assert parse_json("9007199254740991") == 2**53 - 1


@pytest.mark.req("TOK-05", "LIM-01")
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", NotJSON),
        ("{", NotJSON),
        ("{}{}", NotJSON),
        ("nul", NotJSON),
        ("NaN", NotJSON),
        ("[Infinity]", NotJSON),
        ("1e999", NotJSON),
        ("9007199254740992", NotJSON),
        ("1" * 5_000, NotJSON),
        ('"\\ud800"', NotJSON),
        (b"\xff", NotJSON),
        (b"\xef\xbb\xbf{}", NotJSON),
        ("\ufeff{}", NotJSON),
        ('{"a":1,"a":1}', DuplicateMember),
        ('{"a":{"b":1,"\\u0062":2}}', DuplicateMember),
        ("[" * 33 + "]" * 33, TooDeep),
        ("[" * 100_000, TooDeep),
        ('{"a":' * 33 + "1" + "}" * 33, TooDeep),
        (" " * (MAX_BODY + 1), TooLarge),
        ("[" + "1," * 1_000 + "1]", TooLarge),
        ('"' + "x" * 65_537 + '"', TooLarge),
        ("{" + ",".join(f'"{n}":1' for n in range(257)) + "}", TooLarge),
    ],
)
def test_strict_json_refuses_what_can_be_read_two_ways(text: str | bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_json(text)


def test_brackets_inside_strings_are_no_depth() -> None:
    assert parse_json('"' + "[" * 1_000 + '"') == "[" * 1_000
    assert parse_json('["\\"[[[[", "]"]', max_depth=1) == ['"[[[[', "]"]
    assert parse_json("[" * 32 + "]" * 32) is not None


def test_an_array_is_no_object() -> None:
    with pytest.raises(NotJSON):
        parse_object("[]")


def test_equality_is_that_of_json() -> None:
    assert equal(1, 1.0)
    assert not equal(True, 1)
    assert not equal([1], [True])
    assert equal({"a": 1, "b": 2}, {"b": 2, "a": 1})
    for value in (2**53, float("nan"), "\ud800", {1: 2}, object()):
        with pytest.raises(BadEncoding):
            canonicalize(value)


def test_digests_have_their_three_spellings() -> None:
    assert digest_uri(b"abc") == "sha-256:ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"
    assert digest_multibase(b"abc").startswith("uEi")


@pytest.mark.req("VCX-11")
def test_timestamps_name_their_zone() -> None:
    moment = datetime(2026, 11, 23, 10, 0, 5, 123456, tzinfo=UTC)
    assert parse_timestamp("2026-11-23T11:00:05.123456+01:00") == moment
    assert format_timestamp(moment) == "2026-11-23T10:00:05Z"
    assert format_milliseconds(moment) == "2026-11-23T10:00:05.123Z"
    assert from_numeric_date(numeric_date(moment)) == moment.replace(microsecond=0)
    for text in (
        "2026-11-23T10:00:05",
        "2026-11-23 10:00:05Z",
        "2026-02-29T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T10:00:60Z",
        "20261123T100005Z",
        "2026-W48-1T10:00:00Z",
        "2026-11-23T10:00:05z",
        None,
        5,
    ):
        with pytest.raises(BadTimestamp):
            parse_timestamp(text)
    with pytest.raises(BadTimestamp):
        from_numeric_date(10**15)
